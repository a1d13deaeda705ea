/** What nft(8) keeps beside a rule: type u8, length u8, value (libnftnl, udata.h). The kernel only stores it. */
import { littleEndian } from "../codec/index.js";

const COMMENT = 0;
const LONGEST = 253;

/** A rule's comment as nft writes it: with its NUL, which the length counts. */
export function commentUserdata(comment: string): Uint8Array {
  const text = new TextEncoder().encode(comment);
  if (text.length > LONGEST) throw new RangeError(`a comment of ${text.length} bytes: ${LONGEST} is the most`);
  return Uint8Array.of(COMMENT, text.length + 1, ...text, 0);
}

/** The comment in a rule's userdata; undefined where there is none, or where it is not in nft's form. */
export function readComment(userdata: Uint8Array): string | undefined {
  let at = 0;
  while (at + 2 <= userdata.length) {
    const length = userdata[at + 1] ?? 0;
    const value = userdata.subarray(at + 2, at + 2 + length);
    if (value.length < length) return undefined;
    if (userdata[at] === COMMENT) {
      const nul = value.indexOf(0);
      return new TextDecoder().decode(nul === -1 ? value : value.subarray(0, nul));
    }
    at += 2 + length;
  }
  return undefined;
}

/** Type 0 of a set's userdata: the byte order of its keys (BYTEORDER_HOST_ENDIAN 1, BYTEORDER_BIG_ENDIAN 2 of nft). */
export function setUserdata(byteOrder: "host" | "big"): Uint8Array {
  const value = new Uint8Array(6);
  value.set([0, 4]);
  new DataView(value.buffer).setUint32(2, byteOrder === "host" ? 1 : 2, littleEndian);
  return value;
}
