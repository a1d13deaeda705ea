/** A frame inside of a datagram: VXLAN (RFC 7348). */
import { type FieldReader, hex, leaf } from "./field.js";

/** That of IANA, and that of Linux's own default (`ip link add … type vxlan`). */
const ports = [4789, 8472];
const headerLength = 8;

/** Whether a datagram to this port carries a frame: its first byte says that an id follows, and what is reserved is zero. */
export function isVxlan(r: FieldReader, port: number, at: number): boolean {
  return (
    ports.includes(port) &&
    r.bytes.length - at >= headerLength &&
    r.word(at) === 0x0800_0000 &&
    r.byte(at + headerLength - 1) === 0
  );
}

/** @param frame describes the Ethernet frame that begins there */
export function describeVxlan(r: FieldReader, at: number, frame: (at: number) => void): void {
  const id = r.word(at + 4) >>> 8;
  r.layer("VXLAN", `network ${id}`, at, headerLength, [
    leaf("Flags", hex(r.byte(at), 2), at, 1),
    leaf("Network identifier (VNI)", String(id), at + 4, 3),
  ]);
  frame(at + headerLength);
}
