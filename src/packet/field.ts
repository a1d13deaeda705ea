/** A record's bytes as labelled fields, layer by layer. */
import { formatMac } from "../model/address.js";
import { half, word } from "./address.js";

export interface Field {
  /** `Ethernet`, `Time to live`, … */
  readonly label: string;
  /** As it is read: `203.0.113.1`, `SYN, ACK`; of a layer, what it says in one line. */
  readonly value: string;
  /** Byte range in the record. */
  readonly offset: number;
  readonly length: number;
  readonly fields: readonly Field[];
}

/** Reads a record, and keeps the layers that were found in it, the outermost first. */
export class FieldReader {
  readonly layers: Field[] = [];

  constructor(readonly bytes: Uint8Array) {}

  /** Notes a header that is not whole. */
  has(label: string, at: number, length: number): boolean {
    const there = this.bytes.length - at;
    if (there >= length) return true;
    if (there > 0) {
      this.layer(label, "cut off", at, there, [leaf("Cut off", `${there} of ${length} B captured`, at, there)]);
    }
    return false;
  }

  layer(label: string, value: string, offset: number, length: number, fields: readonly Field[]): void {
    const whole = { label, value, offset, length, fields };
    this.layers.push(clamped(whole, this.bytes.length));
  }

  byte(at: number): number {
    return this.bytes[at] ?? 0;
  }

  half(at: number): number {
    return half(this.bytes, at);
  }

  mac(at: number): string {
    return formatMac(this.bytes.subarray(at, at + 6));
  }

  word(at: number): number {
    return word(this.bytes, at);
  }

  payload(at: number, end: number, label = "Payload"): void {
    const length = Math.max(0, Math.min(end, this.bytes.length) - at);
    if (length > 0) this.layer(label, `${length} B`, at, length, []);
  }
}

/** A field without the bytes that were not captured. */
function clamped(field: Field, end: number): Field {
  return {
    ...field,
    length: Math.max(0, Math.min(field.length, end - field.offset)),
    fields: field.fields.filter((one) => one.offset <= end).map((one) => clamped(one, end)),
  };
}

export function leaf(label: string, value: string, offset: number, length: number): Field {
  return { label, value, offset, length, fields: [] };
}

export function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, "0")}`;
}
