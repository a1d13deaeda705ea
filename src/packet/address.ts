/** Addresses as numbers, and as text. */
import { formatAddress } from "../model/address.js";
import { Texts } from "./texts.js";

/**
 * Gives IPv6 addresses numbers, so that a sighting holds an address of either family in 32 bits. IPv4 addresses are
 * their own numbers. Numbers count from 0 in order of first use and stay valid as long as the book.
 */
export class AddressBook {
  /** Four 32-bit words an address. */
  #words = new Uint32Array(4 * 64);
  #count = 0;
  /** Of those that were asked for. */
  readonly #texts: string[] = [];
  /** Open addressing; holds number + 1. Twice as long as there is room for addresses. */
  #slots = new Uint32Array(128);

  /** Number of an IPv6 address. @param offset of its 16 bytes in `view` */
  number(view: DataView, offset: number): number {
    return this.#find(
      view.getUint32(offset),
      view.getUint32(offset + 4),
      view.getUint32(offset + 8),
      view.getUint32(offset + 12),
    );
  }

  /** Number of an address given as a 32- or 128-bit integer. */
  numberOf(family: 4 | 6, value: bigint): number {
    if (family === 4) return Number(value);
    const part = (shift: bigint): number => Number((value >> shift) & 0xffff_ffffn);
    return this.#find(part(96n), part(64n), part(32n), part(0n));
  }

  /** `10.0.0.1`, `fd00::1`, or an empty string where there is no address. */
  text(family: number, number: number): string {
    if (family === 4) return ipv4Text(number);
    if (family !== 6 || number >= this.#count) return "";
    return (this.#texts[number] ??= formatAddress({ family: 6, value: this.value(6, number) }));
  }

  /** The bytes of an address as an integer, as `model/address` takes them. */
  value(family: number, number: number): bigint {
    if (family === 4) return BigInt(number);
    let value = 0n;
    for (let i = 0; i < 4; i++) value = (value << 32n) | BigInt(this.#words[number * 4 + i] ?? 0);
    return value;
  }

  #find(a: number, b: number, c: number, d: number): number {
    const words = this.#words;
    let slot = mix(mix(mix(mix(0x9e3779b9, a), b), c), d) & (this.#slots.length - 1);
    for (;;) {
      const entry = this.#slots[slot] ?? 0;
      if (entry === 0) break;
      const at = (entry - 1) * 4;
      if (words[at] === a && words[at + 1] === b && words[at + 2] === c && words[at + 3] === d) return entry - 1;
      slot = (slot + 1) & (this.#slots.length - 1);
    }
    if (this.#count * 4 === words.length) {
      this.#grow();
      return this.#find(a, b, c, d);
    }
    const number = this.#count++;
    words.set([a, b, c, d], number * 4);
    this.#slots[slot] = number + 1;
    return number;
  }

  #grow(): void {
    const old = this.#words;
    const count = this.#count;
    this.#words = new Uint32Array(old.length * 2);
    this.#slots = new Uint32Array(this.#slots.length * 2);
    this.#count = 0;
    for (let i = 0; i < count * 4; i += 4) this.#find(old[i] ?? 0, old[i + 1] ?? 0, old[i + 2] ?? 0, old[i + 3] ?? 0);
  }
}

/** One step of a 32-bit hash (the multiply and rotate of MurmurHash3). */
export function mix(hash: number, value: number): number {
  let k = Math.imul(value, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  const h = hash ^ Math.imul(k, 0x1b873593);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

/**
 * A field's part in the hash of a record: unlike the steps of a `mix` chain, the parts do not wait for each other. They are
 * combined with XOR, then `finish`ed.
 * @param factor odd, another one for each field
 */
export function part(value: number, factor: number): number {
  const k = Math.imul(value, 0xcc9e2d51);
  return Math.imul((k << 15) | (k >>> 17), factor);
}

/** Spreads the bits of a `mix` chain over the whole word, or those of combined parts. */
export function finish(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Big-endian 32 bits. */
export function word(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
  );
}

/** Big-endian 16 bits. */
export function half(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

export function ipv4Text(value: number): string {
  return ipv4Texts.of(value);
}

const ipv4Texts = new Texts((value) => `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`);

/** RFC 5952. @param at of the 16 bytes of an address in `bytes` */
export function ipv6Text(bytes: Uint8Array, at: number): string {
  let value = 0n;
  for (let i = 0; i < 16; i += 4) value = (value << 32n) | BigInt(word(bytes, at + i));
  return formatAddress({ family: 6, value });
}

/** `02:00:0a:00:00:01` of a 48-bit number. */
export function macText(mac: number): string {
  return macTexts.of(mac);
}

const macTexts = new Texts((mac) => {
  const high = Math.floor(mac / 0x1_0000_0000);
  const octets = [high >>> 8, high, mac / 0x100_0000, mac / 0x1_0000, mac / 0x100, mac];
  return octets.map((octet) => OCTETS[octet & 255]).join(":");
});

const OCTETS = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, "0"));

/** A 48-bit number of `02:00:0a:00:00:01`. */
export function macNumber(text: string): number {
  return Number.parseInt(text.replaceAll(":", ""), 16);
}
