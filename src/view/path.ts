/**
 * One packet's way, ready to be drawn: stations in path order, each with the gap that was crossed to reach it. Every
 * view that shows a path draws this; none of them looks at sightings, rewrites and implied hops on its own.
 */
import type { PacketEvent, Rewrite, Sighting } from "../model/trace.js";

export interface Station {
  readonly hop: string;
  /** Absent: an implied hop, on the way but unable to show the packet. */
  readonly sighting?: Sighting;
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
  /** False: it got no further than its last station. */
  readonly arrived: boolean;
}

export function pathOf(packet: PacketEvent): PacketPath {
  const stations: Station[] = [];
  const rewrites = [...packet.rewrites];
  /** Rewrites that happened on the way to `hop`; each is given out once, for a packet may pass a hop twice. */
  const takeRewrites = (from: string | undefined, hop: string): Rewrite[] => {
    const taken: Rewrite[] = [];
    for (let index = 0; index < rewrites.length;) {
      const rewrite = rewrites[index];
      if (rewrite?.between[1] === hop && (from === undefined || rewrite.between[0] === from)) {
        taken.push(rewrite);
        rewrites.splice(index, 1);
      } else index += 1;
    }
    return taken;
  };
  const implied = [...packet.implied];
  let previous: Sighting | undefined;
  for (const sighting of packet.sightings) {
    const gap =
      previous === undefined
        ? undefined
        : { elapsed: sighting.time - previous.time, rewrites: takeRewrites(previous.hop, sighting.hop) };
    stations.push({ hop: sighting.hop, sighting, ...(gap && { gap }) });
    for (let index = implied.findIndex(({ after }) => after === sighting.hop); index >= 0;) {
      const [bridge] = implied.splice(index, 1);
      if (bridge !== undefined)
        stations.push({ hop: bridge.hop, gap: { rewrites: takeRewrites(undefined, bridge.hop) } });
      index = implied.findIndex(({ after }) => after === sighting.hop);
    }
    previous = sighting;
  }
  const first = packet.sightings[0];
  const { verdict } = packet;
  return {
    stations,
    total: first === undefined || previous === undefined ? 0 : previous.time - first.time,
    ...(verdict.kind === "dropped" && verdict.before !== undefined && { missing: verdict.before }),
    arrived: verdict.kind !== "dropped",
  };
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

export function rewriteName(rewrite: Rewrite): string {
  return rewriteNames[rewrite.kind];
}

/** `DNAT 203.0.113.1:8080 -> 10.0.0.10:80` */
export function rewriteText(rewrite: Rewrite): string {
  return `${rewriteName(rewrite)} ${rewrite.from} -> ${rewrite.to}`;
}

/** What was rewritten on the way, MAC addresses left out: they change at every router and say little. */
export function rewritesOf(packet: PacketEvent): string[] {
  return packet.rewrites.filter(({ kind }) => kind !== "mac").map(rewriteText);
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
