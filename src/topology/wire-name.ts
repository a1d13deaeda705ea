/** Names and link-layer addresses that are worked out: the same from run to run, whatever else the file holds. */
import { formatMac } from "../model/address.js";

/** IFNAMSIZ - 1 (linux/if.h). */
export const longestName = 15;

/** Two independent 32-bit hashes of a text (FNV-1a, then the finaliser of MurmurHash3). */
function hash(text: string): [number, number] {
  const bytes = new TextEncoder().encode(text);
  return [0x811c9dc5, 0x9dc5811c].map((seed) => {
    let state = seed;
    for (const byte of bytes) state = Math.imul(state ^ byte, 0x01000193);
    state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    return (state ^ (state >>> 16)) >>> 0;
  }) as [number, number]; // map keeps the length
}

/** A name that fits: `vethloadbalancer-north` becomes `vethlo-1k3f09xz`. A name of at most 15 bytes stays. */
export function wireName(name: string): string {
  if (name.length <= longestName) return name;
  const digits = (hash(name)[0] * 2 ** 10 + (hash(name)[1] & 0x3ff)).toString(36).padStart(9, "0");
  return `${name.slice(0, 6)}-${digits.slice(-8)}`;
}

/** A locally administered unicast address (IEEE 802, U/L bit) for an interface of a lab. */
export function stableMac(lab: string, node: string, name: string, attempt = 0): string {
  const [high, low] = hash(`${lab}\0${node}\0${name}${attempt === 0 ? "" : `\0${attempt}`}`);
  return formatMac(Uint8Array.of(0x02, high & 0xff, low >>> 24, (low >>> 16) & 0xff, (low >>> 8) & 0xff, low & 0xff));
}
