/** Addresses and ports of a sighting as text. */
import { type AddressBook, macText } from "../packet/address.js";
import { type Columns, Kind } from "../packet/columns.js";
import { Protocol } from "../packet/protocol.js";

/** `203.0.113.1:8080`, `[fd00::1]:80`, `10.0.0.1` where there are no ports; of an ICMP error, of the packet it quotes, turned round. */
export function endpointText(c: Columns, book: AddressBook, row: number, side: "source" | "destination"): string {
  const kind = c.kind[row];
  const family = c.family[row] ?? 0;
  const source = side === "source";
  if (kind === Kind.icmpError) {
    const address = book.text(family, (source ? c.innerDestination[row] : c.innerSource[row]) ?? 0);
    const port = (source ? c.destinationPort[row] : c.sourcePort[row]) ?? 0;
    const protocol = c.innerProtocol[row] ?? 0;
    return protocol === Protocol.tcp || protocol === Protocol.udp ? withPort(address, family, port) : address;
  }
  if (kind === Kind.frame) return macText((source ? c.sourceMac[row] : c.destinationMac[row]) ?? 0);
  const address = book.text(family, (source ? c.source[row] : c.destination[row]) ?? 0);
  if (kind !== Kind.tcp && kind !== Kind.udp) return address;
  return withPort(address, family, (source ? c.sourcePort[row] : c.destinationPort[row]) ?? 0);
}

export function withPort(address: string, family: number, port: number): string {
  return family === 6 ? `[${address}]:${port}` : `${address}:${port}`;
}

export function addressIsMulticast(book: AddressBook, family: number, address: number): boolean {
  if (family === 4) return address >>> 28 === 0xe || address === 0xffffffff;
  return family === 6 && book.value(6, address) >> 120n === 0xffn;
}
