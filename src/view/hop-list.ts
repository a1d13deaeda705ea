/** `trace --list`: the hops that a trace would tap, in its order, with addresses and what happens between them. */
import { type Hop, hopName } from "../model/hop.js";
import type { InterfaceSnapshot, NodeSnapshot, Snapshot } from "../model/snapshot.js";
import { columns } from "./columns.js";
import { nftNotes } from "./graph/nft-notes.js";
import { noInk, type Ink } from "./ink.js";
import { linkWords } from "./link-words.js";
import { publishedText } from "./published.js";
import { visibleDeep } from "./width.js";

export interface ListedHop {
  /** `host:eth0` */
  readonly hop: string;
  readonly node: string;
  readonly role: NodeSnapshot["role"];
  readonly interface: string;
  readonly kind: string;
  /** `203.0.113.1/24` */
  readonly addresses: readonly string[];
  /** The bridge that it is a port of. */
  readonly master?: string;
  /** The hop at the other end of its link. */
  readonly peer?: string;
  /** Ports that an engine publishes for the container: `0.0.0.0:8080 -> 80/tcp`. */
  readonly published?: readonly string[];
}

export function hopsJson(snapshot: Snapshot, hops: readonly Hop[]): { readonly hops: readonly ListedHop[] } {
  return { hops: listed(snapshot, hops).map(({ told }) => told) };
}

interface Listed {
  readonly told: ListedHop;
  readonly node: NodeSnapshot;
  readonly one: InterfaceSnapshot;
}

function listed(snapshot: Snapshot, hops: readonly Hop[]): Listed[] {
  return hops.flatMap((hop) => {
    const node = snapshot.nodes.find(({ name }) => name === hop.node);
    const one = node?.interfaces.find(({ name }) => name === hop.interface);
    if (node === undefined || one === undefined) return [];
    // Said once, at the first interface of the container.
    const [first] = node.interfaces.filter(({ kind }) => kind !== "loopback");
    const published = node.role === "container" && one === first ? publishedText(node) : [];
    const told: ListedHop = {
      hop: hopName(hop),
      node: node.name,
      role: node.role,
      interface: one.name,
      kind: one.kind,
      addresses: one.addresses
        .filter(({ scope }) => scope !== "link")
        .map(({ address, prefixLength }) => `${address}/${prefixLength}`),
      ...(one.master === undefined ? {} : { master: one.master }),
      ...(one.peer === undefined ? {} : { peer: hopName(one.peer) }),
      ...(published.length === 0 ? {} : { published }),
    };
    return [{ told, node, one }];
  });
}

/** What a node does to addresses is said once, at the first interface that it routes by. */
export function hopLines(raw: Snapshot, hops: readonly Hop[], ink: Ink = noInk): string[] {
  const snapshot = visibleDeep(raw);
  const all = listed(snapshot, visibleDeep(hops));
  const rows = columns(
    [{ title: "hop" }, { title: "address" }, { title: "link" }],
    all.map(({ told, node, one }) => [
      told.hop,
      told.addresses.join(" "),
      [linkWords(snapshot, node, one), ...(told.published ?? []).map((text) => `published as ${text}`)].join(", "),
    ]),
    { indent: "  ", heading: (line: string) => ink("dim", line) },
  );
  const [heading = "", ...lines] = rows;
  const said = new Set<string>();
  return [
    heading,
    ...lines.flatMap((line, index) => {
      const here = all[index];
      if (here === undefined || here.one.master !== undefined || said.has(here.told.node)) return [line];
      said.add(here.told.node);
      return [line, ...shortened(natNotes(here.node)).map((note) => ink("dim", `    │ ${note}`))];
    }),
    ...(snapshot.unread ?? []).map(({ text }) => ink("dim", `not looked at: ${text}`)),
  ];
}

/** What changes addresses; what drops is for `inspect` and `explain`. */
function natNotes(node: NodeSnapshot): string[] {
  return nftNotes(
    node.nftables.map((table) => ({
      ...table,
      chains: table.chains
        .map((chain) => ({
          ...chain,
          rules: chain.rules.filter(({ statements }) => statements.some(({ kind }) => translations.has(kind))),
        }))
        .map(({ hook: _, ...chain }) => chain),
    })),
  ).map((note) => `NAT ${note}`);
}

const translations: ReadonlySet<string> = new Set(["dnat", "snat", "masquerade", "redirect"]);

/** More than these hide the hops. */
const mostNotes = 12;

function shortened(notes: readonly string[]): readonly string[] {
  if (notes.length <= mostNotes) return notes;
  return [...notes.slice(0, mostNotes - 1), `… and ${notes.length - mostNotes + 1} more`];
}
