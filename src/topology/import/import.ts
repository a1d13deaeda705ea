/**
 * A snapshot as a topology file: so that somebody else can build as a lab what runs here. What the format has no words
 * for is told of. Only what differs from what the file gives by itself is written: the file is resolved, and compared.
 */
import { parseAddress, sameAddress } from "../../model/address.js";
import type { NodeSnapshot, Snapshot } from "../../model/snapshot.js";
import type { TopologyForm } from "../form/file.js";
import { formatProblems } from "../problem.js";
import { readTopology } from "../read.js";
import type { ResolvedTopology } from "../resolved.js";
import { labContainer, labExpectations, standIn } from "./containers.js";
import { writeDifferences } from "./differences.js";
import type { EndDraft, NodeDraft, TopologyDraft } from "./draft.js";
import { importFirewall } from "./firewall.js";
import { flattened } from "./flatten.js";
import { importNat } from "./nat.js";
import { freeName, labName, nodeNames } from "./names.js";
import {
  addressesOf,
  carriedAs,
  deviceForm,
  endName,
  endSettings,
  importNeighbours,
  importRoutes,
  importRules,
  nameInFile,
  outsideOf,
} from "./network.js";
import type { ImportedNode } from "./node.js";
import { printTopology } from "./print.js";

export interface ImportOptions {
  readonly name: string;
  /** The first lines of the file: where it comes from. */
  readonly heading: readonly string[];
  /** Of a lab: what it was started with, for what the kernel does not tell (commands, files, expectations). */
  readonly lab?: ResolvedTopology;
}

export interface Imported {
  /** JSON with comments: the file. */
  readonly text: string;
  /** What could not be carried over, or only nearly; each names its node. They stand in the file, too. */
  readonly notes: readonly string[];
  /** What is wrong with the file as it stands; empty for one that `up` takes. */
  readonly problems: string;
}

export function importSnapshot(snapshot: Snapshot, options: ImportOptions): Imported {
  const names = nodeNames(snapshot.nodes.map(({ name }) => name));
  const known = new Set(names.keys());
  const nodes = snapshot.nodes.map((node): ImportedNode => {
    const carried = node.interfaces.filter((one) => !["left out", "loopback"].includes(carriedAs(node, one, known)));
    const interfaces = new Map(carried.map((one) => [one.name, nameInFile(one)]));
    return { snapshot: node, name: names.get(node.name) ?? node.name, interfaces, notes: [] };
  });
  const uplinks = new Set((options.lab?.nodes ?? []).flatMap(({ name, uplink }) => (uplink ? [name] : [])));
  for (const node of nodes) if (uplinks.has(node.name)) node.interfaces.delete(uplinkName);
  const draft: TopologyDraft = { nodes: new Map(nodes.map((node) => [node.name, {}])), links: [] };
  for (const node of nodes) writeNode(node, nodes, draft, options.lab);
  writeLinks(nodes, draft, new Set(names.values()));

  const machine = nodes.find((node) => node.snapshot.role === "machine")?.name;
  const file = (): TopologyForm => ({
    name: labName(options.name),
    ...(machine === undefined ? {} : { machine }),
    routing: "none",
    nodes: Object.fromEntries([...draft.nodes].map(([name, form]) => [name, shortNode(form)])),
    links: draft.links.map(([a, b]) => [shortEnd(a), shortEnd(b)]),
    ...(options.lab === undefined ? {} : { expect: labExpectations(options.lab) }),
  });
  const path = "imported.json";
  const first = readTopology(printTopology(file(), []), { path });
  if (first.ok) writeDifferences(draft, nodes, first.topology, options.lab);
  const notes = nodes.flatMap((node) => [...new Set(node.notes)].map((note) => `${node.name}: ${note}`));
  const text = printTopology(file(), [...options.heading, ...noteLines([...notes, ...unreadNotes(snapshot)])]);
  const read = readTopology(text, { path });
  return { text, notes, problems: read.ok ? "" : formatProblems(read.problems) };
}

/** The interface of an uplink in its node (`lab/machine/uplink-network.ts`): `up` makes it anew. */
const uplinkName = "uplink";

function unreadNotes(snapshot: Snapshot): string[] {
  return (snapshot.unread ?? []).map(({ text }) => `not looked at: ${text}`);
}

function noteLines(notes: readonly string[]): string[] {
  return notes.length === 0 ? [] : ["", "Not carried over, or only nearly:", ...notes.map((note) => `- ${note}`)];
}

/** One address stands for a list of it, and addresses alone for an object that has nothing else. */
function shortNode(form: NodeDraft): NodeDraft {
  const short = <T extends object>(entries: Readonly<Record<string, T | string>>): Record<string, T | string> =>
    Object.fromEntries(
      Object.entries(entries).map(([name, entry]) => {
        const only = typeof entry === "object" && Object.keys(entry).join() === "addresses" && "addresses" in entry;
        const value = only ? (entry.addresses as T) : entry;
        return [name, Array.isArray(value) && value.length === 1 ? String(value[0]) : value];
      }),
    );
  return {
    ...form,
    ...(form.interfaces === undefined ? {} : { interfaces: short(form.interfaces) }),
    ...(form.bridges === undefined ? {} : { bridges: short(form.bridges) }),
  };
}

function shortEnd(end: EndDraft): string | EndDraft {
  return Object.keys(end).length === 1 ? end.at : end;
}

function writeNode(
  node: ImportedNode,
  nodes: readonly ImportedNode[],
  draft: TopologyDraft,
  lab: ResolvedTopology | undefined,
): void {
  const form = draft.nodes.get(node.name);
  if (form === undefined) return;
  const { snapshot } = node;
  const resolved = lab?.nodes.find(({ name }) => name === snapshot.name);
  writeInterfaces(node, nodes, form);
  const container = resolved === undefined ? standIn(node) : labContainer(resolved);
  if (container !== undefined) Object.assign(form, container);
  if (resolved?.uplink === true) form.uplink = true;
  const lists = { routes: importRoutes(node), rules: importRules(node), neighbours: importNeighbours(node) };
  for (const [key, list] of Object.entries(lists)) if (list.length > 0) Object.assign(form, { [key]: list });
  const tables = snapshot.nftables.filter(({ name }) => resolved?.uplink !== true || name !== "yapc_uplink");
  const chains = flattened(tables);
  for (const { hook, place, rules } of chains)
    if (rules.length > 0 && !isCarriedHook(hook))
      node.notes.push(`${place}: rules of type ${hook.type} at ${hook.hook} have no place in a file`);
  for (const { family, name } of tables)
    if (family !== "ip" && family !== "ip6" && family !== "inet")
      node.notes.push(`the table ${family} ${name} has no place in a file`);
  const nat = importNat(node, chains, (from, addresses) => nodeAt(nodes, from, addresses));
  const firewall = importFirewall(node, chains);
  if (nat !== undefined) form.nat = nat;
  if (firewall !== undefined) form.firewall = firewall;
}

function isCarriedHook({ type, hook }: { readonly type: string; readonly hook: string }): boolean {
  if (type === "nat") return hook !== "input";
  return type === "filter" && (hook === "input" || hook === "forward" || hook === "output");
}

function writeInterfaces(node: ImportedNode, nodes: readonly ImportedNode[], form: NodeDraft): void {
  const known = new Set(nodes.map(({ snapshot }) => snapshot.name));
  const interfaces: NonNullable<NodeDraft["interfaces"]> = {};
  const bridges: NonNullable<NodeDraft["bridges"]> = {};
  for (const one of node.snapshot.interfaces) {
    const addresses = addressesOf(one);
    const name = node.interfaces.get(one.name);
    switch (carriedAs(node.snapshot, one, known)) {
      case "loopback":
        if (addresses.length > 0) interfaces[one.name] = addresses;
        break;
      case "bridge":
        if (name !== undefined) bridges[name] = { addresses };
        if (!one.up) node.notes.push(`${one.name}: the bridge is down; in a lab it is up`);
        break;
      case "device": {
        const made = name === undefined ? undefined : deviceForm(node, one);
        if (name === undefined || made === undefined)
          node.notes.push(`${one.name}: a ${one.kind} that a file cannot make`);
        else {
          const bridge = node.snapshot.interfaces.find(
            ({ name: other, kind }) => other === one.master && kind === "bridge",
          );
          interfaces[name] = {
            ...made,
            ...(bridge === undefined ? {} : { bridge: bridge.name }),
            ...(addresses.length === 0 ? {} : { addresses }),
          };
        }
        break;
      }
      case "pair":
      case "outside":
        if (name !== undefined && addresses.length > 0) writeAddresses(node, one.master, name, addresses, interfaces);
        break;
      case "left out":
        if (one.up) node.notes.push(`${one.name}: a ${one.kind} without an address or a route is left out`);
    }
  }
  if (Object.keys(interfaces).length > 0) form.interfaces = interfaces;
  if (Object.keys(bridges).length > 0) form.bridges = bridges;
}

function writeAddresses(
  node: ImportedNode,
  master: string | undefined,
  name: string,
  addresses: readonly string[],
  interfaces: NonNullable<NodeDraft["interfaces"]>,
): void {
  const bridge = node.snapshot.interfaces.find(({ name: other }) => other === master);
  if (bridge?.kind === "bridge")
    node.notes.push(`${name}: the addresses of a bridge port are left out: nothing uses them`);
  else interfaces[name] = [...addresses];
}

/** Each link once, and for an interface that leads out of what was looked at a node behind it. */
function writeLinks(nodes: readonly ImportedNode[], draft: TopologyDraft, taken: Set<string>): void {
  const bySnapshot = new Map(nodes.map((node) => [node.snapshot.name, node]));
  const known = new Set(bySnapshot.keys());
  const done = new Set<string>();
  for (const node of nodes)
    for (const one of node.snapshot.interfaces) {
      if (!node.interfaces.has(one.name)) continue;
      const carried = carriedAs(node.snapshot, one, known);
      const { peer } = one;
      const other = peer && bySnapshot.get(peer.node);
      const far = other?.snapshot.interfaces.find(({ name }) => name === peer?.interface);
      if (carried === "pair" && other !== undefined && far !== undefined) {
        if (done.has(`${other.name} ${far.name}`)) continue;
        done.add(`${node.name} ${one.name}`);
        draft.links.push([
          { at: endName(node, one), ...endSettings(node, one) },
          { at: endName(other, far), ...endSettings(other, far) },
        ]);
      } else if (carried === "outside" || carried === "pair") {
        const only = node.snapshot.role === "machine" ? "outside" : `outside-${node.name}`;
        const outside = outsideOf(
          node,
          one,
          freeName(taken.has(only) ? `${only}-${plainName(one.name)}` : only, taken),
        );
        draft.nodes.set(outside.name, outside.form);
        draft.links.push([{ at: `${outside.name}:eth0` }, { at: endName(node, one), ...endSettings(node, one) }]);
        node.notes.push(
          `${one.name}: what is behind it (${one.kind === "veth" ? "a namespace that was not looked at" : one.kind}) is stood in for by the node ${outside.name}`,
        );
      }
    }
}

function plainName(name: string): string {
  return labName(name);
}

/** The node that holds these addresses, if a file that names it means exactly them. */
function nodeAt(nodes: readonly ImportedNode[], from: ImportedNode, addresses: readonly string[]): string | undefined {
  const holder = nodes.find(({ snapshot }) => addresses.every((address) => holds(snapshot, address)));
  if (holder === undefined || holder === from) return undefined;
  // The name stands for one address of each family: the nearest, which is the only one where there is one.
  const own = ([4, 6] as const).map((family) => globalAddresses(holder.snapshot, family));
  const alone = own.every((list) => list.length <= 1) && own.flat().length === addresses.length;
  return alone ? holder.name : undefined;
}

function globalAddresses({ interfaces }: NodeSnapshot, family: 4 | 6): string[] {
  return interfaces.flatMap((one) =>
    one.kind === "loopback"
      ? []
      : one.addresses
          .filter((each) => each.family === family && !(family === 6 && each.scope === "link"))
          .map(({ address }) => address),
  );
}

function holds(node: NodeSnapshot, text: string): boolean {
  const wanted = parseAddress(text);
  return ([4, 6] as const)
    .flatMap((family) => globalAddresses(node, family))
    .some((each) => {
      const own = parseAddress(each);
      return own !== undefined && wanted !== undefined && sameAddress(own, wanted);
    });
}
