/**
 * Golden bytes: each kind of message that we send, beside the command that does the same. They were recorded from the
 * commands themselves (strace of iproute2 6.1, nftables 1.0.6, conntrack 1.4.7), except where `differs` says why not.
 * netem, which not every kernel has, is checked here and nowhere else.
 */
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { decode, pathAt } from "../../src/kernel/codec/index.js";
import * as flows from "../../src/kernel/conntrack/flows.js";
import { NETLINK_NETFILTER, NETLINK_ROUTE, NETLINK_SOCK_DIAG, NLM_F_ACK, frame } from "../../src/kernel/framing.js";
import * as nftConstants from "../../src/kernel/nftables/constants.js";
import * as routeConstants from "../../src/kernel/rtnetlink/constants.js";
import { goldenBytes } from "./golden-bytes.js";
import { goldenRequests } from "./golden-requests.js";

const hexLines = (bytes: Uint8Array) =>
  Buffer.from(bytes)
    .toString("hex")
    .match(/.{1,96}/g) ?? [];

for (const { command, request, differs } of goldenRequests) {
  const requests = [request].flat();
  test(`${command}${differs === undefined ? "" : ` (other bytes than the command's: ${differs})`}`, (t) => {
    const lines = requests.flatMap(({ type, flags, body }) =>
      hexLines(frame(type, requests.length > 1 ? flags & ~NLM_F_ACK : flags, 0, body)),
    );
    t.deepEqual(lines, goldenBytes[command]);
  });
}

const numbers: Readonly<Record<string, unknown>> = {
  ...routeConstants,
  ...nftConstants,
  ...flows,
  SOCK_DIAG_BY_FAMILY: 20,
  SOCK_DESTROY: 21,
};

/** Protocol and number of a kind of message. */
function kind(name: string): string {
  const protocol = name.startsWith("RTM")
    ? NETLINK_ROUTE
    : name.startsWith("SOCK")
      ? NETLINK_SOCK_DIAG
      : NETLINK_NETFILTER;
  return `${protocol} ${String(numbers[name])}`;
}

test("there are golden bytes of every kind of message that we send", (t) => {
  const folder = path.resolve(import.meta.dirname, "../../../src/kernel");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  const used = new Set<string>();
  for (const file of files) {
    // Constants are where they are defined, and listeners read what they do not send.
    if (/constants\.ts$|listen\.ts$|trace\.ts$|ruleset-events\.ts$/.test(file)) continue;
    const source = readFileSync(path.join(folder, file), "utf8");
    for (const [name] of source.matchAll(/\b(RTM_(?!F_)|NFT_MSG_|NFNL_MSG_|IPCTNL_MSG_|SOCK_D)[A-Z_]+\b/g))
      used.add(name);
  }
  used.delete("SOCK_DGRAM"); // a type of sockets
  used.delete("IPCTNL_MSG_CT_NEW"); // what the kernel answers and tells
  const sent = new Set(
    goldenRequests.flatMap(({ request }) => [request].flat().map(({ protocol, type }) => `${protocol} ${type}`)),
  );
  t.true(used.size >= 30, `${used.size} kinds`);
  t.deepEqual(
    [...used].filter((name) => !sent.has(kind(name))),
    [],
  );
});

test("every message can be read by its own schema, wholly", (t) => {
  for (const { command, request } of goldenRequests) {
    for (const { schema, body } of [request].flat()) {
      const value = decode(schema, body);
      t.false(
        JSON.stringify(value, (_, each: unknown) => (typeof each === "bigint" ? String(each) : each)).includes(
          '"unknown"',
        ),
        command,
      );
    }
  }
});

test("each byte of a message has a name, but for its padding", (t) => {
  const veth = goldenRequests.find(({ command }) => command.includes("type veth"))!;
  const { schema, body } = [veth.request].flat()[0]!;
  const paths = new Set(Array.from(body, (_, offset) => pathAt(schema, body, offset)));
  t.deepEqual(
    [...paths],
    [
      "family",
      undefined,
      "type",
      "index",
      "flags",
      "change",
      "mac",
      "mtu",
      "name",
      "info",
      "info.kind",
      "info.data",
      "info.data.veth.peer",
      "info.data.veth.peer.family",
      "info.data.veth.peer.type",
      "info.data.veth.peer.index",
      "info.data.veth.peer.flags",
      "info.data.veth.peer.change",
      "info.data.veth.peer.mac",
      "info.data.veth.peer.mtu",
      "info.data.veth.peer.name",
    ],
  );
});
