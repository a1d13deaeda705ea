/** Texts of numbers that are asked for again and again, as the few addresses of a network are with each sighting. */

/** How many are kept at most. */
const SLOTS = 1024;

export class Texts {
  readonly #make: (value: number) => string;
  /** By the last bits of a number: which one it was that was asked for last, and its text. */
  readonly #asked = new Float64Array(SLOTS).fill(-1);
  readonly #texts = new Array<string>(SLOTS).fill("");

  /** @param make the text of a number, which is no less than 0 */
  constructor(make: (value: number) => string) {
    this.#make = make;
  }

  of(value: number): string {
    const slot = (value ^ (value >>> 10)) & (SLOTS - 1);
    if (this.#asked[slot] === value) return this.#texts[slot] ?? "";
    const text = this.#make(value);
    this.#asked[slot] = value;
    this.#texts[slot] = text;
    return text;
  }
}
