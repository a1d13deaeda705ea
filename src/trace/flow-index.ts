/** Which connection a sighting is of, and what NAT makes of it: conntrack's word, and what joins have taught. */
import type { ConntrackEvent, Tuple } from "../model/conntrack.js";
import { parseAddress } from "../model/address.js";
import type { AddressBook } from "../packet/address.js";
import { type Columns, Kind, Mark, Tcp } from "../packet/columns.js";
import { Direction, Flow, type FlowKey, FlowTable, reversed } from "./flow.js";
import { NONE } from "./packets.js";
import type { Scene } from "./scene.js";

/** First fragments whose ports are kept for the others. */
const MAXIMUM_FRAGMENTS = 4096;

/** Whether a row is a fragment whose first one has not been seen: what connection it is of is not known. */
export function isNameless(c: Columns, row: number): boolean {
  return c.kind[row] === Kind.fragment && c.sourcePort[row] === 0 && c.destinationPort[row] === 0;
}

/** Whether a row is a SYN, with an acknowledgement or without: no connection that has ended sends one. */
export function isHandshake(c: Columns, row: number): boolean {
  return c.kind[row] === Kind.tcp && ((c.flags[row] ?? 0) & Tcp.syn) !== 0;
}

/** Whether a row is a SYN without an acknowledgement. */
export function isOpening(c: Columns, row: number): boolean {
  return isHandshake(c, row) && ((c.flags[row] ?? 0) & Tcp.ack) === 0;
}

export class FlowIndex {
  readonly table = new FlowTable();
  readonly #scene: Scene;
  readonly #columns: Columns;
  readonly #book: AddressBook;
  /** Called when two flows turn out to be one connection. */
  readonly #unite: (keep: Flow, give: Flow, turned: boolean) => void;
  readonly #fragments = new Map<string, number>();

  constructor(
    scene: Scene,
    columns: Columns,
    book: AddressBook,
    unite: (keep: Flow, give: Flow, turned: boolean) => void,
  ) {
    this.#scene = scene;
    this.#columns = columns;
    this.#book = book;
    this.#unite = unite;
  }

  /** Entry of a sighting that has just come in its node, NONE where its tuple is new there. Kept for `entryOf`. */
  identify(row: number): number {
    const entry = this.#find(row, this.#nodeOf(row));
    this.#columns.entry[row] = entry;
    return entry;
  }

  /** Entry of a sighting in its node, NONE where its tuple is new there. A sighting is asked for its entry several times. */
  entryOf(row: number): number {
    const known = this.#columns.entry[row] ?? NONE;
    return known === NONE ? this.identify(row) : known;
  }

  /** Entry of a sighting's tuple in a node. */
  lookup(row: number, node: number): number {
    return this.#nodeOf(row) === node ? this.entryOf(row) : this.#find(row, node);
  }

  /** Forgets the connections that have ended: entries get other numbers. */
  sweep(): void {
    this.table.sweep((flow) => !flow.ended);
    this.#columns.entry.fill(NONE);
  }

  #nodeOf(row: number): number {
    return this.#scene.nodes[this.#columns.hop[row] ?? 0] ?? 0;
  }

  /** An ICMP error has the tuple of an answer to the packet it quotes. */
  #find(row: number, node: number): number {
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

  /** Whether a sighting, which is no ICMP error, has the tuple of an entry of its node. */
  isOf(row: number, entry: number): boolean {
    const c = this.#columns;
    return this.table.is(
      entry,
      c.source[row] ?? 0,
      c.destination[row] ?? 0,
      c.sourcePort[row] ?? 0,
      c.destinationPort[row] ?? 0,
    );
  }

  sameTuple(a: number, b: number): boolean {
    const c = this.#columns;
    const equal =
      c.sourcePort[a] === c.sourcePort[b] &&
      c.destinationPort[a] === c.destinationPort[b] &&
      c.source[a] === c.source[b] &&
      c.destination[a] === c.destination[b];
    return (equal && c.kind[a] !== Kind.icmpError) || this.#sameAtSecondSight(a, b);
  }

  /** Fragments whose ports are not known have those of the other; an ICMP error has the tuple that it quotes. */
  #sameAtSecondSight(a: number, b: number): boolean {
    const c = this.#columns;
    if (c.sourcePort[a] !== c.sourcePort[b] || c.destinationPort[a] !== c.destinationPort[b]) {
      if (!isNameless(c, a) && !isNameless(c, b)) return false;
    }
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
    const entry = this.#enter(this.#keyOf(row), flow, direction);
    this.#columns.entry[row] = entry;
    return entry;
  }

  /**
   * What a join teaches: the tuple of `row` is of this flow too, and NAT made it from that of `parent`.
   * @returns `same` tuple, a translation that was `known`, or one that is `new`: then conntrack has not confirmed it
   */
  learn(flow: Flow, direction: Direction, row: number, entry: number, parent: number): "same" | "known" | "new" {
    if (isNameless(this.#columns, row)) return "same";
    const owner = entry === NONE ? undefined : this.table.flow(entry);
    // The tuple of a connection that has ended may be used again.
    const again = owner !== undefined && owner !== flow && owner.closed && !flow.closed;
    const own = owner && !again ? entry : this.enter(row, flow, direction);
    if (owner && owner !== flow && !again) this.#join(flow, owner, this.table.direction(entry) !== direction);
    if (this.sameTuple(parent, row) || isNameless(this.#columns, parent)) return "same";
    const before = this.lookup(parent, this.#nodeOf(row));
    if (before === NONE) return "new";
    const known = this.table.translated(before);
    if (!this.table.isSure(before)) {
      this.#translate(before, own);
      return "new";
    }
    return known === own ? "known" : "new";
  }

  /**
   * Whether a node may make the tuple of `row`, whose entry there is `entry`, from that of sighting `before`: as conntrack
   * and earlier joins say, else perhaps.
   */
  mayBecome(before: number, row: number, entry: number): boolean {
    const c = this.#columns;
    const known = this.lookup(before, this.#nodeOf(row));
    if (known === NONE || !this.table.isSure(known)) return true;
    const expected = this.table.translated(known);
    if (expected === entry) return true;
    if (!isNameless(c, row)) return c.kind[row] === Kind.tcp && this.table.flow(known)?.closed !== false;
    const { source, destination } = this.table.keyOf(expected);
    return source === c.source[row] && destination === c.destination[row];
  }

  /** Whether it is known, and sure, that a node makes the tuple of `row`, whose entry there is `entry`, from that of `parent`. */
  isKnown(row: number, entry: number, parent: number): boolean {
    if (isNameless(this.#columns, row) || isNameless(this.#columns, parent)) return false;
    return this.#makes(row, entry, parent);
  }

  /** Whether joining `row` to `parent` would say something of NAT that neither conntrack nor an earlier join has said. */
  isNews(row: number, entry: number, parent: number): boolean {
    return !this.sameTuple(parent, row) && !isNameless(this.#columns, parent) && !this.#makes(row, entry, parent);
  }

  #makes(row: number, entry: number, parent: number): boolean {
    const before = this.lookup(parent, this.#nodeOf(row));
    return before !== NONE && this.table.isSure(before) && this.table.translated(before) === entry;
  }

  /** @returns the entry of the connection's requests, NONE where there is nothing new */
  conntrack({ kind, node, flow: entry }: ConntrackEvent): number {
    const number = this.#scene.nodeNumber(node);
    if (this.#scene.sawConntrack(number)) this.table.leaveAllTrails();
    const original = this.#tupleKey(number, entry.family, entry.original);
    const reply = this.#tupleKey(number, entry.family, entry.reply);
    if (!original || !reply) return NONE;
    if (kind === "destroy") {
      // What comes with the same tuple may now be translated otherwise.
      for (const key of [original, reply]) {
        const found = this.table.findKey(key);
        if (found !== NONE) this.table.doubt(found);
      }
      return NONE;
    }
    const keys = [original, reversed(reply), reply, reversed(original)];
    const { flow, turned } = this.#known(keys);
    const own = flow?.root ?? new Flow();
    const [sent, passed, answer, returned] = keys.map((key, index) =>
      this.table.put(key, own, index >= 2 !== turned ? Direction.reply : Direction.request),
    );
    this.table.translate(sent ?? NONE, passed ?? NONE);
    this.table.translate(answer ?? NONE, returned ?? NONE);
    return sent ?? NONE;
  }

  /** The connection that the tuples of a conntrack entry are of: all that are known become one, but for ended ones of before. */
  #known(keys: readonly FlowKey[]): { flow: Flow | undefined; turned: boolean } {
    const found = keys.flatMap((key, index) => {
      const entry = this.table.findKey(key);
      const flow = entry === NONE ? undefined : this.table.flow(entry);
      // A flow that is known already knows who asks.
      return flow ? [{ flow, turned: (this.table.direction(entry) === Direction.reply) !== index >= 2 }] : [];
    });
    const latest = Math.max(...found.map(({ flow }) => flow.exchange));
    const [first, ...others] = found.filter(({ flow }) => !flow.closed || flow.exchange === latest);
    for (const other of others) {
      if (first && other.flow.root !== first.flow.root)
        this.#join(first.flow.root, other.flow.root, other.turned !== first.turned);
    }
    return { flow: first?.flow, turned: first?.turned ?? false };
  }

  /** Two flows turn out to be one. The one that has packets gives its number. */
  #join(a: Flow, b: Flow, turned: boolean): void {
    const keep = b.exchange !== 0 && (a.exchange === 0 || b.exchange < a.exchange) ? b : a;
    const give = keep === a ? b : a;
    this.#unite(keep, give, turned);
    keep.trail = undefined;
    give.joined = keep;
    give.turned = turned;
  }

  /** A fragment, as `row` is, has no ports unless it is the first: it gets those of the first one, which came before it. */
  nameFragment(row: number): void {
    const c = this.#columns;
    const first = ((c.marks[row] ?? 0) & Mark.firstFragment) !== 0;
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
      node: this.#nodeOf(row),
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
