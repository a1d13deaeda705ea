/** Which connection a sighting is of, and what NAT makes of it: conntrack's word, and what joins have taught. */
import type { ConntrackEvent, Tuple } from "../model/conntrack.js";
import { parseAddress } from "../model/address.js";
import type { AddressBook } from "../packet/address.js";
import { type Columns, Kind, Mark } from "../packet/columns.js";
import { Direction, Flow, type FlowKey, FlowTable, reversed } from "./flow.js";
import { NONE } from "./packets.js";
import type { Scene } from "./scene.js";

/** First fragments whose ports are kept for the others. */
const MAXIMUM_FRAGMENTS = 4096;

export class FlowIndex {
  readonly table = new FlowTable();
  readonly #scene: Scene;
  readonly #columns: Columns;
  readonly #book: AddressBook;
  /** Called when two flows turn out to be one connection. */
  readonly #unite: (keep: Flow, give: Flow) => void;
  readonly #fragments = new Map<string, number>();

  constructor(scene: Scene, columns: Columns, book: AddressBook, unite: (keep: Flow, give: Flow) => void) {
    this.#scene = scene;
    this.#columns = columns;
    this.#book = book;
    this.#unite = unite;
  }

  /** Entry of a sighting in its node, NONE where its tuple is new there. */
  entryOf(row: number): number {
    return this.lookup(row, this.#scene.nodes[this.#columns.hop[row] ?? 0] ?? 0);
  }

  /** Entry of a sighting's tuple in a node. An ICMP error has the tuple of an answer to the packet it quotes. */
  lookup(row: number, node: number): number {
    const c = this.#columns;
    const family = c.family[row] ?? 0;
    if (c.kind[row] === Kind.icmpError) {
      return this.table.find(
        node,
        family,
        c.innerProtocol[row] ?? 0,
        c.innerDestination[row] ?? 0,
        c.innerSource[row] ?? 0,
        c.destinationPort[row] ?? 0,
        c.sourcePort[row] ?? 0,
      );
    }
    return this.table.find(
      node,
      family,
      c.protocol[row] ?? 0,
      c.source[row] ?? 0,
      c.destination[row] ?? 0,
      c.sourcePort[row] ?? 0,
      c.destinationPort[row] ?? 0,
    );
  }

  sameTuple(a: number, b: number): boolean {
    const c = this.#columns;
    if (c.sourcePort[a] !== c.sourcePort[b] || c.destinationPort[a] !== c.destinationPort[b]) return false;
    if (c.kind[a] === Kind.icmpError) {
      return (
        c.innerSource[a] === c.innerSource[b] &&
        c.innerDestination[a] === c.innerDestination[b] &&
        c.destination[a] === c.destination[b]
      );
    }
    return c.source[a] === c.source[b] && c.destination[a] === c.destination[b];
  }

  /** Enters the tuple of a sighting, and that of its answers. */
  enter(row: number, flow: Flow, direction: Direction): number {
    return this.#enter(this.#keyOf(row), flow, direction);
  }

  /**
   * What a join teaches: the tuple of `row` is of this flow too, and NAT made it from that of `parent`.
   * @returns `same` tuple, a translation that was `known`, or one that is `new`: then conntrack has not confirmed it
   */
  learn(flow: Flow, direction: Direction, row: number, entry: number, parent: number): "same" | "known" | "new" {
    const owner = entry === NONE ? undefined : this.table.flow(entry);
    const own = owner ? entry : this.enter(row, flow, direction);
    if (owner && owner !== flow) this.unite(flow, owner);
    if (this.sameTuple(parent, row)) return "same";
    const before = this.lookup(parent, this.#scene.nodes[this.#columns.hop[row] ?? 0] ?? 0);
    if (before === NONE) return "new";
    const known = this.table.translated(before);
    if (known === NONE) this.#translate(before, own);
    return known === own ? "known" : "new";
  }

  conntrack({ node, flow: entry }: ConntrackEvent): number {
    const number = this.#scene.nodeNumber(node);
    this.#scene.sawConntrack(number);
    const original = this.#tupleKey(number, entry.family, entry.original);
    const reply = this.#tupleKey(number, entry.family, entry.reply);
    if (!original || !reply) return NONE;
    const keys = [original, reversed(reply), reply, reversed(original)];
    const known = keys.flatMap((key) => {
      const found = this.table.findKey(key);
      return (found === NONE ? undefined : this.table.flow(found)) ?? [];
    });
    const flow = known[0] ?? new Flow();
    for (const other of known) if (other.root !== flow.root) this.unite(flow.root, other.root);
    const [sent, passed, answer, returned] = keys.map((key, index) =>
      this.table.put(key, flow.root, index < 2 ? Direction.request : Direction.reply),
    );
    this.table.translate(sent ?? NONE, passed ?? NONE);
    this.table.translate(answer ?? NONE, returned ?? NONE);
    return sent ?? NONE;
  }

  /** Two flows turn out to be one. The one that has packets gives its number. */
  unite(a: Flow, b: Flow): void {
    const keep = b.exchange !== 0 && (a.exchange === 0 || b.exchange < a.exchange) ? b : a;
    const give = keep === a ? b : a;
    this.#unite(keep, give);
    give.joined = keep;
  }

  /** A fragment that is not the first has no ports: it gets those of the first one, which came before it. */
  nameFragment(row: number): void {
    const c = this.#columns;
    const first = ((c.marks[row] ?? 0) & Mark.firstFragment) !== 0;
    if (!first && c.kind[row] !== Kind.fragment) return;
    const key = [c.family[row], c.protocol[row], c.source[row], c.destination[row], c.identification[row]].join("/");
    if (first) {
      if (this.#fragments.size >= MAXIMUM_FRAGMENTS) this.#fragments.clear();
      this.#fragments.set(key, ((c.sourcePort[row] ?? 0) << 16) | (c.destinationPort[row] ?? 0));
      return;
    }
    const ports = this.#fragments.get(key) ?? 0;
    c.sourcePort[row] = ports >>> 16;
    c.destinationPort[row] = ports & 0xffff;
  }

  #keyOf(row: number): FlowKey {
    const c = this.#columns;
    const error = c.kind[row] === Kind.icmpError;
    return {
      node: this.#scene.nodes[c.hop[row] ?? 0] ?? 0,
      family: c.family[row] ?? 0,
      protocol: (error ? c.innerProtocol[row] : c.protocol[row]) ?? 0,
      source: (error ? c.innerDestination[row] : c.source[row]) ?? 0,
      destination: (error ? c.innerSource[row] : c.destination[row]) ?? 0,
      sourcePort: (error ? c.destinationPort[row] : c.sourcePort[row]) ?? 0,
      destinationPort: (error ? c.sourcePort[row] : c.destinationPort[row]) ?? 0,
    };
  }

  #enter(key: FlowKey, flow: Flow, direction: Direction): number {
    const entry = this.table.put(key, flow, direction);
    this.table.put(reversed(key), flow, direction === Direction.request ? Direction.reply : Direction.request);
    return entry;
  }

  /** The node sends on what comes with tuple `before` under tuple `after`, and the answers the other way. */
  #translate(before: number, after: number): void {
    const { table } = this;
    table.translate(before, after);
    const back = table.findKey(reversed(table.keyOf(after)));
    const home = table.findKey(reversed(table.keyOf(before)));
    if (back !== NONE && home !== NONE) table.translate(back, home);
  }

  #tupleKey(node: number, family: 4 | 6, tuple: Tuple): FlowKey | undefined {
    const source = parseAddress(tuple.source);
    const destination = parseAddress(tuple.destination);
    if (!source || !destination) return undefined;
    return {
      node,
      family,
      protocol: tuple.protocol,
      source: this.#book.numberOf(family, source.value),
      destination: this.#book.numberOf(family, destination.value),
      sourcePort: tuple.icmp?.id ?? tuple.sourcePort ?? 0,
      destinationPort: tuple.icmp?.id ?? tuple.destinationPort ?? 0,
    };
  }
}
