/** Texts that were told once. */
import type { PacketEvent } from "../model/trace.js";
import { sideOf } from "./path.js";

/**
 * Rewrites are the same for every packet of one direction of an exchange, and so is the death of its retransmissions:
 * told in full once; later packets carry the mark, or name the first one.
 */
export class Told {
  readonly #packets = new Map<string, Map<number, number>>();
  #size = 0;

  /** Number of the packet that was the first to tell this text, perhaps this one. */
  first(packet: PacketEvent, text: string): number {
    const { id } = packet;
    const side = sideOf(packet);
    const known = this.#packets.get(text)?.get(side);
    if (known !== undefined) return known;
    // Bounded; when it starts anew, some texts are told twice.
    if (this.#size >= 10_000) {
      this.#packets.clear();
      this.#size = 0;
    }
    const packets = this.#packets.get(text);
    if (packets === undefined) this.#packets.set(text, new Map([[side, id]]));
    else packets.set(side, id);
    this.#size += 1;
    return id;
  }
}
