/** What a trace takes beside the records of its first taps: lines of logs, and taps that take over. */
import test from "ava";
import type { TraceEvent } from "../../src/model/trace.js";
import type { NamespaceTap } from "../../src/model/tap.js";
import { pcapHeader, pcapRecord } from "../../src/packet/pcap.js";
import { hops } from "../../src/path/hops.js";
import { namespaceTaps } from "../../src/path/tap-plan.js";
import { noFilter } from "../../src/trace/core.js";
import type { LogEntry } from "../../src/trace/log.js";
import { createReplay, type ReplayTap } from "../../src/trace/replay.js";
import { createTrace } from "../../src/trace/trace.js";
import { dockerBridge, macs } from "../path/docker-bridge.js";
import { flag, tcp } from "./frames.js";

const epoch = 1_700_000_000_000_000_000n;
const list = hops(dockerBridge, { from: "client", to: "web" });
const options = { snapshot: dockerBridge, hops: list, filter: noFilter, epoch };

/** A segment as the hop with this number sees it: the machine's NAT lies between 1 and 2. */
function segment(hop: number, id: number): Uint8Array {
  const outside = hop < 2;
  return tcp({
    source: "203.0.113.2",
    sourcePort: 40_000,
    destination: outside ? "203.0.113.1" : "10.0.0.10",
    destinationPort: outside ? 8080 : 80,
    sourceMac: outside ? macs.client : macs.bridge,
    destinationMac: outside ? macs.host : macs.web,
    ttl: outside ? 64 : 63,
    id,
    sequence: id * 100,
    acknowledgement: 1,
    flags: flag.ack,
    payload: 100,
  });
}

/** The frame as a tap on all interfaces has it (LINKTYPE_LINUX_SLL2). */
function cooked(frame: Uint8Array, index: number, outgoing: boolean): Uint8Array {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(0x0800, 0);
  header.writeUInt32BE(index, 4);
  header.writeUInt16BE(1, 8);
  header[10] = outgoing ? 4 : 0;
  header[11] = 6;
  return Buffer.concat([header, frame.subarray(14)]);
}

test("taps on whole nodes take over: every packet is seen once, and a replay tells the same", (t) => {
  const events: TraceEvent[] = [];
  const log: LogEntry[] = [];
  const trace = createTrace({ ...options, emit: (event) => events.push(event), log: (entry) => log.push(entry) });
  const nodes: readonly NamespaceTap[] = namespaceTaps(list);
  t.deepEqual(
    nodes.map(({ node, interfaces }) => [node, ...interfaces.map(([index, hop]) => [list[hop]?.index === index, hop])]),
    [
      ["client", [true, 0]],
      ["host", [true, 1], [true, 2], [true, 3]],
      ["web", [true, 4]],
    ],
  );
  const captures: Uint8Array[][] = [];
  const first = list.map((_, hop) => trace.tap({ hop }));
  const write = (tap: { number: number; push(bytes: Uint8Array): void }, bytes: Uint8Array): void => {
    (captures[tap.number] ??= []).push(bytes);
    tap.push(bytes);
  };
  for (const tap of first) write(tap, pcapHeader(1));
  const steps = 5;
  // Packet 20 has been at two hops when the others take over; both kinds of taps see those from 15 to 25.
  const time = (packet: number, hop: number): number => packet * 100_000 + hop * 2_000;
  const cut = time(20, 2);
  const later = trace.handOver(cut, nodes);
  for (const tap of later) write(tap, pcapHeader(276));
  for (let packet = 1; packet <= 40; packet++)
    for (let hop = 0; hop < steps; hop++) {
      const stamp = epoch + BigInt(time(packet, hop));
      if (packet <= 25) write(first[hop]!, pcapRecord(stamp, segment(hop, packet)));
      if (packet < 15) continue;
      const node = nodes.findIndex(({ interfaces }) => interfaces.some(([, number]) => number === hop));
      write(later[node]!, pcapRecord(stamp, cooked(segment(hop, packet), list[hop]!.index, hop === 0 || hop === 2)));
    }
  for (const tap of [...first, ...later]) tap.end();
  trace.end();

  const packets = events.filter((event) => event.type === "packet");
  t.is(packets.length, 40);
  for (const packet of packets) {
    t.deepEqual(
      packet.sightings.map(({ hop }) => hop),
      list.map(({ node, interface: name }) => `${node}:${name}`),
    );
    t.is(packet.verdict.kind, "delivered");
    // Ethernet counts 14 bytes of header, whichever way it was captured.
    t.is(new Set(packet.sightings.map(({ length }) => length)).size, 1);
    for (const [hop, sighting] of packet.sightings.entries()) {
      const before = sighting.time < cut;
      t.is(sighting.capture, before ? undefined : first.length + [0, 1, 1, 1, 2][hop]!, `packet ${packet.id}`);
    }
  }

  const again: TraceEvent[] = [];
  const replay = createReplay({ ...options, emit: (event) => again.push(event) }, log);
  const taps: ReplayTap[] = [
    ...first.map((_, hop) => replay.tap({ hop }, undefined, { until: cut })),
    ...nodes.map(({ interfaces }) => replay.tap({ interfaces: new Map(interfaces) }, undefined, { from: cut })),
  ];
  for (const tap of taps) {
    for (const bytes of captures[tap.number] ?? []) tap.push(bytes);
    tap.end();
  }
  t.deepEqual(again, events);
});

test("a line of a log stands between the packets that it was written between; a late one comes at once", (t) => {
  const events: TraceEvent[] = [];
  const log: LogEntry[] = [];
  const trace = createTrace({ ...options, emit: (event) => events.push(event), log: (entry) => log.push(entry) });
  const taps = list.map((_, hop) => trace.tap({ hop }));
  const captures = taps.map(() => [pcapHeader(1)]);
  const see = (packet: number): void => {
    for (const [hop, tap] of taps.entries()) {
      const record = pcapRecord(epoch + BigInt(packet * 1_000_000 + hop * 2_000), segment(hop, packet));
      captures[hop]!.push(record);
      tap.push(record);
    }
  };
  for (const tap of taps) tap.push(pcapHeader(1));
  const line = (time: number, text: string): void =>
    trace.line({ type: "log", node: "web", time, stream: "stdout", text });
  see(1);
  line(3_500_000, "after three");
  line(2_500_000, "after two");
  for (const packet of [2, 3, 4, 5]) see(packet);
  line(1_500_000, "late");
  trace.tick(5_200_000);
  line(9_000_000, "at the end");
  for (const tap of taps) tap.end();
  trace.end();
  const told = events.flatMap((event) =>
    event.type === "packet" ? [String(event.id)] : event.type === "log" ? [event.text] : [],
  );
  t.deepEqual(told, ["1", "2", "after two", "3", "after three", "4", "late", "5", "at the end"]);

  const again: TraceEvent[] = [];
  const replay = createReplay({ ...options, emit: (event) => again.push(event) }, log);
  const replayed = list.map((_, hop) => replay.tap({ hop }));
  for (const [hop, tap] of replayed.entries()) {
    tap.push(Buffer.concat(captures[hop]!));
    tap.end();
  }
  t.deepEqual(again, events);
});
