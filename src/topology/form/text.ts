/** The texts of the file form: each says what it wants in the words that an error needs. */
import * as z from "zod/mini";
import { isUnicastMac, parseAddress, parseInterfaceAddress, parseMac, parsePrefix } from "../../model/address.js";
import { interfaceName, nodeName, parseEnd, parseHopName, parseService } from "../notation.js";
import { parseDuration, parseLimit, parsePercentage, parsePorts, parseRate, parseSize } from "../quantity.js";
import { hasRange, rangeCount, rangeMember } from "../range.js";

/**
 * A text that `test` accepts; with a range in it, its first and its last member must do.
 * @param what completes "… is not …": `an address such as 10.0.0.1`
 */
export function text(what: string, test: (text: string) => boolean, examples: readonly string[] = []) {
  return z
    .string()
    .check(z.refine((value) => members(value).every(test), { error: `is not ${what}` }))
    .register(z.globalRegistry, { description: what, ...(examples.length > 0 ? { examples: [...examples] } : {}) });
}

/** Ranges that are wrong in themselves are reported where they are expanded. */
function members(value: string): string[] {
  if (!hasRange(value)) return [value];
  try {
    const count = rangeCount(value) ?? 1;
    return [rangeMember(value, 0), rangeMember(value, count - 1)];
  } catch {
    return [];
  }
}

/** One value, or a list of them where there are several. */
export function some<T extends z.core.$ZodType>(item: T) {
  return z.union([item, z.array(item)]);
}

/** An object that knows all its keys: any other is an error. */
export function form<T extends z.core.$ZodShape>(description: string, shape: T) {
  return z.strictObject(shape).register(z.globalRegistry, { description });
}

export const node = text("a name: a-z, 0-9, - and _, at most 63", (name) => nodeName.test(name), ["web", "web[1-10]"]);
export const iface = text("an interface name", (name) => interfaceName.test(name), ["eth0"]);
export const end = text(
  "an end of a link: NODE:INTERFACE, NODE:BRIDGE or NODE:BRIDGE/PORT",
  (name) => parseEnd(name) !== undefined,
  ["web:eth0", "host:br0/vethweb"],
);
export const hop = text("a hop: NODE:INTERFACE", (name) => parseHopName(name) !== undefined, ["host:eth0"]);
export const address = text("an address such as 10.0.0.1 or fd00::1", (value) => parseAddress(value) !== undefined);
export const interfaceAddress = text(
  "an address with the length of its prefix, such as 10.0.0.1/24 or fd00::1/64",
  (value) => parseInterfaceAddress(value) !== undefined,
  ["10.0.0.1/24"],
);
/** Of a member: the length comes from the subnet where it is not given. */
export const memberAddress = text(
  "an address such as 10.0.0.1 or fd00::1",
  (value) => (parseInterfaceAddress(value) ?? parseAddress(value)) !== undefined,
);
export const prefix = text(
  "a network such as 10.0.0.0/24 or fd00::/64 (no bits beyond its length)",
  (value) => parsePrefix(value) !== undefined,
  ["10.0.0.0/24", "fd00::/64"],
);
export const destination = text(
  "a network such as 10.0.0.0/24, an address, or default",
  (value) => value === "default" || parsePrefix(value) !== undefined,
);
export const party = text(
  "a network, an address or a node",
  (value) => parsePrefix(value) !== undefined || nodeName.test(value),
  ["10.0.0.0/24", "web"],
);
export const mac = text("a unicast link-layer address such as 02:00:00:00:00:01", (value) =>
  isUnicastMac(parseMac(value) ?? new Uint8Array(0)),
);
export const service = text(
  "a service: tcp://HOST:PORT or udp://HOST:PORT, HOST a node or an address",
  (value) => parseService(value)?.port !== undefined,
  ["tcp://web:80"],
);
export const target = text(
  "a target: tcp://HOST:PORT, udp://HOST:PORT or icmp://HOST",
  (value) => parseService(value) !== undefined,
  ["tcp://203.0.113.1:8080", "icmp://web"],
);
export const duration = text("a time such as 5ms, 200us or 1s", (value) => parseDuration(value) !== undefined);
export const rate = text("a rate such as 100mbit or 64kbit", (value) => parseRate(value) !== undefined);
export const size = text("a size such as 100M or 64k", (value) => (parseSize(value) ?? 0) > 0);
export const percentage = text("a share such as 0.5% (at most 100%)", (value) => parsePercentage(value) !== undefined);
export const limit = text("a limit such as 10/second", (value) => parseLimit(value) !== undefined);

const portNumber = z
  .number()
  .check(z.int("is not a port"), z.minimum(1, "is not a port"), z.maximum(65535, "is not a port"));
/** A single port; as a text it may hold a range of entries (`80[01-10]`). */
export const port = z.union([
  portNumber,
  text("a port from 1 to 65535", (value) => /^[0-9]+$/.test(value) && parsePorts(value) !== undefined),
]);
export const ports = some(
  z.union([
    portNumber,
    text("a port or a range of ports such as 8000-8010", (value) => parsePorts(value) !== undefined),
  ]),
);

/** `tcp/80`. */
export const readiness = text(
  "a port that listens, such as tcp/80",
  (value) => /^(tcp|udp)\/[0-9]+$/.test(value) && parsePorts(value.slice(4)) !== undefined,
  ["tcp/80"],
);

export const mtu = z
  .number()
  .check(
    z.int("is not an MTU"),
    z.minimum(68, "is less than 68, the smallest MTU of IPv4"),
    z.maximum(65535, "is more than 65535, the largest MTU of a veth pair"),
  );

export function whole(what: string, minimum: number, maximum: number) {
  const error = `is not ${what} from ${minimum} to ${maximum}`;
  return z
    .number()
    .check(z.int(error), z.minimum(minimum, error), z.maximum(maximum, error))
    .register(z.globalRegistry, { description: what });
}
