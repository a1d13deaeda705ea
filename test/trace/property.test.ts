import { deepStrictEqual, ok } from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import type { PacketEvent, TraceEvent } from "../../src/model/trace.js";
import { pcapHeader, pcapRecord } from "../../src/packet/pcap.js";
import { noFilter } from "../../src/trace/core.js";
import type { LogEntry } from "../../src/trace/log.js";
import { createReplay } from "../../src/trace/replay.js";
import { createTrace } from "../../src/trace/trace.js";
import { makeWorld, random, type World, type WorldOptions } from "./world.js";

const epoch = 1_700_000_000_000_000_000n;
const runs = process.env.YAPC_NET_SOAK ? 2000 : 60;

const worlds: fc.Arbitrary<WorldOptions> = fc.record({
  seed: fc.integer({ min: 1, max: 2 ** 30 }),
  family: fc.constantFrom(4 as const, 6 as const),
  routers: fc.array(fc.constantFrom("plain" as const, "dnat" as const, "snat" as const, "both" as const), {
    minLength: 1,
    maxLength: 3,
  }),
  bridged: fc.boolean(),
  packets: fc.constant(300),
  loss: fc.constantFrom(0, 0, 0.002, 0.02),
  tapLoss: fc.constantFrom(0, 0, 0, 0.01),
  jitter: fc.constantFrom(0, 1000, 40_000),
  delay: fc.constantFrom(0, 0, 5_000_000),
  unnumbered: fc.boolean(),
  conntrack: fc.constantFrom("none" as const, "late" as const),
  flows: fc.integer({ min: 1, max: 6 }),
});

interface Chunks {
  readonly tap: number;
  readonly bytes: Uint8Array;
}

/** Cuts the captures into chunks that arrive in any order that keeps each capture's own. */
function arrival(world: World, next: () => number, size: number): Chunks[] {
  const streams = world.captures.map((capture) =>
    Buffer.concat([pcapHeader(1), ...capture.map((one) => pcapRecord(epoch + BigInt(one.time), one.bytes))]),
  );
  const at = streams.map(() => 0);
  const chunks: Chunks[] = [];
  for (let open = streams.length; open > 0;) {
    const tap = Math.floor(next() * streams.length);
    if (at[tap]! >= streams[tap]!.length) continue;
    const end = at[tap]! + 1 + Math.floor(next() * size);
    chunks.push({ tap, bytes: streams[tap]!.subarray(at[tap], end) });
    at[tap] = end;
    if (end >= streams[tap]!.length) open--;
  }
  return chunks;
}

/** All records in one order, conntrack at its time. */
function run(world: World): PacketEvent[] {
  const packets: PacketEvent[] = [];
  const trace = createTrace({
    snapshot: world.snapshot,
    hops: world.hops,
    filter: noFilter,
    epoch,
    emit: (event) => {
      if (event.type === "packet") packets.push(event);
    },
  });
  const taps = world.hops.map((_, hop) => trace.tap({ hop }));
  for (const [tap, records] of world.missed.entries()) taps[tap]!.lost(records);
  for (const tap of taps) tap.push(pcapHeader(1));
  const steps = [
    ...world.captures.flat().map((one) => ({ time: one.time, hop: one.hop, sighted: one, event: undefined })),
    ...world.events.map(({ time, event }) => ({ time, hop: 0, sighted: undefined, event })),
  ].sort((a, b) => a.time - b.time || a.hop - b.hop);
  for (const { sighted, event } of steps) {
    if (sighted) taps[sighted.hop]!.push(pcapRecord(epoch + BigInt(sighted.time), sighted.bytes));
    if (event) trace.conntrack(event);
  }
  for (const tap of taps) tap.end();
  trace.end();
  return packets;
}

test("joins: none is wrong where it says exact or strong, and nearly all say so", (t) => {
  let joined = 0;
  let sure = 0;
  let split = 0;
  let arrivedWrong = 0;
  fc.assert(
    fc.property(worlds, (options) => {
      const world = makeWorld(options);
      const truthOf = new Map<string, number>();
      for (const [hop, capture] of world.captures.entries()) {
        const name = `${world.hops[hop]!.node}:${world.hops[hop]!.interface}`;
        for (const [record, one] of capture.entries()) truthOf.set(`${name}/${record}`, one.truth);
      }
      const homes = new Map<number, number>();
      for (const packet of run(world)) {
        const truths = new Set(packet.sightings.map((one) => truthOf.get(`${one.hop}/${one.record}`)!));
        const certain = packet.match === "exact" || packet.match === "strong";
        if (certain && truths.size > 1) {
          throw new Error(`wrong join ${JSON.stringify(packet)} of ${[...truths].join()}`);
        }
        if (packet.sightings.length > 1) {
          joined++;
          if (certain) sure++;
        }
        for (const truth of truths) homes.set(truth, (homes.get(truth) ?? 0) + 1);
        if (certain && packet.verdict.kind === "delivered" && !world.arrived.has([...truths][0]!)) arrivedWrong++;
        if (
          certain &&
          packet.verdict.kind === "dropped" &&
          world.arrived.has([...truths][0]!) &&
          options.tapLoss === 0
        ) {
          throw new Error(`false drop ${JSON.stringify(packet)}`);
        }
      }
      for (const parts of homes.values()) if (parts > 1) split++;
    }),
    { numRuns: runs, seed: 20261123 },
  );
  t.log(`${joined} packets joined, ${sure} exact or strong (${((100 * sure) / joined).toFixed(3)} %), ${split} split`);
  t.is(arrivedWrong, 0);
  t.true(sure / joined >= 0.999);
  t.true(split / joined <= 0.0005);
});

test("replay: the log and the captures give the same events, however either was cut", (t) => {
  fc.assert(
    fc.property(worlds, fc.integer({ min: 1, max: 2 ** 30 }), fc.constantFrom(0, 0, 7, 50), (base, seed, count) => {
      const world = makeWorld({ ...base, packets: 60 });
      const next = random(seed);
      const live: TraceEvent[] = [];
      const log: LogEntry[] = [];
      const limit = count === 0 ? {} : { count };
      const options = { snapshot: world.snapshot, hops: world.hops, filter: noFilter, epoch, ...limit };
      const trace = createTrace({ ...options, emit: (event) => live.push(event), log: (entry) => log.push(entry) });
      const taps = world.hops.map((_, hop) => trace.tap({ hop }));
      const events = [...world.events];
      for (const { tap, bytes } of arrival(world, next, 400)) {
        taps[tap]!.push(bytes);
        // Clock, conntrack and drops come whenever they like.
        if (next() < 0.05) trace.tick(1_000_000 + Math.floor(next() * 3_000_000));
        if (next() < 0.1) {
          const event = events.shift();
          if (event) trace.conntrack(event.event);
        }
        if (next() < 0.01) taps[tap]!.lost(1);
      }
      for (const tap of taps) tap.end();
      trace.end();

      const replayed: TraceEvent[] = [];
      const saved = log.map((entry) => JSON.parse(JSON.stringify(entry)) as LogEntry);
      const replay = createReplay({ ...options, emit: (event) => replayed.push(event) }, saved);
      const unread: Uint8Array[][] = world.hops.map(() => []);
      for (const { tap, bytes } of arrival(world, next, 900)) unread[tap]!.push(bytes);
      for (const hop of world.hops.keys()) replay.tap({ hop });
      for (let hungry = replay.hungry(); hungry.length > 0; hungry = replay.hungry()) {
        for (const tap of hungry) {
          const chunk = unread[tap.number]!.shift();
          if (chunk) tap.push(chunk);
          else tap.end();
        }
      }
      if (count > 0) ok(live.filter(({ type }) => type === "packet").length <= count);
      deepStrictEqual(
        replayed.map((event) => JSON.stringify(event)),
        live.map((event) => JSON.stringify(event)),
      );
    }),
    { numRuns: runs, seed: 20261123 },
  );
  t.pass();
});
