/**
 * Golden bytes: each kind of message that we send, beside the command that does the same. They were recorded from the
 * commands themselves (strace of iproute2 6.1, nftables 1.0.6, conntrack 1.4.7), except where `differs` says why not.
 * netem, which not every kernel has, is checked here and nowhere else.
 */
import test from "ava";
import { decode, pathAt } from "../../src/kernel/codec/index.js";
import { NLM_F_ACK, frame } from "../../src/kernel/framing.js";
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
