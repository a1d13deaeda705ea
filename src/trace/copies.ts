/**
 * Equal packets that are on their way at the same time: duplicate acknowledgements, datagrams of equal content, where
 * the sender gives them no number. Which sighting is of which is decided when no more of them are awaited, all at once.
 */
import type { Columns } from "../packet/columns.js";
import type { Reach } from "../path/reach.js";
import { align } from "./align.js";
import type { Latency } from "./latency.js";
import { NONE, type Packets, State } from "./packets.js";
import { samePassage } from "./whole.js";

/** More equal packets than this are decided at once, whether more of them are awaited or not. */
export const MAXIMUM_COPIES = 64;

export interface Cluster {
  /** In order of their ids. */
  readonly packets: number[];
}

/** The sightings at one hop, of one TTL. */
interface Passage {
  readonly rows: number[];
  readonly hop: number;
  readonly ttl: number;
}

interface Chain {
  readonly rows: number[];
  ambiguous: boolean;
}

export class Copies {
  readonly #clusters = new Map<number, Cluster>();
  readonly #columns: Columns;
  readonly #packets: Packets;
  readonly #latency: Latency;
  readonly #reach: Reach;

  constructor(columns: Columns, packets: Packets, latency: Latency, reach: Reach) {
    this.#columns = columns;
    this.#packets = packets;
    this.#latency = latency;
    this.#reach = reach;
  }

  of(packet: number): Cluster | undefined {
    return this.#clusters.size === 0 ? undefined : this.#clusters.get(packet);
  }

  /** From now on these two are decided together. */
  rival(a: number, b: number): Cluster {
    const first = this.#clusters.get(a);
    const second = this.#clusters.get(b);
    const packets = [...new Set([...(first?.packets ?? [a]), ...(second?.packets ?? [b])])];
    packets.sort((x, y) => (this.#packets.id[x] ?? 0) - (this.#packets.id[y] ?? 0));
    const cluster = { packets };
    for (const packet of packets) this.#clusters.set(packet, cluster);
    return cluster;
  }

  /** Whether every packet of a cluster has arrived. */
  complete(cluster: Cluster): boolean {
    return cluster.packets.every((packet) => ((this.#packets.state[packet] ?? 0) & State.complete) !== 0);
  }

  /**
   * Decides which sighting is of which packet, and ends the cluster.
   * @param create makes a packet of a row where there are more than was thought
   * @param discard takes away a packet whose sightings went to others
   */
  resolve(cluster: Cluster, create: (row: number) => number, discard: (packet: number) => void): readonly number[] {
    const packets = this.#packets;
    for (const packet of cluster.packets) this.#clusters.delete(packet);
    const state = (packet: number): number => packets.state[packet] ?? 0;
    if (cluster.packets.some((packet) => state(packet) & State.segmented)) {
      // The parts went to the packet that was nearest as they came (sending.ts).
      for (const packet of cluster.packets) packets.state[packet] = (state(packet) & ~State.complete) | State.ordered;
      return cluster.packets;
    }
    const chains = this.#chains(cluster);
    const result: number[] = [];
    for (const [index, chain] of chains.entries()) {
      const packet = cluster.packets[index] ?? create(chain.rows[0] ?? 0);
      this.#link(packet, chain.rows);
      packets.state[packet] = (state(packet) & ~State.complete) | (chain.ambiguous ? State.ambiguous : State.ordered);
      result.push(packet);
    }
    for (const packet of cluster.packets.slice(chains.length)) discard(packet);
    return result;
  }

  #chains(cluster: Cluster): Chain[] {
    const c = this.#columns;
    const time = (row: number): number => c.time[row] ?? 0;
    const last = (chain: Chain): number => chain.rows.at(-1) ?? 0;
    const chains: Chain[] = [];
    let previous = NONE;
    for (const rows of this.#passages(cluster)) {
      const hop = c.hop[rows[0] ?? 0] ?? 0;
      const there = chains.filter((chain) => c.hop[last(chain)] === previous);
      const eligible = there.length >= rows.length ? there : [...chains];
      eligible.sort((a, b) => time(last(a)) - time(last(b)));
      const usual = previous === NONE ? undefined : this.#latency.usual(previous, hop);
      const { from, certain } = align(
        eligible.map((chain) => time(last(chain))),
        rows.map(time),
        usual,
      );
      if (previous !== NONE && !certain) for (const chain of eligible) chain.ambiguous = true;
      for (const [index, row] of rows.entries()) {
        const chain = eligible[from[index] ?? NONE];
        if (chain) chain.rows.push(row);
        else chains.push({ rows: [row], ambiguous: previous !== NONE && !certain });
      }
      previous = hop;
    }
    return chains.sort((a, b) => time(a.rows[0] ?? 0) - time(b.rows[0] ?? 0));
  }

  /**
   * The sightings of a cluster by passage of a hop, in path order: what has the higher TTL is further up, then what is
   * nearer to the last one before it. Where a hop comes again (hairpin) that says nothing: then what is nearer to the one of
   * its TTL that was seen first, as at the beginning.
   */
  #passages(cluster: Cluster): number[][] {
    const c = this.#columns;
    const passages: Passage[] = [];
    for (const row of cluster.packets.flatMap((packet) => this.#rowsOf(packet))) {
      const known = passages.find(({ rows }) => samePassage(c, rows[0] ?? 0, row));
      if (known) known.rows.push(row);
      else passages.push({ rows: [row], hop: c.hop[row] ?? 0, ttl: c.ttl[row] ?? 0 });
    }
    for (const { rows } of passages)
      rows.sort((a, b) => (c.time[a] ?? 0) - (c.time[b] ?? 0) || (c.record[a] ?? 0) - (c.record[b] ?? 0));
    const since = ({ rows }: Passage): number => c.time[rows[0] ?? 0] ?? 0;
    const ordered: Passage[] = [];
    for (const ttl of [...new Set(passages.map((passage) => passage.ttl))].sort((a, b) => b - a)) {
      const group = passages.filter((passage) => passage.ttl === ttl).sort((a, b) => since(a) - since(b));
      const again = group.some(({ hop }) => ordered.some((other) => other.hop === hop));
      const from = (again ? undefined : ordered.at(-1)?.hop) ?? group[0]?.hop ?? 0;
      const place = ({ hop }: Passage): number => this.#reach.distance(from, hop);
      ordered.push(...group.sort((a, b) => place(a) - place(b)));
    }
    return ordered.map(({ rows }) => rows);
  }

  #rowsOf(packet: number): number[] {
    const rows: number[] = [];
    const { head, next } = this.#packets;
    for (let row = head[packet] ?? NONE; row !== NONE; row = next[row] ?? NONE) rows.push(row);
    return rows;
  }

  #link(packet: number, rows: readonly number[]): void {
    const packets = this.#packets;
    packets.head[packet] = rows[0] ?? NONE;
    packets.tail[packet] = rows.at(-1) ?? NONE;
    packets.count[packet] = rows.length;
    for (const [index, row] of rows.entries()) {
      packets.parent[row] = rows[index - 1] ?? NONE;
      packets.next[row] = rows[index + 1] ?? NONE;
    }
    packets.touched[packet] = Math.max(...rows.map((row) => this.#columns.time[row] ?? 0));
  }
}
