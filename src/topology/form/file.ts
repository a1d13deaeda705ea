/** The file form: what a topology file may hold. The one schema, from which errors, types and `schema.json` are made. */
import * as z from "zod/mini";
import { containerForm } from "./container.js";
import { linkDefaults, linkForm, networkForm, poolForm } from "./link.js";
import { nodeForm } from "./node.js";
import { duration, form, hop, node, party, some, target, text } from "./text.js";

const expectationForm = form("What a packet must do, checked by `yapc-net test`.", {
  from: node,
  to: target,
  verdict: z.enum(["answered", "refused", "unanswered", "dropped"]),
  reaches: z.optional(target),
  via: z.optional(some(hop)),
  notVia: z.optional(some(hop)),
  between: z.optional(z.tuple([hop, hop])),
  cause: z.optional(text("a code of a cause", (value) => /^[a-z0-9]+(-[a-z0-9]+)*$/.test(value), ["nft-drop"])),
  seenAs: z.optional(party),
  within: z.optional(duration),
});

export const topologyForm = form("A yapc-net topology.", {
  $schema: z.optional(z.string()),
  name: z.optional(
    text("a name: a-z, 0-9, - and _, at most 40", (name) => /^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$/.test(name)),
  ),
  description: z.optional(z.string()),
  /** The node that stands for the computer. */
  machine: z.optional(node),
  routing: z.optional(z.enum(["auto", "none"])),
  /** Sends bridged frames through iptables, as a machine with Docker does. */
  bridgeNetfilter: z.optional(z.boolean()),
  variables: z.optional(
    z.record(
      text("a name of a variable", (name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)),
      z.union([z.string(), z.number(), z.boolean()]),
    ),
  ),
  defaults: z.optional(
    form("Merged into every node, container, link and network; lists and texts of the entry itself replace them.", {
      node: z.optional(nodeForm),
      container: z.optional(z.partial(containerForm)),
      link: z.optional(linkDefaults),
      network: z.optional(z.partial(networkForm)),
    }),
  ),
  pools: z.optional(
    z.record(
      text("a name of a pool", (name) => /^[a-z][a-z0-9_-]*$/.test(name)),
      poolForm,
    ),
  ),
  nodes: z.record(node, nodeForm),
  networks: z.optional(
    z.record(
      text("a name of a network", (name) => /^[a-z0-9][a-z0-9_[\],-]*$/.test(name)),
      networkForm,
    ),
  ),
  links: z.optional(z.array(linkForm)),
  expect: z.optional(z.array(expectationForm)),
});

export type TopologyForm = z.infer<typeof topologyForm>;
export type ExpectationForm = z.infer<typeof expectationForm>;
