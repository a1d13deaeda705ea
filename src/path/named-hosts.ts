/** `--host web`: the addresses of a node stand for its name. */
import { Failure } from "../model/failure.js";
import type { Snapshot } from "../model/snapshot.js";
import { didYouMean } from "../model/spelling.js";
import type { TraceFilter } from "../model/trace.js";
import { parseAddress } from "../model/address.js";

/** @throws Failure (usage) for a host that is neither an address nor a node */
export function withAddresses(filter: TraceFilter, snapshot: Snapshot): TraceFilter {
  if (filter.hosts.every((host) => parseAddress(host) !== undefined)) return filter;
  return { ...filter, hosts: [...new Set(filter.hosts.flatMap((host) => addressesOf(host, snapshot)))] };
}

function addressesOf(host: string, snapshot: Snapshot): readonly string[] {
  if (parseAddress(host) !== undefined) return [host];
  const node = snapshot.nodes.find(({ name }) => name === host);
  if (node === undefined) {
    const names = snapshot.nodes.map(({ name }) => name);
    throw new Failure("usage", `'${host}' is neither an address nor a node`, {
      hint: `${didYouMean(host, names) ?? ""} nodes: ${names.join(", ")}`.trimStart(),
      code: "NO_NODE",
    });
  }
  const addresses = node.interfaces.flatMap((each) =>
    each.addresses.filter(({ scope }) => scope === "global").map(({ address }) => address),
  );
  if (addresses.length === 0)
    throw new Failure("usage", `node '${host}' has no address to filter by`, { code: "NO_ADDRESS" });
  return addresses;
}
