/** A packet as views and JSON Lines have it, made from its rows. */
import type { MatchClass, PacketEvent, Rewrite, Sighting, Verdict } from "../model/trace.js";
import { type AddressBook, macText } from "../packet/address.js";
import { type Columns, Kind, Mark } from "../packet/columns.js";
import { endpointText } from "./endpoint.js";
import type { Flow } from "./flow.js";
import { NONE, type Packets, State } from "./packets.js";
import type { Scene } from "./scene.js";
import { protocolName, summarize } from "./summary.js";
import { samePassage } from "./whole.js";

export class EventMaker {
  readonly #scene: Scene;
  readonly #columns: Columns;
  readonly #book: AddressBook;
  readonly #packets: Packets;

  constructor(scene: Scene, columns: Columns, book: AddressBook, packets: Packets) {
    this.#scene = scene;
    this.#columns = columns;
    this.#book = book;
    this.#packets = packets;
  }

  make(packet: number, flow: Flow, match: MatchClass, verdict: Verdict, provisional: boolean): PacketEvent {
    const c = this.#columns;
    const packets = this.#packets;
    const head = packets.head[packet] ?? 0;
    const rows = this.#rowsOf(packet);
    const rewrites: Rewrite[] = [];
    const implied: { hop: string; after: string }[] = [];
    for (const row of rows) {
      const parent = packets.parent[row] ?? NONE;
      if (parent === NONE) continue;
      this.#rewrites(parent, row, rewrites);
      const from = this.#scene.places[c.hop[parent] ?? 0];
      const to = this.#scene.places[c.hop[row] ?? 0];
      if (from?.master && from.master === to?.master) {
        const after = this.#name(parent);
        const hop = `${from.node.name}:${from.master.interface.name}`;
        if (!implied.some((one) => one.hop === hop && one.after === after)) implied.push({ hop, after });
      }
    }
    if ((packets.state[packet] ?? 0) & State.segmented) this.#divisions(rows, rewrites);
    return {
      type: "packet",
      id: packets.id[packet] ?? 0,
      ...(provisional ? { provisional: true as const } : {}),
      exchange: flow.exchange,
      direction: (packets.state[packet] ?? 0) & State.reply ? "reply" : "request",
      time: c.time[head] ?? 0,
      protocol: protocolName(c, head),
      summary: summarize(c, head, this.#book),
      sightings: rows.map((row) => this.#sighting(row)),
      rewrites,
      implied,
      match,
      verdict,
    };
  }

  /** In path order; of a packet that was divided, all parts of one hop together. */
  #rowsOf(packet: number): number[] {
    const c = this.#columns;
    const packets = this.#packets;
    const rows: number[] = [];
    for (let row = packets.head[packet] ?? NONE; row !== NONE; row = packets.next[row] ?? NONE) rows.push(row);
    if (((packets.state[packet] ?? 0) & State.segmented) === 0) return rows;
    const firsts = rows.filter((row, at) => rows.findIndex((other) => samePassage(c, other, row)) === at);
    return firsts.flatMap((first) => rows.filter((row) => samePassage(c, row, first)));
  }

  /** `17376 B` became `12 × 1448 B`, or the other way round. */
  #divisions(rows: readonly number[], rewrites: Rewrite[]): void {
    const c = this.#columns;
    let before: { readonly name: string; readonly text: string } | undefined;
    for (let at = 0; at < rows.length;) {
      const first = rows[at] ?? 0;
      const parts = rows.filter((row) => samePassage(c, row, first));
      const size = `${c.payload[parts[0] ?? 0]} B`;
      const text = parts.length === 1 ? size : `${parts.length} × ${size}`;
      const name = this.#name(parts[0] ?? 0);
      if (before && before.text !== text) {
        rewrites.push({ kind: "segmentation", between: [before.name, name], from: before.text, to: text });
      }
      before = { name, text };
      at += parts.length;
    }
  }

  #name(row: number): string {
    return this.#scene.names[this.#columns.hop[row] ?? 0] ?? "";
  }

  #sighting(row: number): Sighting {
    const c = this.#columns;
    const book = this.#book;
    const kind = c.kind[row];
    const family = c.family[row] ?? 0;
    const frame = kind === Kind.frame;
    // One after the other, in the order of JSON Lines: far quicker than objects that are spread into one.
    const sighting: { -readonly [Key in keyof Sighting]: Sighting[Key] } =
      c.tap[row] === c.hop[row]
        ? {
            hop: this.#name(row),
            time: c.time[row] ?? 0,
            record: c.record[row] ?? 0,
            length: c.length[row] ?? 0,
            source: "",
            destination: "",
          }
        : {
            hop: this.#name(row),
            time: c.time[row] ?? 0,
            record: c.record[row] ?? 0,
            capture: c.tap[row] ?? 0,
            length: c.length[row] ?? 0,
            source: "",
            destination: "",
          };
    sighting.source = frame ? macText(c.sourceMac[row] ?? 0) : book.text(family, c.source[row] ?? 0);
    sighting.destination = frame ? macText(c.destinationMac[row] ?? 0) : book.text(family, c.destination[row] ?? 0);
    if (kind === Kind.tcp || kind === Kind.udp) {
      sighting.sourcePort = c.sourcePort[row] ?? 0;
      sighting.destinationPort = c.destinationPort[row] ?? 0;
    }
    if (family !== 0 && kind !== Kind.arp) sighting.ttl = c.ttl[row] ?? 0;
    if (((c.marks[row] ?? 0) & Mark.macs) !== 0) {
      sighting.sourceMac = macText(c.sourceMac[row] ?? 0);
      sighting.destinationMac = macText(c.destinationMac[row] ?? 0);
    }
    return sighting;
  }

  /** What changed on the way from one sighting to the next. */
  #rewrites(before: number, after: number, rewrites: Rewrite[]): void {
    const c = this.#columns;
    const between = [this.#name(before), this.#name(after)] as const;
    // The parts of a divided packet tell the same; a hop that is passed twice is told of once as well.
    const add = (kind: Rewrite["kind"], from: string, to: string): void => {
      if (from === to || rewrites.some((one) => one.kind === kind && one.between[1] === between[1])) return;
      rewrites.push({ kind, between, from, to });
    };
    const kind = c.kind[before];
    if (kind === Kind.frame || kind === Kind.arp) return;
    const end = (row: number, side: "source" | "destination"): string =>
      kind === Kind.icmpError
        ? this.#book.text(c.family[row] ?? 0, (side === "source" ? c.source[row] : c.destination[row]) ?? 0)
        : endpointText(c, this.#book, row, side);
    // Numbers are compared first: most of them stay, and texts take time.
    const changed = (column: ArrayLike<number>): boolean => column[before] !== column[after];
    if (changed(c.destination) || changed(c.destinationPort))
      add("dnat", end(before, "destination"), end(after, "destination"));
    if (changed(c.source) || changed(c.sourcePort)) add("snat", end(before, "source"), end(after, "source"));
    if (changed(c.ttl)) add("ttl", String(c.ttl[before]), String(c.ttl[after]));
    const known = (c.marks[before] ?? 0) & (c.marks[after] ?? 0) & Mark.macs;
    if (known && (changed(c.sourceMac) || changed(c.destinationMac))) {
      const macs = (row: number): string =>
        `${macText(c.sourceMac[row] ?? 0)} > ${macText(c.destinationMac[row] ?? 0)}`;
      add("mac", macs(before), macs(after));
    }
    if (changed(c.mss) && c.mss[before] !== 0 && c.mss[after] !== 0)
      add("mss", String(c.mss[before]), String(c.mss[after]));
    if (changed(c.trafficClass))
      add("dscp", String((c.trafficClass[before] ?? 0) >> 2), String((c.trafficClass[after] ?? 0) >> 2));
  }
}
