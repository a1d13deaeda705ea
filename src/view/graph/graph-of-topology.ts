/** The picture of a network that is still a file. */
import type { NftTable } from "../../model/nft.js";
import { bits, duration } from "../quantity.js";
import { type GraphData, type GraphLink, shortened } from "./graph-data.js";
import { nftNotes } from "./nft-notes.js";

/** What a resolved topology has that can be drawn. */
export interface DrawnTopology {
  readonly name: string;
  readonly machine?: string;
  readonly nodes: readonly DrawnNode[];
  readonly links: readonly { readonly ends: readonly [DrawnEnd, DrawnEnd] }[];
}

interface DrawnNode {
  readonly name: string;
  readonly container?: unknown;
  readonly bridges: readonly { readonly name: string }[];
  readonly interfaces: readonly {
    readonly name: string;
    readonly addresses: readonly { readonly address: string; readonly prefixLength: number }[];
    readonly up: boolean;
  }[];
  readonly nftables: readonly NftTable[];
}

interface DrawnEnd {
  readonly node: string;
  readonly interface: string;
  readonly master?: string;
  readonly up: boolean;
  readonly shaping?: DrawnShaping;
}

/** Rate in bits a second, times in nanoseconds, shares from 0 to 1. */
export interface DrawnShaping {
  readonly rate?: number;
  readonly delay?: number;
  readonly jitter?: number;
  readonly loss?: number;
  readonly duplicate?: number;
  readonly reorder?: number;
  readonly corrupt?: number;
}

export function graphOfTopology({ name, machine, nodes, links }: DrawnTopology): GraphData {
  const ends = links.flatMap((link) => link.ends);
  return {
    name,
    nodes: nodes.map((node) => {
      const settings = new Map(node.interfaces.map((each) => [each.name, each]));
      const own = ends.filter((end) => end.node === node.name);
      const names = new Set([
        ...own.map((end) => end.interface),
        ...node.bridges.map((bridge) => bridge.name),
        ...settings.keys(),
      ]);
      names.delete("lo");
      const notes = shortened(nftNotes(node.nftables));
      return {
        name: node.name,
        role: node.name === machine ? "machine" : node.container === undefined ? "namespace" : "container",
        interfaces: [...names].map((each) => ({
          name: each,
          addresses: (settings.get(each)?.addresses ?? []).map(
            ({ address, prefixLength }) => `${address}/${prefixLength}`,
          ),
          ...((own.find((end) => end.interface === each) ?? settings.get(each))?.up === false && { down: true }),
        })),
        ...(notes.length > 0 && { notes }),
      };
    }),
    links: links.map((link) => toLink(link.ends)),
    bridges: nodes.flatMap((node) =>
      node.bridges.map((bridge) => ({
        node: node.name,
        name: bridge.name,
        ports: ends.filter((end) => end.node === node.name && end.master === bridge.name).map((end) => end.interface),
      })),
    ),
  };
}

/** One label where both ends do the same to what they send, else one for each that does something. */
function toLink([a, b]: readonly [DrawnEnd, DrawnEnd]): GraphLink {
  const [first, second] = [shapingText(a.shaping), shapingText(b.shaping)];
  const label =
    first === second
      ? first
      : [first && `${a.node}: ${first}`, second && `${b.node}: ${second}`].filter((text) => text).join("; ");
  return {
    ends: [
      { node: a.node, interface: a.interface },
      { node: b.node, interface: b.interface },
    ],
    ...(label !== undefined && label !== "" && { label }),
  };
}

/** `5.00 ms, 100 Mbit/s`, or undefined for an end that is left as it is. */
export function shapingText(shaping: DrawnShaping | undefined): string | undefined {
  if (shaping === undefined) return undefined;
  const { rate, delay, jitter } = shaping;
  const parts = [
    ...(rate === undefined ? [] : [bits(rate / 8)]),
    ...(delay === undefined ? [] : [`${duration(delay)}${jitter === undefined ? "" : ` ± ${duration(jitter)}`}`]),
    ...(["loss", "duplicate", "reorder", "corrupt"] as const).flatMap((key) => {
      const share = shaping[key];
      return share === undefined ? [] : [`${key} ${Number((share * 100).toFixed(3))}%`];
    }),
  ];
  return parts.length === 0 ? undefined : parts.join(", ");
}
