/** A made-up world through the trace core: records as they come, conntrack events at their time. */
import type { PacketEvent } from "../../../src/model/trace.js";
import { pcapHeader, pcapRecord } from "../../../src/packet/pcap.js";
import { noFilter } from "../../../src/trace/core.js";
import { createTrace } from "../../../src/trace/trace.js";
import type { World } from "./index.js";

export const epoch = 1_700_000_000_000_000_000n;

export function run(world: World): PacketEvent[] {
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
  const records = world.captures.flat().sort((a, b) => a.time - b.time || a.hop - b.hop);
  let told = 0;
  for (const { time, hop, frame } of records) {
    for (let event = world.events[told]; event && event.time < time; event = world.events[++told]) {
      trace.tick(event.time); // a tap that has seen nothing holds nobody back
      trace.conntrack(event.event);
    }
    taps[hop]!.push(pcapRecord(epoch + BigInt(time), frame.bytes, frame.length));
  }
  for (const { event } of world.events.slice(told)) trace.conntrack(event);
  for (const tap of taps) tap.end();
  trace.end();
  return packets;
}
