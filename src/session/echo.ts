/** ICMP echo (RFC 792, RFC 4443) sent from a node by a raw socket that init opened there. */
import type { NodeLine } from "../init/api.js";
import { SystemCallError } from "../kernel/index.js";
import { familyOf, inetAddress, readInetAddress } from "../kernel/inet-address.js";
import { Watch } from "../kernel/poll.js";
import { closeQuietly, connect, constants, getsockname, recv, send, setsockopt } from "../kernel/syscalls.js";

export type EchoResult =
  /** @property roundTrip nanoseconds */
  { readonly kind: "answered"; readonly roundTrip: number } | { readonly kind: "lost"; readonly reason: string };

const IPPROTO_ICMP = 1;
const IPPROTO_ICMPV6 = 58;
const SOL_IP = 0;
const SOL_IPV6 = 41;
const IP_RECVERR = 11;
const IPV6_RECVERR = 25;
const MSG_ERRQUEUE = 0x2000;
const echo = { 4: { request: 8, reply: 0 }, 6: { request: 128, reply: 129 } } as const;
const payload = new TextEncoder().encode("yapc-net echo: 56 bytes, as many as ping(8) sends along.");

/** Tells our echoes apart from each other and, by the process id, from those of others. */
let serial = process.pid;

export class EchoSocket implements Disposable {
  readonly #family: 4 | 6;
  readonly #identifier = (serial = (serial + 1) & 0xffff);
  #sequence = 0;

  private constructor(private readonly fd: number) {
    this.#family = familyOf(this.local) === constants.AF_INET6 ? 6 : 4;
  }

  /** @throws SystemCallError ENETUNREACH where the node has no route to the address */
  static open(line: NodeLine, node: string, address: string): EchoSocket {
    const family = familyOf(address);
    const six = family === constants.AF_INET6;
    const fd = line.openSocket(
      node,
      family,
      constants.SOCK_RAW | constants.SOCK_NONBLOCK,
      six ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
    );
    try {
      // Lets "host unreachable" come through, which is not told to a raw socket otherwise.
      setsockopt(fd, six ? SOL_IPV6 : SOL_IP, six ? IPV6_RECVERR : IP_RECVERR, 1);
      connect(fd, inetAddress(address, 0));
      return new EchoSocket(fd);
    } catch (error) {
      closeQuietly(fd);
      throw error;
    }
  }

  /** The address that the echo is sent from. */
  get local(): string {
    return readInetAddress(getsockname(this.fd)).address;
  }

  /** One request. @param patience milliseconds */
  async echo(patience: number): Promise<EchoResult> {
    const sequence = (this.#sequence = (this.#sequence + 1) & 0xffff);
    const began = process.hrtime.bigint();
    const elapsed = () => Number(process.hrtime.bigint() - began);
    try {
      send(this.fd, this.#request(sequence));
      // Between namespaces of one machine the answer is mostly there when the sending returns.
      if (this.#answered(sequence)) return { kind: "answered", roundTrip: elapsed() };
    } catch (error) {
      return this.#lost(error);
    }
    return new Promise((resolve) => {
      const settle = (result: EchoResult) => {
        clearTimeout(timer);
        watch[Symbol.dispose]();
        resolve(result);
      };
      const timer = setTimeout(() => settle({ kind: "lost", reason: `no answer in ${patience / 1000} s` }), patience);
      const watch = new Watch(this.fd, () => {
        try {
          if (this.#answered(sequence)) settle({ kind: "answered", roundTrip: elapsed() });
        } catch (error) {
          settle(this.#lost(error));
        }
      });
    });
  }

  [Symbol.dispose](): void {
    closeQuietly(this.fd);
  }

  #lost(error: unknown): EchoResult {
    if (!(error instanceof SystemCallError)) throw error;
    const drain = new Uint8Array(512);
    while (recv(this.fd, drain, MSG_ERRQUEUE) !== undefined);
    return { kind: "lost", reason: unreachable[error.code] ?? error.message };
  }

  /** Reads until the answer or until nothing is left: a raw socket hears other ICMP of that address too. */
  #answered(sequence: number): boolean {
    const buffer = new Uint8Array(2048);
    for (let size = recv(this.fd, buffer); size !== undefined; size = recv(this.fd, buffer)) {
      // IPv4 raw sockets give the IP header too; its length stands in its first byte, in words of four bytes.
      const start = this.#family === 4 ? ((buffer[0] ?? 0) & 15) * 4 : 0;
      if (size < start + 8) continue;
      const view = new DataView(buffer.buffer, start, 8);
      if (
        view.getUint8(0) === echo[this.#family].reply &&
        view.getUint16(4) === this.#identifier &&
        view.getUint16(6) === sequence
      )
        return true;
    }
    return false;
  }

  #request(sequence: number): Uint8Array {
    const bytes = new Uint8Array(8 + payload.length);
    const view = new DataView(bytes.buffer);
    view.setUint8(0, echo[this.#family].request);
    view.setUint16(4, this.#identifier);
    view.setUint16(6, sequence);
    bytes.set(payload, 8);
    // The kernel fills in the checksum of ICMPv6, which covers addresses too (raw(7), RFC 3542 3.1).
    if (this.#family === 4) view.setUint16(2, checksum(bytes));
    return bytes;
  }
}

/** In words, what the node's kernel or a router said. */
const unreachable: Readonly<Record<string, string>> = {
  ENETUNREACH: "no route",
  EHOSTUNREACH: "host unreachable",
  EACCES: "prohibited by a route or a firewall",
  EPERM: "refused by the node's own firewall",
  ECONNREFUSED: "refused",
  ENOBUFS: "the machine's table of neighbours is full (net.ipv4.neigh.default.gc_thresh3)",
};

/** What a failed send, connect or receive means in words, else the error's own text. */
export function unreachableText(error: unknown): string {
  if (error instanceof SystemCallError) return unreachable[error.code] ?? error.message;
  return error instanceof Error ? error.message : String(error);
}

/** RFC 1071: one's complement of the one's complement sum of 16-bit words. */
function checksum(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let sum = 0;
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += view.getUint16(at);
  if (bytes.length % 2 === 1) sum += (bytes[bytes.length - 1] ?? 0) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
