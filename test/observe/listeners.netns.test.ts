/** Listeners by socket diagnosis are those that /proc/net tells of; connected sockets are none. */
import { closeSync, openSync } from "node:fs";
import test from "ava";
import { listenersOf, parseListeners } from "../../src/observe/listeners.js";
import { NodeSockets } from "../../src/observe/sockets.js";
import { environment, lab, shell, until } from "../init/lab.js";

test("listeners of a node", async (t) => {
  const { init } = await lab(t);
  await init.createNodes([{ name: "a", container: false }]);
  await shell(init, "a", "ip link set lo up");
  const sockets = new NodeSockets(init);
  t.teardown(() => sockets[Symbol.dispose]());
  const nothing = openSync("/dev/null", "r+");
  t.teardown(() => closeSync(nothing));
  for (const argv of [
    ["busybox", "httpd", "-f", "-p", "80", "-h", "/"],
    ["busybox", "httpd", "-f", "-p", "127.0.0.1:81", "-h", "/"],
  ])
    await init.spawn({
      node: "a",
      place: "namespace",
      argv,
      environment,
      stdio: [nothing, nothing, nothing],
      tied: true,
    });
  const ports = async () => (await listenersOf(init, sockets, "a")).map(({ port }) => port).sort((a, b) => a - b);
  t.true(await until(async () => (await ports()).join() === "80,81"), (await ports()).join());

  const files = [
    ["tcp", "tcp", 4],
    ["tcp6", "tcp", 6],
    ["udp", "udp", 4],
    ["udp6", "udp", 6],
  ] as const;
  const told = await Promise.all(
    files.map(async ([file, protocol, family]) => parseListeners(await init.readProcNet("a", file), protocol, family)),
  );
  const byPort = <T extends { readonly port: number }>(list: readonly T[]) => list.toSorted((a, b) => a.port - b.port);
  t.deepEqual(byPort(await listenersOf(init, sockets, "a")), byPort(told.flat()));
});
