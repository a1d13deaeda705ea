/**
 * One packet's way, ready to be drawn: stations in path order, each with the gap that was crossed to reach it. Every
 * view that shows a path draws this; none of them looks at sightings, rewrites and implied hops on its own.
 */
import type { PacketEvent, Rewrite, Sighting } from "../model/trace.js";
import { elapsed } from "./quantity.js";

export interface Station {
  readonly hop: string;
  /** Absent: an implied hop, on the way but unable to show the packet. */
  readonly sighting?: Sighting;
  /** Pieces that a divided packet passed here in; `sighting` is the first of them. Absent where it was in one piece. */
  readonly parts?: number;
  /** Absent at the first station. */
  readonly gap?: Gap;
}

export interface Gap {
  /** Nanoseconds since the last sighting before; absent before an implied hop. */
  readonly elapsed?: number;
  readonly rewrites: readonly Rewrite[];
}

export interface PacketPath {
  readonly stations: readonly Station[];
  /** Nanoseconds from the first sighting to the last. */
  readonly total: number;
  /** Where a dropped packet should have been seen next. */
  readonly missing?: string;
}

export function pathOf(packet: PacketEvent): PacketPath {
  const stations: Station[] = [];
  // Each is given out once: a packet may pass a hop twice.
  const rewrites = [...packet.rewrites];
  const implied = [...packet.implied];
  const divided = isDivided(packet);
  let previous: Sighting | undefined;
  for (const sighting of packet.sightings) {
    const { hop, time } = sighting;
    const station = stations.at(-1);
    if (divided && previous?.hop === hop && station?.hop === hop) {
      stations[stations.length - 1] = { ...station, parts: (station.parts ?? 1) + 1 };
      continue;
    }
    const from = previous;
    const gap = from && {
      elapsed: time - from.time,
      rewrites: take(rewrites, ({ between }) => between[0] === from.hop && between[1] === hop),
    };
    stations.push(gap === undefined ? { hop, sighting } : { hop, sighting, gap });
    for (const bridge of take(implied, ({ after }) => after === hop)) {
      stations.push({ hop: bridge.hop, gap: { rewrites: take(rewrites, ({ between }) => between[1] === bridge.hop) } });
    }
    previous = sighting;
  }
  const { verdict } = packet;
  return {
    stations,
    total: totalOf(packet),
    ...(verdict.kind === "dropped" && verdict.before !== undefined && { missing: verdict.before }),
  };
}

/** Nanoseconds from the first sighting to the last. */
export function totalOf({ sightings }: Pick<PacketEvent, "sightings">): number {
  const first = sightings[0];
  return first === undefined ? 0 : (sightings.at(-1) ?? first).time - first.time;
}

/** A number for each direction of each exchange. */
export function sideOf({ exchange, direction }: Pick<PacketEvent, "exchange" | "direction">): number {
  return 2 * exchange + (direction === "reply" ? 1 : 0);
}

/** Whether it was one frame at some hops and several at others: then neighbouring sightings of one hop are its parts. */
export function isDivided({ rewrites }: Pick<PacketEvent, "rewrites">): boolean {
  return rewrites.some(({ kind }) => kind === "segmentation");
}

/** `host:eth0`, `host:eth0 ×12` where a packet passed it in parts. */
export function stationName({ hop, parts }: Station): string {
  return parts === undefined ? hop : `${hop} ×${parts}`;
}

const nothing: readonly never[] = [];

/** Takes out of the list what fits. */
function take<T>(list: T[], fits: (item: T) => boolean): readonly T[] {
  // As in most gaps.
  if (!list.some(fits)) return nothing;
  const taken = list.filter(fits);
  for (const item of taken) list.splice(list.indexOf(item), 1);
  return taken;
}

/** Rewrites that stand on the path itself. TTL and MAC change at every router: they are told where there is room. */
export function marksOf(gap: Gap): string[] {
  return gap.rewrites.filter(({ kind }) => kind !== "ttl" && kind !== "mac").map(rewriteName);
}

const rewriteNames: Readonly<Record<Rewrite["kind"], string>> = {
  dnat: "DNAT",
  snat: "SNAT",
  ttl: "ttl",
  mac: "mac",
  segmentation: "segmentation",
  mss: "mss",
  dscp: "dscp",
};

function rewriteName(rewrite: Rewrite): string {
  return rewriteNames[rewrite.kind];
}

/** `DNAT 203.0.113.1:8080 -> 10.0.0.10:80` */
export function rewriteText(rewrite: Rewrite): string {
  return `${rewriteName(rewrite)} ${rewrite.from} -> ${rewrite.to}`;
}

/** What was rewritten in a gap or all the way, MAC addresses left out: they change at every router and say little. */
export function rewritesOf({ rewrites }: Pick<PacketEvent, "rewrites">): string[] {
  return rewrites.filter(({ kind }) => kind !== "mac").map(rewriteText);
}

/** `+4.1 DNAT`: what stands on an arrow. */
export function gapLabel(gap: Gap): string {
  return [...(gap.elapsed === undefined ? [] : [elapsed(gap.elapsed)]), ...marksOf(gap)].join(" ");
}

/** `→ tcp SYN`: requests go to the right. */
export function titleOf({ direction, protocol, summary }: PacketEvent): string {
  return `${direction === "request" ? "→" : "←"} ${protocol} ${summary}`;
}

/** `203.0.113.2:43210`, `[fd00::1]:80`, or the bare address where there are no ports. */
export function endpoint(address: string, port: number | undefined): string {
  if (port === undefined) return address;
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** `203.0.113.2:43210 -> 203.0.113.1:8080`, as the packet looked at one hop. */
export function addressesOf(sighting: Sighting): string {
  return `${endpoint(sighting.source, sighting.sourcePort)} -> ${endpoint(sighting.destination, sighting.destinationPort)}`;
}
