/** The file form of NAT and firewall rules. */
import * as z from "zod/mini";
import { type IcmpWord, icmpTypes, icmpv6Types } from "../../model/icmp.js";
import { address, form, iface, limit, party, port, ports, service, some, text, whole } from "./text.js";

const transport = z.enum(["tcp", "udp"]);
const comment = text("a comment of at most 120 bytes", (value) => new TextEncoder().encode(value).length <= 120);

export const natForm = z.discriminatedUnion("action", [
  form("A port of this node's own addresses that leads to a service behind it.", {
    action: z.literal("publish"),
    port,
    to: service,
    /** Only on this address of the node. */
    address: z.optional(address),
    comment: z.optional(comment),
  }),
  form("What leaves takes the address of the interface that it leaves by.", {
    action: z.literal("masquerade"),
    from: z.optional(some(party)),
    to: z.optional(some(party)),
    out: z.optional(iface),
    comment: z.optional(comment),
  }),
  form("What leaves takes a given source address.", {
    action: z.literal("snat"),
    from: z.optional(some(party)),
    to: z.optional(some(party)),
    out: z.optional(iface),
    source: address,
    comment: z.optional(comment),
  }),
  form("What arrives for an address or port goes to another.", {
    action: z.literal("dnat"),
    in: z.optional(iface),
    protocol: z.optional(transport),
    address: z.optional(address),
    port: z.optional(port),
    to: text("a node or an address, with :PORT behind it if that changes", (value) => value !== "", [
      "web:80",
      "10.0.0.10",
    ]),
    comment: z.optional(comment),
  }),
  form("What arrives for a port goes to another port of this node.", {
    action: z.literal("redirect"),
    in: z.optional(iface),
    protocol: z.optional(transport),
    port,
    toPort: port,
    comment: z.optional(comment),
  }),
]);

const state = z.enum(["new", "established", "related", "invalid", "untracked"]);
// The keys of an object have its type, though TypeScript gives them that of any text.
const icmpType = z.enum([...new Set([...Object.keys(icmpTypes), ...Object.keys(icmpv6Types)])] as IcmpWord[]);

const match = {
  protocol: z.optional(z.union([z.enum(["tcp", "udp", "icmp", "icmpv6", "sctp"]), whole("a protocol number", 0, 255)])),
  from: z.optional(some(party)),
  to: z.optional(some(party)),
  sport: z.optional(ports),
  dport: z.optional(ports),
  state: z.optional(some(state)),
  type: z.optional(some(icmpType)),
  mark: z.optional(whole("a mark", 0, 4294967295)),
  limit: z.optional(limit),
  /** Writes to the kernel log; as a text, with this prefix. */
  log: z.optional(z.union([z.boolean(), text("a prefix of at most 64 characters", (value) => value.length <= 64)])),
  counter: z.optional(z.boolean()),
  comment: z.optional(comment),
};

const action = z.enum(["accept", "drop", "reject", "log"]);
const rejection = z.enum(["port-unreachable", "host-unreachable", "net-unreachable", "admin-prohibited", "tcp-reset"]);

const chain = <T extends z.core.$ZodShape>(description: string, more: T) =>
  form(description, {
    policy: z.optional(z.enum(["accept", "drop"])),
    rules: z.optional(z.array(form("A rule.", { action, ...match, with: z.optional(rejection), ...more }))),
  });

const incoming = { in: z.optional(iface) };
const outgoing = { out: z.optional(iface) };

export const firewallForm = form("What the node lets through.", {
  input: z.optional(chain("What is for the node itself.", incoming)),
  forward: z.optional(chain("What the node passes on.", { ...incoming, ...outgoing })),
  output: z.optional(chain("What the node itself sends.", outgoing)),
});

export type NatForm = z.infer<typeof natForm>;
export type FirewallForm = z.infer<typeof firewallForm>;
export type ChainForm = NonNullable<FirewallForm["forward"]>;
export type RuleForm = NonNullable<ChainForm["rules"]>[number];
