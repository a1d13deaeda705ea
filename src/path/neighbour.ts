/** Who takes a packet in on the link-layer network that it leaves by: the neighbour table, or whoever would answer. */
import { type Address, formatAddress } from "../model/address.js";
import type { Bridging } from "./bridging.js";
import { discoveryRefused } from "./discovery.js";
import { followFrame } from "./frame.js";
import { nameOf, type Place } from "./network.js";

export type Neighbour =
  | { readonly kind: "found"; readonly toward: Place; readonly text: string; readonly doubt?: string }
  /** Somebody outside of the snapshot may answer. */
  | { readonly kind: "outside" }
  /** Nobody answers: the packet waits for three seconds and is given up. */
  | { readonly kind: "none"; readonly code: string; readonly text: string }
  /** A permanent entry sends it to a MAC address that nobody has. */
  | { readonly kind: "lost"; readonly text: string };

export function findNeighbour(bridging: Bridging, out: Place, nexthop: Address, sender: Address): Neighbour {
  const asked = formatAddress(nexthop);
  const entry = out.node.neighbours.find(
    (one) => one.interface === out.interface.name && one.address === asked && one.mac !== undefined,
  );
  const known = entry?.mac === undefined ? undefined : bridging.byMac(out, entry.mac);
  const told = (toward: Place): string =>
    `neighbour ${asked} is ${entry?.mac ?? ""} (${entry?.state ?? ""}): ${nameOf(toward)}`;

  if (entry?.state === "permanent") {
    if (known !== undefined) return { kind: "found", toward: known, text: told(known) };
    if (!bridging.closed(out)) return { kind: "outside" };
    return {
      kind: "lost",
      text: `the permanent neighbour ${asked} of ${nameOf(out)} is ${entry.mac ?? ""}, which nobody has`,
    };
  }
  const [owner, rival] = bridging.owners(out, nexthop).filter((place) => place !== out);
  const toward = owner ?? known;
  if (toward === undefined)
    return bridging.closed(out)
      ? { kind: "none", code: "no-neighbour", text: `nobody on ${nameOf(out)} answers for ${asked}` }
      : { kind: "outside" };
  if (known === toward) return { kind: "found", toward, text: told(toward) };
  const broken = brokenBetween(bridging, out, toward) ?? brokenBetween(bridging, toward, out);
  if (broken !== undefined) return { kind: "none", ...broken };
  const refused = discoveryRefused(bridging, out, toward, nexthop, sender);
  if (refused !== undefined) {
    const text = `nobody on ${nameOf(out)} answers for ${asked}: ${refused} stops neighbour discovery`;
    return { kind: "none", code: "no-neighbour", text };
  }
  const doubt = rival && `${nameOf(toward)} and ${nameOf(rival)} both answer for ${asked}; the first is taken`;
  const question = nexthop.family === 4 ? "ARP" : "neighbour discovery";
  return {
    kind: "found",
    toward,
    text: `neighbour ${asked} by ${question}: ${nameOf(toward)} answers (${toward.interface.mac ?? "no MAC"})`,
    ...(doubt === undefined ? {} : { doubt }),
  };
}

/** Why a question or its answer does not get there; undefined where it does. */
function brokenBetween(
  bridging: Bridging,
  from: Place,
  to: Place,
): { readonly code: string; readonly text: string } | undefined {
  const down = [from, to].find((place) => !place.interface.up);
  if (down !== undefined) return { code: "link-down", text: `${nameOf(down)} is down` };
  const end = followFrame(bridging, {
    place: from,
    direction: "out",
    toward: to,
    owner: () => to,
    step: () => true,
  });
  return end?.kind === "dropped" ? { code: end.code, text: end.text } : undefined;
}
