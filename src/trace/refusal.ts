/** What an ICMP error or a RST refuses. */
import { type Columns, Kind, Tcp } from "../packet/columns.js";

/** Whether a row is one that can refuse others. */
export function isRefusal(c: Columns, row: number): boolean {
  return c.kind[row] === Kind.icmpError || (c.kind[row] === Kind.tcp && ((c.flags[row] ?? 0) & Tcp.rst) !== 0);
}

/** Whether `refusal` is about the packet of `row`, a packet of the same connection that goes the other way. */
export function refuses(c: Columns, refusal: number, row: number): boolean {
  return c.kind[refusal] === Kind.icmpError ? quotes(c, refusal, row) : resets(c, refusal, row);
}

function quotes(c: Columns, error: number, row: number): boolean {
  if (c.innerProtocol[error] !== c.protocol[row]) return false;
  if (c.family[row] === 4 && c.innerIdentification[error] !== c.identification[row]) return false;
  switch (c.kind[row]) {
    case Kind.tcp:
    case Kind.echo:
      return c.innerSequence[error] === c.sequence[row];
    case Kind.udp:
      return c.innerSequence[error] === (c.payload[row] ?? 0) + 8;
    default:
      return c.kind[row] !== Kind.icmpError;
  }
}

/** A RST acknowledges the segment it answers, or takes its sequence number from its acknowledgement (RFC 9293, 3.10.7). */
function resets(c: Columns, reset: number, row: number): boolean {
  const flags = c.flags[row] ?? 0;
  if (c.kind[row] !== Kind.tcp || flags & Tcp.rst) return false;
  if (((c.flags[reset] ?? 0) & Tcp.ack) === 0) return c.sequence[reset] === c.acknowledgement[row];
  const length = (c.payload[row] ?? 0) + (flags & (Tcp.syn | Tcp.fin) ? 1 : 0);
  return c.acknowledgement[reset] === ((c.sequence[row] ?? 0) + length) >>> 0;
}
