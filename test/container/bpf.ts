/** A simulator of classic BPF, as seccomp has it. */

/** What the kernel's interpreter does (net/core/filter.c), as far as filters of ours go; refuses all else, as its checker does. */
export function runFilter(
  filter: Uint8Array,
  architecture: number,
  number: number,
  args: readonly bigint[] = [],
): number {
  const view = new DataView(filter.buffer, filter.byteOffset, filter.byteLength);
  const call = new DataView(new ArrayBuffer(64));
  call.setUint32(0, number, true);
  call.setUint32(4, architecture, true);
  args.forEach((value, index) => call.setBigUint64(16 + 8 * index, value, true));
  let accumulator = 0;
  for (let at = 0; at < filter.length; at += 8) {
    const [code, k] = [view.getUint16(at, true), view.getUint32(at + 4, true)];
    const jump = (taken: boolean) => (at += 8 * view.getUint8(at + (taken ? 2 : 3)));
    if (code === 0x06) return k;
    else if (code === 0x20) accumulator = call.getUint32(k, true);
    else if (code === 0x05) at += 8 * k;
    else if (code === 0x15) jump(accumulator === k);
    else if (code === 0x25) jump(accumulator > k);
    else if (code === 0x35) jump(accumulator >= k);
    else if (code === 0x45) jump((accumulator & k) !== 0);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else throw new Error(`the checker of the kernel refuses instruction ${code}`);
  }
  throw new Error("ran past the end");
}
