/** Decoded values as one line of text: `header{index=3 flags=1} attributes{name="eth0" mtu=1500}`. */

const LONGEST_BYTES = 64;

export function print(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Uint8Array) return printBytes(value);
  if (Array.isArray(value)) return `[${value.map(print).join(" ")}]`;
  if (typeof value === "object" && value !== null) {
    return Object.entries(value)
      .filter(([, part]) => part !== undefined)
      .map(
        ([name, part]) => `${name}${typeof part === "object" && !isPlainList(part) ? block(part) : `=${print(part)}`}`,
      )
      .join(" ");
  }
  return String(value);
}

function isPlainList(value: unknown): boolean {
  return Array.isArray(value) || value instanceof Uint8Array;
}

function block(value: unknown): string {
  return `{${print(value)}}`;
}

function printBytes(bytes: Uint8Array): string {
  const shown = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, LONGEST_BYTES)).toString("hex");
  return `0x${shown}${bytes.length > LONGEST_BYTES ? `… (${bytes.length} bytes)` : ""}`;
}
