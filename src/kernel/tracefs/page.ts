/**
 * Pages of the kernel's trace ring, as `per_cpu/cpuN/trace_pipe_raw` gives them: a stamp, a length, then events, each
 * behind a word of five bits of type and 27 bits of nanoseconds since the event before (include/linux/ring_buffer.h,
 * events/header_page, events/header_event). Little-endian machines only: elsewhere the word is laid out differently.
 */

/** @param at where the event's own bytes begin in the page @param time nanoseconds since the base */
export type PageSink = (time: number, at: number, length: number) => void;

/** Bits of `commit` above the length. */
const missedEvents = 0x8000_0000;
const lengthMask = 0x000f_ffff;
const dataOffset = 16;
const PADDING = 29;
const TIME_EXTEND = 30;
const TIME_STAMP = 31;
/** Of an absolute stamp, these bits stand in the event; those above are the page's. */
const stampBits = 59n;

/**
 * @param base what times count from, of the ring's clock
 * @returns whether events were lost before this page
 */
export function readTracePage(page: Uint8Array, base: bigint, sink: PageSink): boolean {
  if (page.length < dataOffset) return false;
  const view = new DataView(page.buffer, page.byteOffset, page.length);
  const stamp = view.getBigUint64(0, true);
  const commit = view.getUint32(8, true);
  const end = Math.min(page.length, dataOffset + (commit & lengthMask));
  let time = Number(stamp - base);
  for (let at = dataOffset; at + 4 <= end;) {
    const head = view.getUint32(at, true);
    const type = head & 31;
    const delta = head >>> 5;
    if (type === TIME_EXTEND || type === TIME_STAMP) {
      if (at + 8 > end) break;
      const high = view.getUint32(at + 4, true);
      if (type === TIME_EXTEND) time += high * 2 ** 27 + delta;
      else time = Number((((stamp >> stampBits) << stampBits) | (BigInt(high) << 27n) | BigInt(delta)) - base);
      at += 8;
      continue;
    }
    if (type === PADDING) {
      if (delta === 0 || at + 8 > end) break; // the rest of the page is empty
      time += delta;
      at += 4 + view.getUint32(at + 4, true);
      continue;
    }
    time += delta;
    // Up to 112 bytes the type is the length, in words; else a word of its own tells it, itself included.
    const long = type === 0;
    const length = long ? view.getUint32(at + 4, true) - 4 : type * 4;
    const from = at + (long ? 8 : 4);
    if (length < 0 || from + length > end) break;
    sink(time, from, length);
    at = from + length;
  }
  return (commit & missedEvents) !== 0;
}
