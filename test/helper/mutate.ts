/** Seeded mutations of bytes, for fuzzing. */

/** xorshift32: small, and the same on every machine. @param seed not 0 */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}

/** Bytes that length and count fields break on. */
const edges = [0, 1, 0x7f, 0x80, 0xff];

/** A copy with one to four changes: a byte set, a 32-bit field set to an extreme, a piece cut out, doubled, or the end cut off. */
export function mutate(bytes: Uint8Array, below: (limit: number) => number): Uint8Array {
  let out = bytes.slice();
  for (let changes = 1 + below(4); changes > 0 && out.length > 8; changes--) {
    const at = below(out.length - 4);
    const length = 1 + below(16);
    switch (below(6)) {
      case 0:
        out[at] = below(256);
        break;
      case 1:
        out[at] = edges[below(edges.length)] ?? 0;
        break;
      case 2:
        new DataView(out.buffer).setUint32(
          at,
          [0, 1, 0xffffffff, 0xfffffffe, 0x7fffffff, out.length][below(6)] ?? 0,
          true,
        );
        break;
      case 3:
        out = Uint8Array.from([...out.subarray(0, at), ...out.subarray(at + length)]);
        break;
      case 4:
        out = Uint8Array.from([...out.subarray(0, at + length), ...out.subarray(at)]);
        break;
      case 5:
        out = out.slice(0, at);
        break;
    }
  }
  return out;
}
