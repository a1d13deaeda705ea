/**
 * A real Podman, run by root in namespaces of the test's own: containers go by their names with its socket and without.
 *
 *     client eth0 ──── eth0 host cni-podman0 ──── veth… eth0 pweb    (-p 8080:80)
 *     203.0.113.2      203.0.113.1
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test from "ava";
import type { Snapshot } from "../../src/model/snapshot.js";
import { Cli, packetsOf, parseEvents, program, until } from "../e2e/cli.js";
import { serialUnless, skip } from "../tools.js";
import { PlainHost } from "./plain-host.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "yapc-podman-"));
/** Podman raises the limits of a container above its own where it is root; a container of a machine may not. */
const settings = path.join(folder, "containers.conf");
writeFileSync(settings, `[containers]\ndefault_ulimits = [${hardLimit("nofile")}, ${hardLimit("nproc")}]\n`);
const podman =
  `env CONTAINERS_CONF=${settings} podman --root ${folder}/root --runroot ${folder}/run --tmpdir ${folder}/tmp --runtime runc --cgroup-manager cgroupfs ` +
  "--storage-driver vfs --events-backend file";

const made = `
ip netns add client
ip link add eth0 type veth peer name eth0 netns client
ip address add 203.0.113.1/24 dev eth0
ip link set eth0 up
ip -n client address add 203.0.113.2/24 dev eth0
ip -n client link set eth0 up
mkdir -p ${folder}/tree/bin ${folder}/tree/www
cp "$(command -v busybox)" ${folder}/tree/bin/
for applet in sh sleep httpd; do ln -s busybox ${folder}/tree/bin/$applet; done
echo hello >${folder}/tree/www/index.html
tar -C ${folder}/tree -c . | ${podman} import -q - bb >/dev/null
${podman} run -d --cidfile ${folder}/pweb.id --name pweb -p 8080:80 bb /bin/httpd -f -p 80 -h /www >/dev/null
${podman} run -d --cidfile ${folder}/beside.id --name beside --network container:pweb bb /bin/sleep 1000 >/dev/null
`;

async function missing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "needs root";
  for (const file of ["podman", "runc", "conmon", "busybox", "curl", "iptables", "unshare"])
    if ((await program("sh", "-c", `PATH=$PATH:/usr/sbin command -v ${file}`)).code !== 0) return `no ${file}`;
  const linked = await program("sh", "-c", 'ldd "$(command -v busybox)" 2>&1');
  return linked.code === 0 ? "busybox is not static: apt-get install busybox-static" : undefined;
}
const reason = await missing();
const run = serialUnless(reason);
const place = new Cli();
const shared = "'(' -name libpod_parent -o -path '*/libpod_parent/conmon' ')'";
const sharedBefore = await groupsOf(shared);
test.after.always(async () => {
  await place.end();
  const ids = ["pweb", "beside"].flatMap((name) => {
    const file = path.join(folder, `${name}.id`);
    return existsSync(file) ? [readFileSync(file, "utf8").trim()] : [];
  });
  // What Podman starts to clean up after a container may still write.
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  // The groups of its containers stay behind where it manages them by itself; those of another Podman are not ours.
  const left = async (): Promise<readonly string[]> => {
    const own = await Promise.all(ids.map((id) => groupsOf(`-path '*/libpod_parent/*${id}*'`)));
    return [...own.flat(), ...(await groupsOf(shared)).filter((group) => !sharedBefore.includes(group))];
  };
  await until(async () => {
    for (const group of await left()) await program("rmdir", group);
    return (await left()).length === 0;
  }, 3);
});

/** Innermost first. @param which of find(1) */
async function groupsOf(which: string): Promise<readonly string[]> {
  const { stdout } = await program("sh", "-c", `find /sys/fs/cgroup -depth -type d ${which} 2>/dev/null`);
  return stdout.split("\n").filter((line) => line !== "");
}

/** As `default_ulimits` of containers.conf(5) writes it: no more than Podman has, which takes `pid_max` for processes. */
function hardLimit(name: "nofile" | "nproc"): string {
  const row = { nofile: "Max open files", nproc: "Max processes" }[name];
  const [, hard = ""] = new RegExp(`^${row} +\\S+ +(\\S+)`, "m").exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  const most = name === "nproc" ? Number(readFileSync("/proc/sys/kernel/pid_max", "utf8")) : 1048576;
  const value = hard === "unlimited" ? most : Math.min(Number(hard), most);
  return `"${name}=${value}:${value}"`;
}

run("containers of Podman: names, published port, the way of a request, and a copy", async (t) => {
  let started: PlainHost;
  try {
    // One after the other: `rm --all` leaves a container whose namespace another still has.
    const ends = ["beside", "pweb"].map((name) => `${podman} rm -f -t 0 ${name} >/dev/null 2>&1`);
    started = await PlainHost.start(made, ends.join("\n"));
  } catch (error) {
    skip(t, `Podman does not run here: ${error instanceof Error ? error.message.slice(-300) : ""}`);
    return;
  }
  await using host = started;
  const on = (environment: NodeJS.ProcessEnv, ...args: string[]) =>
    place.start(args, { under: host.under, environment }).ended;
  const read = async (environment: NodeJS.ProcessEnv): Promise<Snapshot> => {
    const { code, stdout, stderr } = await on(environment, "inspect", "--machine", "--json");
    t.is(code, 0, stderr);
    return JSON.parse(stdout) as Snapshot;
  };

  const told = (
    await host.ok("sh", "-c", `${podman} inspect -f '{{.NetworkSettings.IPAddress}} {{.Id}} {{.State.Pid}}' pweb`)
  ).split(" ");
  const [address = "", id = "", pid = ""] = told;
  const silent = await read({});
  const web = silent.nodes.find(({ name }) => name === "pweb");
  t.is(web?.role, "container", "without a socket conmon tells the name");
  t.deepEqual(
    web?.containers?.map(({ runtime, name }) => [runtime, name]),
    [
      ["podman", "pweb"],
      ["podman", "beside"],
    ],
  );
  t.is(web?.containers?.[0]?.id, id);
  t.true(web?.interfaces.some(({ addresses }) => addresses.some((each) => each.address === address)));
  const links = JSON.parse(await host.ok("nsenter", "-t", pid, "-n", "ip", "-j", "link")) as {
    ifname: string;
    address: string;
    link_index?: number;
  }[];
  const eth0 = links.find(({ ifname }) => ifname === "eth0");
  const own = web?.interfaces.find(({ name }) => name === "eth0");
  t.is(own?.mac, eth0?.address);
  const far = silent.nodes
    .find(({ name }) => name === "host")
    ?.interfaces.find(({ name }) => name === own?.peer?.interface);
  t.is(far?.index, eth0?.link_index);

  const traced = await on(
    {},
    "trace",
    "--machine",
    "--json",
    "--port",
    "80",
    "--container",
    "pweb",
    "--from",
    "client",
    "--",
    "curl",
    "-s",
    "http://203.0.113.1:8080/",
  );
  t.is(traced.code, 0, traced.stderr);
  t.true(traced.stderr.includes("hello"));
  const [syn] = packetsOf(parseEvents(traced.stdout));
  t.deepEqual(
    syn?.sightings.map(({ hop }) => hop),
    ["client:eth0", "host:eth0", `host:${far?.master ?? ""}`, `host:${far?.name ?? ""}`, "pweb:eth0"],
  );

  const file = path.join(place.folder, "podman.json");
  const imported = await on({}, "import", "--live", "-o", file);
  t.is(imported.code, 0, imported.stderr);
  t.is((await on({}, "up", file, "--name", "copy")).code, 0);
  const answer = await on(
    {},
    "exec",
    "--lab",
    "copy",
    "client",
    "--",
    "curl",
    "-s",
    "-m",
    "2",
    "http://203.0.113.1:8080/",
  );
  t.is(answer.stdout, "pweb\n", `${answer.stderr}${imported.stderr}`);
  t.is((await on({}, "down", "copy")).code, 0);

  // With its socket Podman tells more than its processes do.
  const socket = `unix://${folder}/p.sock`;
  const service = await host.run("sh", "-c", `${podman} system service -t 60 ${socket} >/dev/null 2>&1 & echo $!`);
  // By then the host is gone.
  t.teardown(() => program("kill", service.stdout.trim()));
  if (
    !(await until(
      async () => (await host.run("curl", "-s", "--unix-socket", `${folder}/p.sock`, "http://d/_ping")).stdout === "OK",
    ))
  ) {
    t.log("the service of Podman does not answer here");
    return;
  }
  const spoken = (await read({ CONTAINER_HOST: socket })).nodes.find(({ name }) => name === "pweb")?.containers?.[0];
  t.deepEqual(
    spoken?.ports?.map(({ protocol, port, to }) => [protocol, port, to]),
    [["tcp", 8080, 80]],
  );
  t.true(spoken?.image?.includes("bb"));
});
