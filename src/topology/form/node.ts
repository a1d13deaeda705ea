/** The file form of a node. */
import * as z from "zod/mini";
import { containerForm } from "./container.js";
import { firewallForm, natForm } from "./filter.js";
import { bridgeForm, offloadForm, portSettings, shapingForm } from "./link.js";
import {
  address,
  destination,
  form,
  iface,
  interfaceAddress,
  mac,
  mtu,
  prefix,
  readiness,
  some,
  text,
  whole,
} from "./text.js";

const deviceForms = {
  vlan: z.optional(
    form("What an interface carries with a VLAN tag.", { parent: iface, id: whole("a VLAN id", 1, 4094) }),
  ),
  macvlan: z.optional(
    form("Another MAC address on an interface.", {
      parent: iface,
      mode: z.optional(z.enum(["private", "vepa", "bridge", "passthru"])),
    }),
  ),
  vxlan: z.optional(
    form("Ethernet over UDP, to one remote end or a multicast group.", {
      id: whole("a VXLAN network id", 0, 16777215),
      remote: z.optional(address),
      local: z.optional(address),
      port: z.optional(whole("a port", 1, 65535)),
      parent: z.optional(iface),
    }),
  ),
  vrf: z.optional(
    form("A routing table of its own for some interfaces of the node.", {
      table: whole("a table", 1, 4294967295),
      members: some(iface),
    }),
  ),
};

export const interfaceForm = form("An interface of the node.", {
  ...deviceForms,
  /** The bridge that a vlan, macvlan or vxlan is a port of. */
  bridge: z.optional(iface),
  ...portSettings,
  addresses: z.optional(some(interfaceAddress)),
  mac: z.optional(mac),
  mtu: z.optional(mtu),
  up: z.optional(z.boolean()),
  offload: z.optional(offloadForm),
  ...shapingForm,
});

export const routeForm = form("A static route.", {
  to: destination,
  via: z.optional(address),
  interface: z.optional(iface),
  type: z.optional(z.enum(["unicast", "blackhole", "unreachable", "prohibit"])),
  metric: z.optional(whole("a metric", 0, 4294967295)),
  table: z.optional(whole("a table", 1, 4294967295)),
  /** The vrf whose table it stands in. */
  vrf: z.optional(iface),
  source: z.optional(address),
});

export const ruleForm = form("A policy rule: which table a packet is looked up in.", {
  priority: z.optional(whole("a priority", 1, 32765)),
  from: z.optional(prefix),
  to: z.optional(prefix),
  in: z.optional(iface),
  mark: z.optional(whole("a mark", 0, 4294967295)),
  family: z.optional(z.literal([4, 6])),
  table: whole("a table", 1, 4294967295),
});

const neighbourForm = form("A permanent neighbour entry.", { interface: iface, address, mac });

export const nodeForm = form("A network namespace; with a container it also runs one.", {
  interfaces: z.optional(z.record(iface, z.union([some(interfaceAddress), interfaceForm]))),
  bridges: z.optional(z.record(iface, z.union([some(interfaceAddress), bridgeForm]))),
  container: z.optional(containerForm),
  routing: z.optional(z.enum(["auto", "none"])),
  nat: z.optional(z.array(natForm)),
  firewall: z.optional(firewallForm),
  routes: z.optional(z.array(routeForm)),
  rules: z.optional(z.array(ruleForm)),
  neighbours: z.optional(z.array(neighbourForm)),
  sysctls: z.optional(
    z.record(
      text("a dotted sysctl name", (name) => /^[a-z0-9_]+(\.[a-zA-Z0-9_-]+)+$/.test(name), ["net.ipv4.ip_forward"]),
      z.union([z.string(), z.number()]),
    ),
  ),
  /** Ports that must listen before the lab counts as up. */
  ready: z.optional(some(readiness)),
  uplink: z.optional(z.boolean()),
});

export type NodeForm = z.infer<typeof nodeForm>;
export type InterfaceForm = z.infer<typeof interfaceForm>;
export type RouteForm = z.infer<typeof routeForm>;
export type PolicyRuleForm = z.infer<typeof ruleForm>;
