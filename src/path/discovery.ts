/**
 * Whether neighbour discovery of IPv6 gets through: its questions and answers are ICMPv6 packets, so the rules of both
 * nodes, and of bridges between them with br_netfilter, are put to them. Conntrack leaves them out (`ct state
 * untracked`). ARP is no IP, and passes by all that.
 */
import {
  type Address,
  addressFromBytes,
  addressToBytes,
  formatAddress,
  isLinkLocal,
  parseAddress,
  sameAddress,
} from "../model/address.js";
import { icmpv6Types } from "../model/icmp.js";
import type { NodeSnapshot } from "../model/snapshot.js";
import type { Bridging } from "./bridging.js";
import type { Connection } from "./connection.js";
import { followFrame } from "./frame.js";
import type { Header } from "./header.js";
import { askHook } from "./hook.js";
import type { Hook } from "./hook-order.js";
import { nameOf, type Place } from "./network.js";
import { quoteRule } from "./quote.js";

const untracked: Connection = { state: "untracked", direction: "original", status: [] };

/** @returns the rule that stands in the way, with its node; undefined where none does */
export function discoveryRefused(
  bridging: Bridging,
  out: Place,
  toward: Place,
  asked: Address,
  sender: Address,
): string | undefined {
  if (asked.family !== 6) return undefined;
  const source = askedFrom(out, sender);
  const misled = misleading(toward, out, source);
  if (misled !== undefined) return misled;
  const question = message("nd-neighbor-solicit", source, solicitedNode(asked));
  const answer = message("nd-neighbor-advert", asked, source);
  return (
    refusedOnWay(bridging, out, toward, question, "multicast") ?? refusedOnWay(bridging, toward, out, answer, "local")
  );
}

/** The packet's own source where the interface has it, else the link-local address (ndisc_solicit). */
function askedFrom({ interface: { addresses } }: Place, sender: Address): Address {
  const own = addresses.flatMap(({ address }) => parseAddress(address) ?? []);
  return own.find((one) => sameAddress(one, sender)) ?? own.find(isLinkLocal) ?? sender;
}

/** An answer goes where the neighbour table says, unlike one of ARP, which goes back to where the question came from. */
function misleading(from: Place, to: Place, address: Address): string | undefined {
  const asked = formatAddress(address);
  const entry = from.node.neighbours.find(
    (one) => one.interface === from.interface.name && one.address === asked && one.state === "permanent",
  );
  return entry?.mac === undefined || entry.mac === to.interface.mac
    ? undefined
    : `the permanent neighbour ${asked} of ${nameOf(from)} (${entry.mac})`;
}

function refusedOnWay(
  bridging: Bridging,
  from: Place,
  to: Place,
  header: Header,
  type: "multicast" | "local",
): string | undefined {
  const sent = { output: from.interface.name, destinationType: type === "local" ? "unicast" : type };
  const received = { input: to.interface.name, destinationType: type };
  let between: string | undefined;
  followFrame(bridging, {
    ...{ place: from, direction: "out", toward: to, owner: () => to, step: () => true },
    cross({ node, interface: { name } }) {
      if (node.sysctls["net.bridge.bridge-nf-call-ip6tables"] === "1")
        between ??= refusedIn(node, ["prerouting", "forward", "postrouting"], header, {
          ...{ input: name, output: name, destinationType: "unicast" },
        });
      return true;
    },
  });
  return (
    refusedIn(from.node, ["output", "postrouting"], header, sent) ??
    between ??
    refusedIn(to.node, ["prerouting", "input"], header, received)
  );
}

type Context = Parameters<typeof askHook>[3];

function refusedIn(node: NodeSnapshot, hooks: readonly Hook[], header: Header, context: Context): string | undefined {
  for (const hook of hooks) {
    const { refusal } = askHook(node.nftables, hook, header, context, untracked, true);
    if (refusal !== undefined) return `${quoteRule(refusal.quote)} of ${node.name}`;
  }
  return undefined;
}

function message(type: "nd-neighbor-solicit" | "nd-neighbor-advert", source: Address, destination: Address): Header {
  return { family: 6, protocol: 58, icmpType: icmpv6Types[type], source, destination, ttl: 255 };
}

/** ff02::1:ff00:0/104 and the last 24 bits of the address (RFC 4291, 2.7.1). */
function solicitedNode(address: Address): Address {
  const bytes = addressToBytes(address);
  const group = Uint8Array.from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, ...bytes.subarray(13)]);
  return addressFromBytes(group) ?? address;
}
