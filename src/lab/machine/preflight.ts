/**
 * Whether a lab can be built on this machine beside what is there. Everything is asked before anything is done: a name
 * that is taken, a network that is in use, a firewall that would drop the lab's packets.
 */
import {
  contains,
  isLinkLocal,
  networkOf,
  overlaps,
  parseAddress,
  parsePrefix,
  type Prefix,
} from "../../model/address.js";
import { Failure } from "../../model/failure.js";
import type { NodeSnapshot, RouteSnapshot } from "../../model/snapshot.js";
import type { ResolvedNode, ResolvedTopology } from "../../topology/resolved.js";
import { forwardChains, type OpenDoor } from "./forward-chains.js";
import { forwardingSysctls, readSysctl } from "./forwarding.js";
import { type JournalContents, madeOf } from "./journal.js";
import { altnameOf, isLinkOf, isTableOf, labOfLink, tableNameOf } from "./mark.js";

const mainTable = 254;
/** RTPROT_RA (linux/rtnetlink.h): learnt from a router advertisement. */
const fromAdvertisement = 9;

/** What stands on the machine of a topology. @throws Failure (usage) where the file does not say */
export function machineNode(topology: ResolvedTopology): ResolvedNode {
  const node = topology.nodes.find(({ name }) => name === topology.machine);
  if (node === undefined)
    throw new Failure("usage", `the topology of '${topology.name}' does not say which node the machine is`, {
      hint: 'give it "machine": "NODE", or leave --real away',
    });
  if (node.container !== undefined)
    throw new Failure("usage", `node '${node.name}' stands for the machine and runs a container`, {
      hint: "with --real the machine's node cannot be a container",
    });
  return node;
}

/** Names of the interfaces that a topology puts on the machine. */
export function machineInterfaces(topology: ResolvedTopology, node: ResolvedNode): string[] {
  const ends = topology.links.flatMap((link) => link.ends).filter((end) => end.node === node.name);
  const made = [...node.bridges, ...node.devices].map(({ name }) => name);
  return [...new Set([...made, ...ends.map((end) => end.interface)])];
}

/**
 * Interfaces of the lab between which the machine forwards: its bridges; and where two or more links end on the machine
 * itself, or no bridge is there, these ends as well.
 */
export function forwardingInterfaces(topology: ResolvedTopology, node: ResolvedNode): string[] {
  if (neededSysctls(node).length === 0) return [];
  const bridges = node.bridges.map(({ name }) => name);
  const ends = topology.links.flatMap((link) => link.ends).filter((end) => end.node === node.name);
  const routed = [
    ...ends.filter(({ master }) => master === undefined).map((end) => end.interface),
    ...node.devices.filter(({ master }) => master === undefined).map(({ name }) => name),
  ];
  return bridges.length > 0 && routed.length < 2 ? bridges : [...bridges, ...routed];
}

/** Sysctls of the machine that the node relies on. */
export function neededSysctls(node: ResolvedNode): string[] {
  return node.sysctls
    .filter(({ name, value }) => Object.values<string>(forwardingSysctls).includes(name) && value === "1")
    .map(({ name }) => name);
}

export interface PreflightResult {
  /** Where Docker lets others say what may be forwarded. */
  readonly doors: readonly OpenDoor[];
  readonly warnings: readonly string[];
}

/**
 * @param interfaces of the lab on the machine that packets are forwarded to and from
 * @throws Failure (machine) that says what is in the way
 */
export function preflight(
  topology: ResolvedTopology,
  node: ResolvedNode,
  machine: NodeSnapshot,
  journal: JournalContents,
  interfaces: readonly string[],
): PreflightResult {
  const lab = topology.name;
  const journalled = new Set(madeOf(journal.made, "link").map(({ name }) => name));
  const foreign = machine.interfaces.filter((link) => !isLinkOf(link, lab, journal.header.group, journalled));
  const foreignNames = new Set(foreign.map(({ name }) => name));
  checkNames(topology, node, foreign, machine);
  checkNetworks(
    node,
    lab,
    machine.routes.filter((route) => route.nexthops.some((hop) => foreignNames.has(hop.interface ?? ""))),
    foreign,
  );
  const needs = neededSysctls(node);
  checkAdvertisements(machine, needs);
  const families = new Set<4 | 6>();
  if (needs.includes(forwardingSysctls[4])) families.add(4);
  if (needs.includes(forwardingSysctls[6])) families.add(6);
  // An uplink forwards IPv4, whatever the topology does.
  if (interfaces.length > forwardingInterfaces(topology, node).length) families.add(4);
  const doors = checkForwarding(machine, families, interfaces);
  return { doors, warnings: warningsOf(machine, node) };
}

/** @throws Failure (machine) where somebody's chain drops what the interfaces forward */
export function checkForwarding(
  machine: Pick<NodeSnapshot, "nftables">,
  families: ReadonlySet<4 | 6>,
  interfaces: readonly string[],
): readonly OpenDoor[] {
  if (interfaces.length === 0) return [];
  const { open, closed } = forwardChains(machine.nftables, families, interfaces);
  if (closed.length > 0)
    throw new Failure(
      "machine",
      `this machine drops what it would forward for ${interfaces.join(", ")}: ${closed.map(({ where }) => where).join("; ")}`,
      { hint: `it is not ours to change; run: ${closed.map(({ line }) => line).join(" && ")}`, code: "FORWARD_DROP" },
    );
  return open;
}

function checkNames(
  topology: ResolvedTopology,
  node: ResolvedNode,
  foreign: NodeSnapshot["interfaces"],
  machine: NodeSnapshot,
): void {
  const lab = topology.name;
  const long = node.interfaces.flatMap(({ longName }) => longName ?? []);
  const own = machineInterfaces(topology, node);
  for (const name of [...own, ...long, ...own.map((each) => altnameOf(lab, each))]) {
    const taken = foreign.find((link) => link.name === name || link.altnames.includes(name));
    if (taken === undefined) continue;
    const owner = labOfLink(taken);
    throw new Failure(
      "machine",
      `interface '${name}' is there already and ${owner === undefined ? "is not this lab's" : `belongs to lab '${owner}'`}`,
      { hint: `give node '${node.name}' another name for it, or leave --real away`, code: "EEXIST" },
    );
  }
  const table = machine.nftables.find((each) => each.name.startsWith(tableNameOf(lab, "")) && !isTableOf(each, lab));
  if (table !== undefined)
    throw new Failure("machine", `table ${table.family} ${table.name} is there already and is not this lab's`, {
      hint: "give the lab another name: --name",
      code: "EEXIST",
    });
}

function checkNetworks(
  node: ResolvedNode,
  lab: string,
  routes: readonly RouteSnapshot[],
  foreign: NodeSnapshot["interfaces"],
): void {
  const wanted = [
    ...node.interfaces
      .flatMap((member) => member.addresses)
      .flatMap(({ address, prefixLength }) => networkText(address, prefixLength)),
    ...node.routes.flatMap((route) => parsePrefix(route.destination) ?? []),
  ].filter((prefix) => !isLinkLocal(prefix));
  const used = routes
    .filter((route) => route.type === "unicast" && route.table === mainTable)
    .flatMap((route) => {
      const prefix = parsePrefix(route.destination);
      return prefix === undefined || isLinkLocal(prefix) ? [] : [{ prefix, route }];
    });
  for (const prefix of wanted) {
    const clash = used.find(({ prefix: other }) => clashes(prefix, other));
    const interfaceName = clash?.route.nexthops[0]?.interface ?? "another interface";
    if (clash !== undefined)
      throw new Failure(
        "machine",
        `the network ${clash.route.destination} of lab '${lab}' is in use on this machine (${interfaceName})`,
        { hint: "give the lab other addresses, or leave --real away", code: "EADDRINUSE" },
      );
    const address = foreign
      .flatMap((link) => link.addresses.map((each) => ({ link, each })))
      .find(({ each }) => {
        const parsed = parseAddress(each.address);
        return parsed !== undefined && prefix.length > 0 && contains(prefix, parsed);
      });
    if (address !== undefined)
      throw new Failure(
        "machine",
        `the address ${address.each.address} of ${address.link.name} lies in a network of lab '${lab}'`,
        { hint: "give the lab other addresses, or leave --real away", code: "EADDRINUSE" },
      );
  }
}

function networkText(address: string, length: number): Prefix[] {
  const parsed = parseAddress(address);
  return parsed === undefined ? [] : [networkOf(parsed, length)];
}

/** A default route overlaps with everything and stands in the way of another default route only. */
function clashes(a: Prefix, b: Prefix): boolean {
  if (a.length === 0 || b.length === 0) return a.length === b.length && overlaps(a, b);
  return overlaps(a, b);
}

/** Turning IPv6 forwarding on makes the kernel forget the routers that it learnt of (addrconf_fixup_forwarding). */
function checkAdvertisements({ routes, sysctls }: NodeSnapshot, needs: readonly string[]): void {
  const sysctl = forwardingSysctls[6];
  if (!needs.includes(sysctl) || sysctls[sysctl] === "1") return;
  const learnt = routes.find((route) => route.protocol === fromAdvertisement && route.destination === "::/0");
  const name = learnt?.nexthops[0]?.interface;
  if (name === undefined) return;
  const accept = `net.ipv6.conf.${name.replaceAll(".", "/")}.accept_ra`;
  if (readSysctl(accept) === "2") return;
  throw new Failure("machine", `the machine's IPv6 default route was advertised on ${name}; forwarding would lose it`, {
    hint: `run: sysctl -w ${accept}=2`,
  });
}

function warningsOf({ sysctls }: NodeSnapshot, node: ResolvedNode): string[] {
  const filtered = node.bridges.length > 0 && sysctls["net.bridge.bridge-nf-call-iptables"] === "1";
  return filtered
    ? [
        "bridge-nf-call-iptables is 1 on this machine: what a bridge passes between its ports goes through iptables, too; it is left as it is",
      ]
    : [];
}
