/**
 * Packets as pcapng that Wireshark opens: one interface a hop, `epb_packetid` the same for one packet at all of them,
 * rewrites and verdict as comments (draft-ietf-opsawg-pcapng).
 */
import { hopName } from "../model/hop.js";
import type { PacketEvent, Sighting, TraceEvent } from "../model/trace.js";
import { pcapngHeader, pcapngPacket } from "../packet/pcapng.js";
import type { OpenPacketSource } from "./packet-source.js";

/** @returns a printer whose document is whole after the `end` event; packets stand in the order of their stamps */
export function pcapngExport(source: OpenPacketSource | undefined, title: string): (event: TraceEvent) => Uint8Array {
  const nothing = new Uint8Array(0);
  const packets: PacketEvent[] = [];
  let epoch = 0n;
  let hops: readonly string[] = [];
  return (event) => {
    if (event.type === "trace") {
      epoch = BigInt(event.epoch);
      hops = event.hops.map(hopName);
    } else if (event.type === "packet") packets.push(event);
    return event.type === "end" ? document(packets, hops, epoch, source, title) : nothing;
  };
}

function document(
  packets: readonly PacketEvent[],
  hops: readonly string[],
  epoch: bigint,
  source: OpenPacketSource | undefined,
  title: string,
): Uint8Array {
  const numbers = new Map(hops.map((hop, index) => [hop, index]));
  const records = packets.flatMap((packet) => packet.sightings.map((sighting, at) => ({ packet, sighting, at })));
  records.sort((a, b) => a.sighting.time - b.sighting.time);
  const blocks = records.flatMap(({ packet, sighting, at }) => {
    const bytes = source?.bytes(sighting.hop, sighting.record);
    const number = numbers.get(sighting.hop);
    if (bytes === undefined || number === undefined) return [];
    const comment = commentOf(packet, sighting, at);
    return [
      pcapngPacket({
        interface: number,
        time: epoch + BigInt(sighting.time),
        bytes,
        length: sighting.length,
        packetId: packet.id,
        ...(comment === "" ? {} : { comment }),
      }),
    ];
  });
  const interfaces = hops.map((name) => ({ name, linkType: source?.linkType(name) ?? 1 }));
  return Buffer.concat([pcapngHeader(interfaces, title), ...blocks]);
}

/** What changed since the hop before, and, at the last hop, how it ended. */
function commentOf(packet: PacketEvent, sighting: Sighting, at: number): string {
  const lines = packet.rewrites
    .filter(({ between: [, after] }) => after === sighting.hop)
    .map(({ kind, from, to }) => `${kind} ${from} -> ${to}`);
  if (at === packet.sightings.length - 1 && packet.verdict.kind !== "delivered") {
    const { verdict } = packet;
    const place = verdict.kind === "dropped" && verdict.before !== undefined ? ` before ${verdict.before}` : "";
    const cause = verdict.kind === "dropped" ? (verdict.cause?.text ?? "") : verdict.reason;
    lines.push([`${verdict.kind}${place}`, cause].filter((part) => part !== "").join(": "));
  }
  return lines.join("; ");
}
