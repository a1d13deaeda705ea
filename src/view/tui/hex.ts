/** Bytes in hexadecimal and, where they are printable ASCII, as characters. */
import { type Ink, inverse } from "../ink.js";

/** Cells that a line takes. */
export function hexWidth(perLine: number): number {
  return 4 + 2 + perLine * 3 + 1 + perLine;
}

/**
 * @param range bytes to point out: first offset, and the one after the last
 */
export function hexLines(bytes: Uint8Array, perLine: number, ink: Ink, range?: readonly [number, number]): string[] {
  const lines: string[] = [];
  for (let offset = 0; offset < bytes.length; offset += perLine) {
    let digits = "";
    let characters = "";
    for (let index = offset; index < offset + perLine; index += 1) {
      const byte = bytes[index];
      if (byte === undefined) {
        digits += "   ";
        continue;
      }
      const chosen = range !== undefined && index >= range[0] && index < range[1];
      const digit = byte.toString(16).padStart(2, "0");
      const character = byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·";
      digits += `${chosen ? inverse(digit) : digit} `;
      characters += chosen ? inverse(character) : character;
    }
    lines.push(`${ink("dim", offset.toString(16).padStart(4, "0"))}  ${digits} ${characters}`);
  }
  return lines;
}
