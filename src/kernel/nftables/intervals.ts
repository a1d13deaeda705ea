/**
 * Elements of an interval set as the kernel keeps them: where a range begins, and, flagged, where the next value after
 * it is (nft_set_rbtree.c). nft(8) begins with a flagged zero, and so do we.
 */
import type { SetElement } from "./messages.js";
import { NFT_SET_ELEM_INTERVAL_END } from "./constants.js";

/** Both ends belong to it; equal length, big-endian. */
export interface Interval {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** Intervals that overlap become one, as nft(8) has it: the kernel would take marks of one for those of the other. */
function merged(intervals: readonly Interval[]): Interval[] {
  const apart: Interval[] = [];
  for (const next of [...intervals].sort((a, b) => compareBytes(a.from, b.from))) {
    const last = apart.at(-1);
    if (last === undefined || compareBytes(next.from, last.to) > 0) apart.push(next);
    else if (compareBytes(next.to, last.to) > 0) apart.splice(-1, 1, { from: last.from, to: next.to });
  }
  return apart;
}

export function toElements(intervals: readonly Interval[]): SetElement[] {
  const sorted = merged(intervals);
  const [first] = sorted;
  if (first === undefined) return [];
  const elements: SetElement[] = [];
  if (first.from.some((byte) => byte !== 0)) elements.push(end(new Uint8Array(first.from.length)));
  sorted.forEach(({ from, to }, index) => {
    elements.push({ key: { value: from } });
    const after = successor(to);
    const next = sorted[index + 1];
    // Where the next range follows at once, its beginning ends this one.
    if (after !== undefined && (next === undefined || compareBytes(after, next.from) < 0)) elements.push(end(after));
  });
  return elements;
}

export function fromElements(elements: readonly SetElement[]): Interval[] {
  const marks = elements
    .flatMap(({ key, flags = 0 }) =>
      key?.value === undefined ? [] : [{ at: key.value, ends: (flags & NFT_SET_ELEM_INTERVAL_END) !== 0 }],
    )
    .sort((a, b) => compareBytes(a.at, b.at) || Number(b.ends) - Number(a.ends));
  return marks.flatMap(({ at, ends }, index) => {
    if (ends) return [];
    const next = marks[index + 1];
    return [{ from: at, to: next === undefined ? at.map(() => 0xff) : predecessor(next.at) }];
  });
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The addresses of a prefix: bits behind its length clear, and set. */
export function prefixInterval(address: Uint8Array, length: number): Interval {
  const mask = prefixMask(address.length, length);
  return {
    from: address.map((byte, i) => byte & (mask[i] ?? 0)),
    to: address.map((byte, i) => byte | (~(mask[i] ?? 0) & 0xff)),
  };
}

export function prefixMask(bytes: number, length: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => {
    const bits = Math.min(8, Math.max(0, length - 8 * i));
    return (0xff << (8 - bits)) & 0xff;
  });
}

/** Length of the prefix that a mask is, or that an interval covers; undefined for what is none. */
export function prefixLength(mask: Uint8Array): number | undefined {
  let length = 0;
  while (length < 8 * mask.length && ((mask[length >> 3] ?? 0) & (0x80 >> (length & 7))) !== 0) length++;
  return compareBytes(prefixMask(mask.length, length), mask) === 0 ? length : undefined;
}

export function intervalPrefix({ from, to }: Interval): number | undefined {
  const length = prefixLength(from.map((byte, i) => ~(byte ^ (to[i] ?? 0)) & 0xff));
  if (length === undefined) return undefined;
  const { from: low, to: high } = prefixInterval(from, length);
  return compareBytes(low, from) === 0 && compareBytes(high, to) === 0 ? length : undefined;
}

function end(value: Uint8Array): SetElement {
  return { key: { value }, flags: NFT_SET_ELEM_INTERVAL_END };
}

/** One more; undefined after the last. */
function successor(value: Uint8Array): Uint8Array | undefined {
  const next = Uint8Array.from(value);
  for (let i = next.length - 1; i >= 0; i--) {
    next[i] = ((next[i] ?? 0) + 1) & 0xff;
    if (next[i] !== 0) return next;
  }
  return undefined;
}

function predecessor(value: Uint8Array): Uint8Array {
  const previous = Uint8Array.from(value);
  for (let i = previous.length - 1; i >= 0; i--) {
    const byte = previous[i] ?? 0;
    previous[i] = (byte + 0xff) & 0xff;
    if (byte !== 0) break;
  }
  return previous;
}
