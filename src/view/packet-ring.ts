/** Packets sorted by number, bounded: beyond the limit the oldest go. */
import type { PacketEvent } from "../model/trace.js";

export class PacketRing {
  readonly #limit: number;
  readonly #packets: PacketEvent[] = [];
  #forgotten = 0;

  /** @param limit packets kept; beyond it the oldest go, a tenth at a time */
  constructor(limit = Infinity) {
    this.#limit = limit;
  }

  get packets(): readonly PacketEvent[] {
    return this.#packets;
  }

  /** Packets that the limit pushed out. */
  get forgotten(): number {
    return this.#forgotten;
  }

  get(id: number): PacketEvent | undefined {
    const packet = this.#packets[this.indexOf(id)];
    return packet?.id === id ? packet : undefined;
  }

  /** Index of the packet with this number, or of the first one after it. */
  indexOf(id: number): number {
    let low = 0;
    let high = this.#packets.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#packets[middle]?.id ?? Infinity) < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Adds a packet, or replaces the one with its number (the provisional form by the closed one). */
  put(packet: PacketEvent): void {
    const index = this.indexOf(packet.id);
    const known = this.#packets[index]?.id === packet.id;
    // A number below the oldest one kept was forgotten before it closed.
    if (!known && index === 0 && this.#forgotten > 0 && this.#packets.length > 0) return;
    this.#packets.splice(index, known ? 1 : 0, packet);
    if (this.#packets.length <= this.#limit) return;
    const excess = Math.max(1, Math.floor(this.#limit / 10));
    this.#packets.splice(0, excess);
    this.#forgotten += excess;
  }

  delete(id: number): void {
    const index = this.indexOf(id);
    if (this.#packets[index]?.id === id) this.#packets.splice(index, 1);
  }

  clear(): void {
    this.#packets.length = 0;
    this.#forgotten = 0;
  }
}
