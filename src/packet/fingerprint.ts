/**
 * What makes two sightings candidates for one packet: a hash over all that forwarding and NAT leave alone. Link layer,
 * TTL, traffic class, checksums, addresses, ports, echo identifiers and the MSS option are left out.
 */
import { finish, mix, part } from "./address.js";
import { type Columns, Kind } from "./columns.js";
import { Protocol } from "./protocol.js";

/** Payload bytes that take part in a fingerprint. A snapshot length of 256 holds them behind any usual header. */
export const DIGEST_BYTES = 64;

/** Writes the fingerprint of a row whose other columns are set. */
export function seal(c: Columns, row: number): void {
  let h = hashOf(
    ((c.kind[row] ?? 0) << 16) | ((c.protocol[row] ?? 0) << 8) | (c.flags[row] ?? 0),
    c.payload[row] ?? 0,
    c.identification[row] ?? 0,
    c.sequence[row] ?? 0,
    c.acknowledgement[row] ?? 0,
    ((c.window[row] ?? 0) << 16) | (c.fragmentOffset[row] ?? 0),
    c.digest[row] ?? 0,
  );
  if (c.kind[row] === Kind.icmpError) {
    h = mix(h, c.innerIdentification[row] ?? 0);
    h = mix(h, c.innerSequence[row] ?? 0);
  }
  c.fingerprint[row] = finish(h);
}

/** Of a TCP segment, whose fields are at hand: what `seal` would write. */
export function tcpFingerprint(
  flags: number,
  payload: number,
  identification: number,
  sequence: number,
  acknowledgement: number,
  window: number,
  digest: number,
): number {
  const what = (Kind.tcp << 16) | (Protocol.tcp << 8) | flags;
  return finish(hashOf(what, payload, identification, sequence, acknowledgement, window << 16, digest));
}

function hashOf(
  what: number,
  payload: number,
  identification: number,
  sequence: number,
  acknowledgement: number,
  windowAndOffset: number,
  digest: number,
): number {
  return (
    part(what, 0x9e3779b1) ^
    part(payload, 0x85ebca77) ^
    part(identification, 0xc2b2ae3d) ^
    part(sequence, 0x27d4eb2f) ^
    part(acknowledgement, 0x165667b1) ^
    part(windowAndOffset, 0xd3a2646d) ^
    part(digest, 0xfd7046c5)
  );
}

/** Whether two rows are equal in all that forwarding and NAT leave alone: the columns, not their hash. */
export function sameInvariants(c: Columns, a: number, b: number): boolean {
  return (
    c.fingerprint[a] === c.fingerprint[b] &&
    c.kind[a] === c.kind[b] &&
    c.family[a] === c.family[b] &&
    c.protocol[a] === c.protocol[b] &&
    c.payload[a] === c.payload[b] &&
    c.identification[a] === c.identification[b] &&
    c.sequence[a] === c.sequence[b] &&
    c.acknowledgement[a] === c.acknowledgement[b] &&
    c.flags[a] === c.flags[b] &&
    c.window[a] === c.window[b] &&
    c.fragmentOffset[a] === c.fragmentOffset[b] &&
    c.digest[a] === c.digest[b] &&
    (c.kind[a] !== Kind.icmpError ||
      (c.innerIdentification[a] === c.innerIdentification[b] && c.innerSequence[a] === c.innerSequence[b]))
  );
}

/** Whether something names a row's packet apart from its content: a number that its sender gave it. */
export function isNamed(c: Columns, row: number): boolean {
  return c.identification[row] !== 0 || c.kind[row] === Kind.echo || c.kind[row] === Kind.arp;
}

/** Hash of bytes [from, to). */
export function digestOf(view: DataView, from: number, to: number): number {
  let h = 1;
  let i = from;
  for (; i + 4 <= to; i += 4) h = mix(h, view.getUint32(i));
  for (; i < to; i++) h = mix(h, view.getUint8(i));
  return finish(mix(h, to - from));
}
