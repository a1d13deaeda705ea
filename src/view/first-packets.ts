/** The first packets of a trace, for documents that cannot show all of a long one; the others are counted. */
import type { PacketEvent } from "../model/trace.js";

export class FirstPackets {
  readonly #limit: number;
  readonly #packets: PacketEvent[] = [];
  #left = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(packet: PacketEvent): void {
    if (packet.provisional === true) return;
    if (this.#packets.length < this.#limit) this.#packets.push(packet);
    else this.#left += 1;
  }

  /** In the order of their numbers; they close in another. */
  get packets(): readonly PacketEvent[] {
    return [...this.#packets].sort((a, b) => a.id - b.id);
  }

  /** Packets that there was no room for. */
  get left(): number {
    return this.#left;
  }
}
