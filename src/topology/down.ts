/** Links that are down from the start: what is said of the routes over them. */
import { contains, networkOf, parseAddress } from "../model/address.js";
import { isUp, parentOf } from "./devices.js";
import type { Draft, DraftInterface, DraftNode } from "./draft.js";
import type { RouteForm } from "./form/node.js";
import type { Path } from "./problem.js";
import type { ResolvedRoute } from "./resolved.js";
import type { Routing } from "./routing.js";
import { vrfOfRoute } from "./vrf.js";
import { wireName } from "./wire-name.js";

export function checkDownLinks(draft: Draft, routing: Routing): void {
  for (const node of draft.nodes.values()) {
    for (const member of node.interfaces.values()) checkVlan(draft, member);
    for (const [index, route] of (node.form.routes ?? []).entries()) {
      checkRoute(draft, node, route, [...node.at, "routes", index]);
    }
    checkSevered(draft, node, routing.severed.get(node) ?? []);
  }
}

function checkVlan({ document }: Draft, member: DraftInterface): void {
  const { node, name, at, device, settings } = member;
  if (device?.kind !== "vlan" || settings.up !== true) return;
  const parent = parentOf(member);
  if (!parent || isUp(parent)) return;
  document.error([...at, "up"], `${node.name}:${name} cannot be up while ${parent.name}, which carries it, is down`, {
    code: "conflict",
  });
}

/** A route of the file that the kernel would refuse now ("Nexthop has invalid gateway"), or that leads to a dead end. */
function checkRoute({ document }: Draft, node: DraftNode, route: RouteForm, at: Path): void {
  const ways = waysOf(node, route);
  const [first] = ways;
  if (!first || ways.some((member) => isUp(member) && isUp(otherEnd(member) ?? member))) return;
  const where = `${node.name}:${first.name}`;
  const why = isUp(first)
    ? `the other end of ${where} is down`
    : `${where} is down, and the route waits until it is up`;
  document.warning(at, `this route leads nowhere: ${why}`, { code: "unreachable", hint: hintFor(first) });
}

/** The interfaces that a route of the file may leave by. */
function waysOf(node: DraftNode, route: RouteForm): DraftInterface[] {
  if (route.interface !== undefined) {
    const out = node.interfaces.get(route.interface);
    return out ? [out] : [];
  }
  const via = route.via === undefined ? undefined : parseAddress(route.via);
  const vrf = vrfOfRoute(node, route);
  return [...node.interfaces.values()].filter(
    (member) =>
      via !== undefined &&
      (member.vrf ?? (member.device?.kind === "vrf" ? member : undefined)) === vrf &&
      member.addresses.some(({ address, length }) => contains(networkOf(address, length), via)),
  );
}

function otherEnd(member: DraftInterface): DraftInterface | undefined {
  return member.link?.ends.find((end) => end !== member);
}

function hintFor(member: DraftInterface): string {
  const [down, ...others] = [member, otherEnd(member)].filter((end) => end && !isUp(end));
  const end = down ?? member;
  const flags = others.length > 0 ? "--both --up" : "--up";
  return `yapc-net link ${end.node.name}:${end.name} ${flags}, once the lab runs, sets it up`;
}

/** What has no way by the links that are up, told once for each interface that it would leave by. */
function checkSevered({ document }: Draft, node: DraftNode, routes: readonly ResolvedRoute[]): void {
  for (const member of node.interfaces.values()) {
    const lost = routes.filter((route) => route.interface === wireName(member.name));
    if (lost.length === 0) continue;
    const down = [member, otherEnd(member)].find((end) => end && !isUp(end));
    const place = down ?? member;
    const where = placesOf(place);
    const destinations = lost.slice(0, 3).map(({ destination }) => destination);
    const more = lost.length > 3 ? ` and ${lost.length - 3} more` : "";
    const why = down ? `${down.node.name}:${down.name} is down` : `a link behind ${node.name}:${member.name} is down`;
    document.warning(
      document.placed(...where, place.at),
      `"${node.name}" has no way to ${destinations.join(", ")}${more}: ${why}`,
      { code: "unreachable", hint: down && hintFor(down) },
    );
  }
}

/** Where the file may say that an interface is down, the nearest first. */
function placesOf({ at, endAt, link }: DraftInterface): [Path, ...Path[]] {
  return [
    [...at, "up"],
    ...(endAt ? [[...endAt, "up"]] : []),
    ...(link ? [[...link.at, "up"]] : []),
    ...(link?.at[0] === "networks"
      ? [
          [...link.at.slice(0, 2), "up"],
          ["defaults", "network", "up"],
        ]
      : []),
    ["defaults", "link", "up"],
  ];
}
