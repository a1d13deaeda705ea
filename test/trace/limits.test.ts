import test from "ava";
import type { PacketEvent, TraceEnded, TraceEvent } from "../../src/model/trace.js";
import { hops } from "../../src/path/hops.js";
import { pcapHeader, pcapRecord } from "../../src/packet/pcap.js";
import { align } from "../../src/trace/align.js";
import { noFilter } from "../../src/trace/core.js";
import { Merge } from "../../src/trace/merge.js";
import { createTrace, type TraceOptions } from "../../src/trace/trace.js";
import { dockerBridge, macs } from "../path/docker-bridge.js";
import { arp, flag, tcp, udp } from "./frames.js";

const epoch = 1_700_000_000_000_000_000n;
const list = hops(dockerBridge);
const names = list.map((hop) => `${hop.node}:${hop.interface}`);

interface Seen {
  readonly hop: string;
  readonly time: number;
  readonly frame: Uint8Array;
}

function trace(
  sightings: readonly Seen[],
  options: Partial<TraceOptions> = {},
  listening?: number,
): { packets: PacketEvent[]; end: TraceEnded } {
  const events: TraceEvent[] = [];
  const live = createTrace({
    snapshot: dockerBridge,
    hops: list,
    filter: noFilter,
    epoch,
    ...options,
    emit: (event) => events.push(event),
  });
  const taps = list.map((_, hop) => live.tap({ hop }));
  for (const tap of taps) tap.push(pcapHeader(1));
  const ordered = [...sightings].sort((a, b) => a.time - b.time || names.indexOf(a.hop) - names.indexOf(b.hop));
  for (const { hop, time, frame } of ordered) taps[names.indexOf(hop)]!.push(pcapRecord(epoch + BigInt(time), frame));
  for (const tap of taps) tap.end();
  if (listening !== undefined) live.listening(listening);
  live.end();
  return {
    packets: events.filter((event) => event.type === "packet").sort((a, b) => a.id - b.id),
    end: events.find((event) => event.type === "end")!,
  };
}

const wire = { sourceMac: macs.client, destinationMac: macs.host };

test("a full window gives the oldest packets up, counted, and calls them unknown", (t) => {
  const sightings = Array.from({ length: 100 }, (_, index) => ({
    hop: "host:eth0",
    time: 1000 * index,
    frame: tcp({
      source: "203.0.113.2",
      destination: "198.51.100.1",
      sourcePort: 1,
      destinationPort: 2,
      id: index + 1,
      sequence: index,
      ...wire,
    }),
  }));
  const { packets, end } = trace(sightings, { window: 10 });
  t.is(packets.length, 100);
  t.is(end.evicted, 90);
  t.is(packets.filter((packet) => packet.verdict.kind === "unknown").length, 90);
  t.deepEqual(packets[0]!.verdict, { kind: "unknown", reason: "it left the window before it closed" });
  t.is(packets[99]!.verdict.kind, "dropped");
});

test("what was seen before every tap had begun may have passed the others unseen", (t) => {
  const sightings = [1000, 5000].map((time, index) => ({
    hop: "host:eth0",
    time,
    frame: tcp({
      source: "203.0.113.2",
      destination: "203.0.113.1",
      sourcePort: 40_000,
      destinationPort: 8080,
      id: index + 1,
      sequence: index,
      ...wire,
    }),
  }));
  const { packets } = trace(sightings, {}, 3000);
  t.deepEqual(
    packets.map(({ verdict }) => verdict),
    [
      { kind: "unknown", reason: "not every tap had begun then" },
      { kind: "dropped", after: "host:eth0", before: "host:yapc0" },
    ],
  );
});

/** Equal acknowledgements over IPv6: nothing but order and time tells them apart. */
function acknowledgement(hop: string, time: number): Seen {
  const ends = { source: "2001:db8::2", destination: "fd00:10::10", sourcePort: 40000, destinationPort: 80 };
  const inside = hop === "host:yapc0" || hop === "host:vethweb" || hop === "web:eth0";
  return {
    hop,
    time,
    frame: tcp({ ...ends, flags: flag.ack, acknowledgement: 7, ttl: inside ? 63 : 64, ...(inside ? {} : wire) }),
  };
}

test("equal packets that all arrive are told apart by their order", (t) => {
  const sightings = [0, 1000, 2000].flatMap((start) =>
    names.map((hop, index) => acknowledgement(hop, start + index * 5000)),
  );
  const { packets } = trace(sightings);
  t.deepEqual(
    packets.map((packet) => [packet.match, packet.verdict.kind, packet.sightings.map((one) => one.time - packet.time)]),
    [1, 2, 3].map(() => ["ordered", "delivered", [0, 5000, 10_000, 15_000, 20_000]]),
  );
});

test("of equal packets one is lost: unknown which, so nothing is claimed", (t) => {
  const sightings = [0, 1000, 2000].flatMap((start, copy) =>
    names.slice(0, copy === 1 ? 2 : 5).map((hop, index) => acknowledgement(hop, start + index * 5000)),
  );
  const { packets } = trace(sightings);
  t.is(packets.length, 3);
  t.true(packets.every((packet) => packet.match === "ambiguous"));
  t.true(packets.some((packet) => packet.verdict.kind === "unknown"));
  t.false(packets.some((packet) => packet.verdict.kind === "dropped"));
});

test("where the usual gap is known, it says which of two equal packets was lost", (t) => {
  const usual = { gap: 3000, spread: 100 };
  t.deepEqual(align([0, 74_000], [77_000], usual), { from: [1], certain: true });
  t.deepEqual(align([0, 74_000], [3000], usual), { from: [0], certain: true });
  t.false(align([0, 1000], [3500], usual).certain);
  t.false(align([0, 74_000], [77_000], undefined).certain);
  t.deepEqual(align([0, 10, 20], [5000, 5010, 5020], undefined), { from: [0, 1, 2], certain: true });
  t.deepEqual(align([], [5], usual), { from: [-1], certain: true });
  // One that was not seen before: the tap there had missed it.
  t.deepEqual(align([100_000], [3000, 103_000], usual), { from: [-1, 0], certain: true });
});

test("a broadcast is one packet with branches", (t) => {
  const question = arp(1, { mac: macs.web, address: "10.0.0.10" }, { address: "10.0.0.1" });
  const { packets } = trace([
    { hop: "web:eth0", time: 0, frame: question },
    { hop: "host:vethweb", time: 2000, frame: question },
    { hop: "host:yapc0", time: 2000, frame: question },
  ]);
  t.is(packets.length, 1);
  t.deepEqual(
    packets[0]!.sightings.map((one) => one.hop),
    ["web:eth0", "host:vethweb", "host:yapc0"],
  );
});

test("two connections with equal datagrams behind one masquerade stay apart by their ports", (t) => {
  const sightings: Seen[] = [];
  for (const [index, sourcePort] of [5001, 5002].entries()) {
    const payload = Uint8Array.from([1, 2, 3]);
    const inside = { source: "10.0.0.10", sourcePort, destination: "203.0.113.2", destinationPort: 53, payload };
    const outside = { ...inside, source: "203.0.113.1", ttl: 63 };
    for (const [step, hop] of [...names].reverse().entries()) {
      sightings.push({ hop, time: index * 500 + step * 3000, frame: udp(step < 3 ? inside : outside) });
    }
  }
  const { packets } = trace(sightings);
  t.is(packets.length, 2);
  for (const packet of packets) t.is(new Set(packet.sightings.map((one) => one.sourcePort)).size, 1);
});

test("merge: by time, then tap; a tap holds the others back until it has spoken", (t) => {
  const times = [10, 20, 30, 20, 25, 5];
  const merge = new Merge();
  const [a, b] = [merge.add(), merge.add()];
  const taken = (force = false): number[] => {
    const rows: number[] = [];
    for (let row = merge.next(force); row >= 0; row = merge.next(force)) rows.push(row);
    return rows;
  };
  for (const row of [0, 1, 2]) merge.push(a, row, times[row]!);
  t.deepEqual(taken(), []);
  merge.push(b, 3, times[3]!);
  t.deepEqual(taken(), [0, 1, 3]);
  merge.advance(b, 30);
  t.deepEqual(taken(), [2]);
  merge.push(b, 4, times[4]!); // older than what went before it
  let late = -1;
  t.is(
    merge.next(true, undefined, (tap) => (late = tap)),
    4,
  );
  t.is(late, b);
  merge.end(a);
  merge.push(b, 5, times[5]!);
  t.deepEqual(taken(), [5]);
});
