/**
 * Packets as pcapng that Wireshark opens: one interface a hop, `epb_packetid` the same for one packet at all of them,
 * the direction, rewrites and verdict as comments, and at the end what each tap lost (draft-ietf-opsawg-pcapng).
 */
import { type Hop, hopName } from "../model/hop.js";
import type { HopEvent, PacketEvent, Sighting, TraceEvent } from "../model/trace.js";
import { pcapngInterface, pcapngPacket, pcapngSection, pcapngStatistics } from "../packet/pcapng.js";
import { LinkType } from "../packet/protocol.js";
import type { OpenPacketSource } from "./packet-source.js";

export interface PcapngOptions {
  readonly title: string;
  /**
   * Each packet is written as it closes, for somebody who reads along (`-o pcapng=- | wireshark -k -i -`). Else all stand
   * in the order of their stamps, and come with the `end` event.
   */
  readonly flowing: boolean;
}

const nothing = new Uint8Array(0);

/** @returns a printer whose document is whole after the `end` event */
export function pcapngExport(
  source: OpenPacketSource | undefined,
  options: PcapngOptions,
): (event: TraceEvent) => Uint8Array {
  const document = new Document(source, options);
  const waiting: PacketEvent[] = [];
  return (event) => {
    switch (event.type) {
      case "trace":
        document.begin(BigInt(event.epoch), event.hops);
        return options.flowing ? document.header() : nothing;
      case "packet":
        if (event.provisional === true) return nothing;
        if (options.flowing) return document.packets([event]);
        waiting.push(event);
        return nothing;
      case "hop":
        document.hop(event);
        return nothing;
      case "end":
        return Buffer.concat([
          ...(options.flowing ? [] : [document.header(), document.packets(waiting)]),
          document.close(event.time),
        ]);
      default:
        return nothing;
    }
  };
}

class Document {
  #epoch = 0n;
  #hops: ReadonlyMap<string, Hop> = new Map();
  /** Number of each interface that has been described, by hop and link type. */
  readonly #interfaces = new Map<string, number>();
  readonly #ended: HopEvent[] = [];

  constructor(
    private readonly source: OpenPacketSource | undefined,
    private readonly options: PcapngOptions,
  ) {}

  begin(epoch: bigint, hops: readonly Hop[]): void {
    this.#epoch = epoch;
    this.#hops = new Map(hops.map((hop) => [hopName(hop), hop]));
  }

  header(): Uint8Array {
    return pcapngSection(this.options.title);
  }

  packets(packets: readonly PacketEvent[]): Uint8Array {
    const records = packets.flatMap((packet) => packet.sightings.map((sighting, at) => ({ packet, sighting, at })));
    if (!this.options.flowing) records.sort((a, b) => a.sighting.time - b.sighting.time);
    return Buffer.concat(records.flatMap(({ packet, sighting, at }) => this.#record(packet, sighting, at)));
  }

  hop(event: HopEvent): void {
    this.#ended.push(event);
  }

  /** What each tap received and lost. */
  close(time: number): Uint8Array {
    const descriptions = this.#describe(LinkType.ethernet);
    const statistics = this.#ended.flatMap(({ hop, seen, dropped }, index) =>
      this.#hops.has(hop)
        ? [pcapngStatistics({ interface: index, time: this.#epoch + BigInt(time), received: seen + dropped, dropped })]
        : [],
    );
    return Buffer.concat([...descriptions, ...statistics]);
  }

  #record(packet: PacketEvent, sighting: Sighting, at: number): Uint8Array[] {
    const bytes = this.source?.bytes(sighting);
    const hop = this.#hops.get(sighting.hop);
    if (this.source === undefined || bytes === undefined || hop === undefined) return [];
    const linkType = this.source.linkType(sighting);
    const blocks = this.#describe(linkType);
    const number = this.#interface(sighting.hop, linkType, blocks);
    const comment = commentOf(packet, sighting, at);
    const direction = linkType === LinkType.linuxCooked2 ? cookedDirection(bytes) : directionOf(packet, at, hop);
    blocks.push(
      pcapngPacket({
        interface: number,
        time: this.#epoch + BigInt(sighting.time),
        bytes,
        // A cooked header is longer than the Ethernet header that lengths are told with.
        length: sighting.length + (linkType === LinkType.linuxCooked2 ? 6 : 0),
        packetId: packet.id,
        ...(direction === undefined ? {} : { direction }),
        ...(comment === "" ? {} : { comment }),
      }),
    );
    return blocks;
  }

  /** One interface a hop, in their order: before the first packet, whose kind of tap is most likely that of all. */
  #describe(linkType: number): Uint8Array[] {
    if (this.#interfaces.size > 0) return [];
    const blocks: Uint8Array[] = [];
    for (const name of this.#hops.keys()) this.#interface(name, linkType, blocks);
    return blocks;
  }

  /** An interface has one link type: a hop whose tap was replaced by one on its whole node takes a second interface. */
  #interface(name: string, linkType: number, blocks: Uint8Array[]): number {
    const key = `${linkType} ${name}`;
    const known = this.#interfaces.get(key);
    if (known !== undefined) return known;
    const number = this.#interfaces.size;
    this.#interfaces.set(key, number);
    blocks.push(pcapngInterface({ name, linkType }));
    return number;
  }
}

/** PACKET_OUTGOING of linux/if_packet.h. */
const outgoing = 4;

function cookedDirection(bytes: Uint8Array): "in" | "out" {
  return bytes[10] === outgoing ? "out" : "in";
}

/** By the interface's own address; a frame that is another's came over the link, or goes over it, to another node. */
function directionOf({ sightings }: PacketEvent, at: number, { node, mac }: Hop): "in" | "out" | undefined {
  const own = sightings[at];
  if (mac !== undefined && own?.sourceMac === mac) return "out";
  if (mac !== undefined && own?.destinationMac === mac) return "in";
  const elsewhere = (other: Sighting | undefined): boolean => other !== undefined && !other.hop.startsWith(`${node}:`);
  if (elsewhere(sightings[at - 1])) return "in";
  return elsewhere(sightings[at + 1]) ? "out" : undefined;
}

/** What changed since the hop before, and, at the last hop, how it ended. */
function commentOf(packet: PacketEvent, sighting: Sighting, at: number): string {
  const lines = packet.rewrites
    .filter(({ between: [, after] }) => after === sighting.hop)
    .map(({ kind, from, to }) => `${kind} ${from} -> ${to}`);
  if (at === packet.sightings.length - 1) lines.push(verdictOf(packet));
  return lines.join("; ");
}

function verdictOf({ verdict }: PacketEvent): string {
  if (verdict.kind === "delivered") return "delivered";
  const place = verdict.kind === "dropped" && verdict.before !== undefined ? ` before ${verdict.before}` : "";
  const cause = verdict.kind === "dropped" ? (verdict.cause?.text ?? "") : verdict.reason;
  return [`${verdict.kind}${place}`, cause].filter((part) => part !== "").join(": ");
}
