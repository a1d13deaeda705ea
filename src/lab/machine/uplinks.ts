/**
 * Uplinks of a lab of root: a marked veth from the machine into each node that asks for one, with a network of four
 * addresses; the node masquerades behind its address, and the machine masquerades that.
 *
 *     machine                                              node
 *     eth0 … masquerade ── yapcup-… 100.64.9.1/30 ═══ uplink 100.64.9.2/30, default route, masquerade … lab
 */
import { addresses, type Link, links, type NetlinkClient, nftables, nsids, routes } from "../../kernel/index.js";
import { formatPrefix, networkOf, parseAddress, type Prefix } from "../../model/address.js";
import { Failure } from "../../model/failure.js";
import type { NftRule, NftTable } from "../../model/nft.js";
import type { NodeSockets } from "../../observe/sockets.js";
import type { ResolvedTopology } from "../../topology/resolved.js";
import { forwardersOf, forwardingSysctls, raiseSysctl } from "./forwarding.js";
import { type Journal, type Made, madeOf, readJournal } from "./journal.js";
import type { Machine } from "./machine.js";
import { aliasOf, altnameOf, commentOf, isLinkOf, tableNameOf } from "./mark.js";
import {
  freeNetwork,
  labNetworks,
  uplinkEnd,
  uplinkName,
  type UplinkNetwork,
  uplinkNetwork,
  uplinkNodes,
  usedNetworks,
} from "./uplink-network.js";

interface Uplink {
  readonly node: string;
  /** The machine's end. */
  readonly name: string;
  readonly network: UplinkNetwork;
  readonly there: boolean;
}

export interface UplinkSite {
  readonly machine: Machine;
  readonly journal: Journal;
  readonly sockets: NodeSockets;
  /** The lab's state folder. */
  readonly folder: string;
  /** Of a real lab: its interfaces on the machine, where its machine node has the uplink itself. */
  readonly behind: readonly string[];
}

/** Brings uplinks to what the topology says: to be called when the nodes are there. Twice is as good as once. */
export function raiseUplinks(topology: ResolvedTopology, machineNode: string | undefined, site: UplinkSite): void {
  const { machine, journal } = site;
  const wanted = uplinkNodes(topology, machineNode).map(({ name }) => name);
  const present = machine.links();
  const own = ownLinks(site, present);
  for (const link of own.filter(({ name }) => !wanted.some((node) => uplinkEnd(topology.name, node) === name))) {
    machine.route.execute(links.remove(link.index));
    journal.gone({ kind: "link", name: link.name });
  }
  const used = [
    ...labNetworks(topology),
    ...usedNetworks(machine.route.execute(routes.list()).map(({ destination }) => destination)),
  ];
  const uplinks: Uplink[] = [];
  for (const node of wanted) {
    const uplink = settle(topology.name, node, site, present, used);
    if (!uplink.there) used.push(uplink.network.network);
    uplinks.push(uplink);
  }
  const behind = machineNode !== undefined && site.behind.length > 0 ? labNetworks(topology) : [];
  if (uplinks.length > 0 || behind.length > 0) raiseForwarding(site, present);
  for (const uplink of uplinks.filter(({ there }) => !there)) connect(topology.name, uplink, site);
  masquerade(topology.name, uplinks, behind, site);
}

/** Links of the lab's uplinks that are there. */
function ownLinks({ journal, folder }: UplinkSite, present: readonly Link[]): Link[] {
  const names = new Set(madeOf(readJournal(folder)?.made ?? [], "link").map(({ name }) => name));
  const { lab, group } = journal.header;
  return present.filter((link) => isLinkOf(link, lab, group, names) && link.alias?.endsWith(`:${uplinkName}`) === true);
}

function settle(
  lab: string,
  node: string,
  site: UplinkSite,
  present: readonly Link[],
  used: readonly Prefix[],
): Uplink {
  const name = uplinkEnd(lab, node);
  const existing = present.find((link) => link.name === name);
  if (existing === undefined) return { node, name, network: freeNetwork(`${lab}/${node}`, used), there: false };
  if (!ownLinks(site, [existing]).includes(existing))
    throw new Failure("machine", `interface '${name}' is there already and is not this lab's`, {
      hint: "give the lab another name: --name",
      code: "EEXIST",
    });
  const { machine, sockets } = site;
  const [address] = machine.route.execute(addresses.list({ index: existing.index, family: 4 }));
  const parsed = address === undefined ? undefined : parseAddress(address.address);
  const peer = machine.route.execute(nsids.get(sockets.namespace(node)));
  // A node that was made anew has lost its end; what is left of the pair belongs to nobody.
  const complete = parsed !== undefined && peer !== undefined && peer === existing.linkNetnsid && hasUplink(site, node);
  if (complete) return { node, name, network: uplinkNetwork(networkOf(parsed, 30)), there: true };
  machine.route.execute(links.remove(existing.index));
  return { node, name, network: freeNetwork(`${lab}/${node}`, used), there: false };
}

function hasUplink({ sockets }: UplinkSite, node: string): boolean {
  return sockets
    .route(node)
    .execute(links.list({ statistics: false }))
    .some(({ name }) => name === uplinkName);
}

function connect(lab: string, { node, name, network }: Uplink, { machine, journal, sockets }: UplinkSite): void {
  journal.make({ kind: "link", name });
  const { group } = journal.header;
  const peer = { name: uplinkName, netnsFd: sockets.namespace(node) };
  machine.route.execute(links.add({ kind: "veth", name, group, peer }));
  const { index } = machine.route.execute(links.get(name));
  machine.route.executeAll([
    links.addAltname(index, altnameOf(lab, name)),
    links.set(index, { alias: aliasOf(lab, node, uplinkName) }),
    addresses.add({ index, address: network.machine, prefixLength: network.network.length }),
    links.set(index, { up: true }),
  ]);
  const route = sockets.route(node);
  const inside = route.execute(links.get(uplinkName)).index;
  route.executeAll([
    links.set(inside, { alias: aliasOf(lab, node, uplinkName), up: true }),
    addresses.add({ index: inside, address: network.node, prefixLength: network.network.length }),
    routes.add({ destination: "0.0.0.0/0", gateway: network.machine, index: inside }),
  ]);
  masqueradeInNode(sockets.netfilter(node), lab);
}

/** In a table whose name does not begin as those of the topology: a plan leaves it alone. */
export function masqueradeInNode(client: NetlinkClient, lab: string): void {
  const out = { kind: "match", field: "oifname", op: "==", value: uplinkName } as const;
  nftables.replaceTables(client, [natTable("uplink", lab, [{ statements: [out, { kind: "masquerade" }] }])]);
}

function natTable(name: string, lab: string, rules: readonly NftRule[]): NftTable {
  const hook = { type: "nat", hook: "postrouting", priority: 100, policy: "accept" } as const;
  return { family: "ip", name, comment: commentOf(lab), chains: [{ name: "postrouting", hook, rules }] };
}

/** What comes from an uplink, or from the networks of a real lab, leaves the machine under the machine's address. */
function masquerade(lab: string, uplinks: readonly Uplink[], behind: readonly Prefix[], site: UplinkSite): void {
  const { machine, journal } = site;
  const name = tableNameOf(lab, "uplink");
  const what: Made = { kind: "table", family: "ip", name };
  const sources = [...uplinks.map(({ network }) => network.network), ...behind].map(formatPrefix);
  if (sources.length === 0) {
    if (!madeOf(readJournal(site.folder)?.made ?? [], "table").some((table) => table.name === name)) return;
    nftables.replaceTables(machine.netfilter, [], { absent: [{ family: "ip", name }] });
    journal.gone(what);
    return;
  }
  const inside = [...uplinks.map((uplink) => uplink.name), ...site.behind];
  journal.make(what);
  nftables.replaceTables(machine.netfilter, [
    natTable(name, lab, [
      {
        statements: [
          { kind: "match", field: "ip saddr", op: "==", value: sources },
          { kind: "match", field: "oifname", op: "!=", value: inside },
          { kind: "masquerade" },
        ],
      },
    ]),
  ]);
}

function raiseForwarding({ machine, journal }: UplinkSite, present: readonly Link[]): void {
  const forwarders = forwardersOf(present, machine.tables());
  raiseSysctl(journal, forwardingSysctls[4], "1", forwarders);
}
