/** Interfaces that lead on over another one, where no prediction goes: it says so instead. */
import type { InterfaceSnapshot } from "../model/snapshot.js";
import type { Bridging } from "./bridging.js";
import { nameOf, type Place } from "./network.js";

const kinds: ReadonlySet<string> = new Set(["vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "vxlan"]);

/** Why a frame is not followed over an interface: `host:vx0 is a vxlan (id 42, UDP port 4789) on host:eth0, …`. */
export function unfollowed(place: Place): string | undefined {
  const { kind, parent, beyond } = place.interface;
  if (!kinds.has(kind)) return undefined;
  const on =
    parent !== undefined
      ? ` on ${parent.node}:${parent.interface}`
      : beyond !== undefined
        ? " on an interface of a namespace that is not in the snapshot"
        : "";
  const settings = settingsOf(place.interface);
  const how = settings === "" ? "" : ` (${settings})`;
  return `${nameOf(place)} is ${kind === "ipvlan" || kind === "ipvtap" ? "an" : "a"} ${kind}${how}${on}, and the way over it is not followed`;
}

function settingsOf({ device }: InterfaceSnapshot): string {
  switch (device?.kind) {
    case "vlan":
      return `id ${device.id}`;
    case "macvlan":
      return `mode ${device.mode}`;
    case "vxlan": {
      const remote = device.remote === undefined ? "" : `, to ${device.remote}`;
      return `id ${device.id}, UDP port ${device.port}${remote}`;
    }
    default:
      return "";
  }
}

/**
 * The ends at which a link-layer network leaves the snapshot, told by why they are not followed.
 * @returns `all`: there is no other way out of it
 */
export function unfollowedEnds(
  bridging: Bridging,
  place: Place,
): { readonly texts: readonly string[]; readonly all: boolean } {
  const ends = bridging.openEnds(place);
  const texts = ends.flatMap((end) => unfollowed(end) ?? []);
  return { texts, all: texts.length > 0 && texts.length === ends.length };
}
