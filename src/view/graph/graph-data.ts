/** What the pictures of a network are drawn from: a running one (a snapshot) or one that is still a file. */
import type { NodeSnapshot, Snapshot } from "../../model/snapshot.js";
import { publishedText } from "../published.js";
import { nftNotes } from "./nft-notes.js";

export interface GraphData {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
  readonly links: readonly GraphLink[];
  readonly bridges: readonly GraphBridge[];
}

export interface GraphNode {
  readonly name: string;
  readonly role: "machine" | "container" | "namespace";
  /** Bridges and their ports among them; without `lo`. */
  readonly interfaces: readonly GraphInterface[];
  /** What the node does to packets: `publishes 8080 -> web:80`. */
  readonly notes?: readonly string[];
}

export interface GraphInterface {
  readonly name: string;
  /** `10.0.0.1/24` */
  readonly addresses: readonly string[];
  readonly down?: boolean;
}

export interface GraphEnd {
  readonly node: string;
  readonly interface: string;
}

export interface GraphLink {
  readonly ends: readonly [GraphEnd, GraphEnd];
  /** `5 ms, 100 Mbit/s` */
  readonly label?: string;
}

export interface GraphBridge {
  readonly node: string;
  readonly name: string;
  readonly ports: readonly string[];
}

export function graphOfSnapshot(snapshot: Snapshot): GraphData {
  const known = new Set(
    snapshot.nodes.flatMap(({ name, interfaces }) => interfaces.map((one) => `${name}:${one.name}`)),
  );
  const links: GraphLink[] = [];
  const seen = new Set<string>();
  for (const node of snapshot.nodes) {
    for (const one of node.interfaces) {
      const here = { node: node.name, interface: one.name };
      const { peer } = one;
      if (peer === undefined || !known.has(`${peer.node}:${peer.interface}`)) continue;
      if (seen.has(`${peer.node}:${peer.interface}`)) continue;
      seen.add(`${here.node}:${here.interface}`);
      links.push({ ends: [here, { node: peer.node, interface: peer.interface }] });
    }
  }
  return {
    name: snapshot.lab ?? "this machine",
    nodes: snapshot.nodes.map((node) => ({
      name: node.name,
      role: node.role,
      interfaces: node.interfaces
        .filter(({ kind }) => kind !== "loopback")
        .map((one) => ({
          name: one.name,
          addresses: one.addresses
            .filter(({ scope }) => scope !== "link")
            .map(({ address, prefixLength }) => `${address}/${prefixLength}`),
          ...(!one.up && { down: true }),
        })),
      ...notesOf(node),
    })),
    links,
    bridges: snapshot.nodes.flatMap((node) =>
      node.interfaces
        .filter(({ kind }) => kind === "bridge")
        .map(({ name }) => ({
          node: node.name,
          name,
          ports: node.interfaces.filter(({ master }) => master === name).map((port) => port.name),
        })),
    ),
  };
}

function notesOf(node: NodeSnapshot): { readonly notes?: readonly string[] } {
  const published = publishedText(node).map((text) => `published as ${text}`);
  const notes = shortened([...published, ...nftNotes(node.nftables)]);
  return notes.length === 0 ? {} : { notes };
}

/** More notes than these hide the picture. */
const mostNotes = 10;

export function shortened(notes: readonly string[]): readonly string[] {
  if (notes.length <= mostNotes) return notes;
  return [...notes.slice(0, mostNotes - 1), `… and ${notes.length - mostNotes + 1} more`];
}
