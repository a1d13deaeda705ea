/** Where a packet shall go, as a user writes it: `tcp://web:80`, `203.0.113.1:8080`, `icmp://[fd00::1]`, `web`. */
import { type Address, canonicalAddress, contains, networkOf, parseAddress } from "../model/address.js";
import { Failure } from "../model/failure.js";
import type { NodeSnapshot, Snapshot } from "../model/snapshot.js";
import { didYouMean } from "../model/spelling.js";

export interface Destination {
  readonly protocol: "tcp" | "udp" | "icmp";
  /** An address, or the name of a node. */
  readonly host: string;
  readonly port?: number;
}

const form = /^(?:(tcp|udp|icmp):\/\/)?(?:\[([0-9a-fA-F:.]+)\]|([^/[\]]+?))(?::(\d{1,5}))?\/?$/;

/**
 * Without a protocol it is TCP where there is a port, else an ICMP echo.
 * @param wanted protocol of `--protocol`
 * @throws Failure (usage)
 */
export function parseDestination(text: string, wanted: Destination["protocol"] | undefined): Destination {
  const bare = canonicalAddress(text);
  const parts = bare === undefined ? form.exec(text) : [text, undefined, undefined, bare, undefined];
  const [, scheme, literal, name, digits] = parts ?? [];
  const host = literal ?? name;
  if (host === undefined || (literal !== undefined && canonicalAddress(literal) === undefined))
    throw new Failure("usage", `'${text}' is no destination`, {
      hint: "write NODE:PORT, ADDRESS:PORT, [IPV6]:PORT, tcp://…, udp://… or icmp://…",
    });
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && (port < 1 || port > 65535)) throw new Failure("usage", `${port} is no port: 1 to 65535`);
  if (scheme !== undefined && wanted !== undefined && scheme !== wanted)
    throw new Failure("usage", `'${text}' and --protocol ${wanted} contradict each other`);
  const protocol = (scheme as Destination["protocol"] | undefined) ?? wanted ?? (port === undefined ? "icmp" : "tcp");
  if (protocol === "icmp" && port !== undefined) throw new Failure("usage", "an ICMP echo has no port");
  if (protocol !== "icmp" && port === undefined)
    throw new Failure("usage", `${protocol} needs a port: ${host.includes(":") ? `[${host}]` : host}:80`);
  return { protocol, host: canonicalAddress(host) ?? host, ...(port === undefined ? {} : { port }) };
}

/**
 * The address that a destination means to a node: of several the one of a network that both are in, IPv4 first.
 * @throws Failure (usage) for a name that is no node's, or a node without such an address
 */
export function findDestination(
  snapshot: Snapshot,
  from: NodeSnapshot,
  { host }: Destination,
  family: 4 | 6 | undefined,
): { readonly address: Address; readonly name?: string } {
  const literal = parseAddress(host);
  if (literal !== undefined) {
    if (family !== undefined && family !== literal.family)
      throw new Failure("usage", `${host} is no IPv${family} address`);
    return { address: literal };
  }
  const node = snapshot.nodes.find(({ name }) => name === host);
  if (node === undefined) {
    const names = snapshot.nodes.map(({ name }) => name);
    throw new Failure("usage", `'${host}' is neither an address nor a node`, {
      hint: `${didYouMean(host, names) ?? ""} nodes: ${names.join(", ")}`.trimStart(),
      code: "NO_NODE",
    });
  }
  const able = addressesOf(node).filter(({ address }) => family === undefined || address.family === family);
  const own = addressesOf(from);
  const near = able.find(({ address }) =>
    own.some((one) => one.address.family === address.family && contains(networkOf(one.address, one.length), address)),
  );
  const found = near ?? able[0];
  if (found === undefined)
    throw new Failure("usage", `node '${host}' has no ${family === undefined ? "" : `IPv${family} `}address`, {
      code: "NO_ADDRESS",
    });
  return { address: found.address, name: node.name };
}

function addressesOf(node: NodeSnapshot): { readonly address: Address; readonly length: number }[] {
  return node.interfaces
    .flatMap((each) => each.addresses.filter(({ scope }) => scope === "global"))
    .flatMap(({ address: text, prefixLength: length }) => {
      const address = parseAddress(text);
      return address === undefined ? [] : [{ address, length }];
    })
    .sort((a, b) => a.address.family - b.address.family);
}
