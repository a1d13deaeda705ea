/** The file form of links, of their ends, and of networks. */
import * as z from "zod/mini";
import {
  address,
  duration,
  end,
  form,
  iface,
  interfaceAddress,
  mac,
  memberAddress,
  mtu,
  node,
  percentage,
  prefix,
  rate,
  size,
  some,
  whole,
} from "./text.js";

export const offloadForm = form("What the interface leaves to hardware that is not there.", {
  tso: z.optional(z.boolean()),
  gso: z.optional(z.boolean()),
  gro: z.optional(z.boolean()),
  tx: z.optional(z.boolean()),
});

/** What acts on the egress of one end. */
export const shapingForm = {
  rate: z.optional(rate),
  burst: z.optional(size),
  delay: z.optional(duration),
  jitter: z.optional(duration),
  loss: z.optional(percentage),
  duplicate: z.optional(percentage),
  reorder: z.optional(percentage),
  corrupt: z.optional(percentage),
};

/** What a link says for both ends, or an end for itself. */
const linkSettings = {
  mtu: z.optional(mtu),
  offload: z.optional(offloadForm),
  up: z.optional(z.boolean()),
  ...shapingForm,
};

/** What only an end that is a port of a bridge has. */
export const portSettings = {
  hairpin: z.optional(z.boolean()),
  isolated: z.optional(z.boolean()),
  learning: z.optional(z.boolean()),
};

export const endForm = z.union([
  end,
  form("An end with settings of its own.", { at: end, mac: z.optional(mac), ...linkSettings, ...portSettings }),
]);

export const linkForm = z.union([
  z.tuple([endForm, endForm]),
  form("A veth pair with settings, which hold for both ends.", {
    ends: z.tuple([endForm, endForm]),
    pool: z.optional(z.string()),
    ...linkSettings,
  }),
]);

const memberForm = form("A member with settings, which hold for both ends of its link.", {
  interface: z.optional(iface),
  port: z.optional(iface),
  addresses: z.optional(some(memberAddress)),
  mac: z.optional(mac),
  ...linkSettings,
  ...portSettings,
});

export const bridgeForm = form("A bridge of a node.", {
  addresses: z.optional(some(interfaceAddress)),
  mac: z.optional(mac),
  mtu: z.optional(mtu),
  stp: z.optional(z.boolean()),
  ageingTime: z.optional(whole("a number of seconds", 0, 1000000)),
  forwardDelay: z.optional(whole("a number of seconds", 2, 30)),
  vlanFiltering: z.optional(z.boolean()),
});

export const networkForm = form(
  "A bridge with its address, and a link, an address and a default route for each member.",
  {
    bridge: end,
    subnets: z.optional(some(prefix)),
    pool: z.optional(z.string()),
    /** The bridge's addresses: by default the first of each subnet; false for a bridge without any. */
    gateway: z.optional(z.union([z.literal(false), some(address)])),
    members: z.optional(z.union([z.array(node), z.record(node, z.union([some(memberAddress), memberForm]))])),
    ...linkSettings,
    ...portSettings,
  },
);

/** Settings of all links and networks that do not say otherwise. */
export const linkDefaults = form("Settings of all links.", {
  pool: z.optional(z.string()),
  ...linkSettings,
  ...portSettings,
});

export const poolForm = z.union([
  some(prefix),
  form("Networks to take subnets from, and how long the prefix of each is.", {
    from: some(prefix),
    ipv4: z.optional(whole("a prefix length", 1, 31)),
    ipv6: z.optional(whole("a prefix length", 1, 127)),
  }),
]);

export type EndForm = z.infer<typeof endForm>;
export type EndSettings = Exclude<EndForm, string>;
export type LinkForm = z.infer<typeof linkForm>;
export type NetworkForm = z.infer<typeof networkForm>;
export type MemberForm = z.infer<typeof memberForm>;
export type BridgeForm = z.infer<typeof bridgeForm>;
export type PoolForm = z.infer<typeof poolForm>;
export type LinkSettings = z.infer<typeof linkDefaults>;
