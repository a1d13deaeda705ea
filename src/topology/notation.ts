/** The small notations of the file: ends of links, services, names of nodes and interfaces. */
import { canonicalAddress } from "../model/address.js";

export const nodeName = /^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$/;
/** What a person may call an interface; a name of more than 15 bytes is shortened on the wire (`wire-name.ts`). */
export const interfaceName = /^[a-zA-Z0-9_]([a-zA-Z0-9_.@-]{0,62})$/;

export interface EndName {
  readonly node: string;
  /** Interface, or the bridge that `port` belongs to. */
  readonly interface: string;
  readonly port?: string;
}

/** `NODE:IFACE` or `NODE:BRIDGE/PORT`. */
export function parseEnd(text: string): EndName | undefined {
  const [, node, name, port] = /^([^:/]+):([^:/]+)(?:\/([^:/]+))?$/.exec(text) ?? [];
  if (node === undefined || name === undefined || !nodeName.test(node) || !interfaceName.test(name)) return undefined;
  if (port === undefined) return { node, interface: name };
  return interfaceName.test(port) ? { node, interface: name, port } : undefined;
}

/** `host:eth0`. */
export function parseHopName(text: string): { node: string; interface: string } | undefined {
  const end = parseEnd(text);
  return end?.port === undefined ? end : undefined;
}

export interface Service {
  readonly protocol: "tcp" | "udp" | "icmp";
  /** A node's name or an address in its one spelling. */
  readonly host: string;
  readonly port?: number;
}

/** `tcp://web:80`, `udp://[fd00::1]:53`, `icmp://10.0.0.1`, `web:80` (tcp). Ports stand with tcp and udp, and only there. */
export function parseService(text: string): Service | undefined {
  const parts = /^(?:(tcp|udp|icmp):\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([^:/[\]]+))(?::([0-9]{1,5}))?$/.exec(text);
  if (!parts) return undefined;
  const [, scheme = "tcp", literal, name, digits] = parts;
  const host = literal ?? name ?? "";
  const address = canonicalAddress(host);
  if (literal !== undefined ? address === undefined : address === undefined && !nodeName.test(host)) return undefined;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > 65535)) return undefined;
  const protocol = scheme as "tcp" | "udp" | "icmp"; // the pattern has no other alternatives
  if ((protocol === "icmp") !== (port === undefined)) return undefined;
  return { protocol, host: address ?? host, ...(port === undefined ? {} : { port }) };
}

/** `web`, `web:80`, `10.0.0.1:80`, `fd00::1`, `[fd00::1]:80`. */
export function parseHostPort(text: string): { host: string; port?: number } | undefined {
  const address = canonicalAddress(text);
  if (address !== undefined) return { host: address };
  const service = parseService(text.includes("://") ? "" : `tcp://${text}`);
  if (service?.port !== undefined) return { host: service.host, port: service.port };
  return nodeName.test(text) ? { host: text } : undefined;
}

/** `tcp://10.0.0.1:80`, `icmp://fd00::1` written with brackets where a colon would be misread. */
export function formatService(protocol: string, address: string, port?: number): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return `${protocol}://${host}${port === undefined ? "" : `:${port}`}`;
}
