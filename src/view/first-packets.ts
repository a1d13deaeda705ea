/** The first packets of a trace, for documents that cannot show all of a long one; the others are counted. */
import type { LogEvent, PacketEvent } from "../model/trace.js";

export class FirstPackets<Row extends PacketEvent | LogEvent = PacketEvent> {
  readonly #limit: number;
  readonly #packets: Row[] = [];
  #left = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(packet: Row): void {
    if (packet.type === "packet" && packet.provisional === true) return;
    if (this.#packets.length < this.#limit) this.#packets.push(packet);
    else this.#left += 1;
  }

  /** In the order of time, which is that of packets' numbers; they close in another. */
  get packets(): readonly Row[] {
    return [...this.#packets].sort(inOrder);
  }

  /** Packets that there was no room for. */
  get left(): number {
    return this.#left;
  }
}

/** Packets, and lines of logs between them. */
export function inOrder(a: PacketEvent | LogEvent, b: PacketEvent | LogEvent): number {
  return a.time - b.time || idOf(a) - idOf(b);
}

function idOf(row: PacketEvent | LogEvent): number {
  return row.type === "packet" ? row.id : Infinity;
}
