/** Interfaces of one namespace as a snapshot holds them, still without the peers, which lie in other namespaces. */
import type { Address, BridgePort, Link } from "../kernel/rtnetlink/index.js";
import type {
  AddressSnapshot,
  BridgePortSnapshot,
  BridgeSnapshot,
  DeviceSnapshot,
  InterfaceSnapshot,
  InterfaceStatistics,
  QdiscSnapshot,
} from "../model/snapshot.js";

/** RT_SCOPE_* (rtnetlink(7)). */
const scopes: Readonly<Record<number, AddressSnapshot["scope"]>> = {
  0: "global",
  200: "site",
  253: "link",
  254: "host",
  255: "nowhere",
};

/** BR_STATE_* (linux/if_bridge.h). */
const portStates = ["disabled", "listening", "learning", "forwarding", "blocking"] as const;

export function toInterfaces(
  links: readonly Link[],
  addresses: readonly Address[],
  qdiscs: ReadonlyMap<number, readonly QdiscSnapshot[]>,
): InterfaceSnapshot[] {
  const names = new Map(links.map((link) => [link.index, link.name]));
  return links.map((link) => {
    const master = link.master === undefined ? undefined : names.get(link.master);
    const bridge = toBridge(link);
    const device = toDevice(link);
    return {
      name: link.name,
      index: link.index,
      kind: link.kind ?? "physical",
      ...(link.mac === undefined || link.kind === "loopback" ? {} : { mac: link.mac }),
      mtu: link.mtu,
      up: link.up,
      carrier: link.carrier,
      operstate: link.operationalState,
      ...(link.alias === undefined ? {} : { alias: link.alias }),
      altnames: link.altnames,
      group: link.group,
      ...(master === undefined ? {} : { master }),
      ...(device === undefined ? {} : { device }),
      addresses: addresses.filter((address) => address.index === link.index).map(toAddress),
      ...(bridge === undefined ? {} : { bridge }),
      ...(link.port === undefined ? {} : { port: toPort(link.port) }),
      statistics: toStatistics(link),
      qdiscs: qdiscs.get(link.index) ?? [],
    };
  });
}

function toAddress(address: Address): AddressSnapshot {
  return {
    family: address.family,
    address: address.address,
    prefixLength: address.prefixLength,
    ...(address.broadcast === undefined ? {} : { broadcast: address.broadcast }),
    scope: scopes[address.scope] ?? "global",
    tentative: address.tentative,
  };
}

function toBridge(link: Link): BridgeSnapshot | undefined {
  const bridge = link.kind === "bridge" ? link.settings?.bridge : undefined;
  if (bridge === undefined) return undefined;
  return {
    stp: (bridge.stpState ?? 0) !== 0,
    ageingTime: (bridge.ageingTime ?? 0) / 100,
    forwardDelay: (bridge.forwardDelay ?? 0) / 100,
    vlanFiltering: bridge.vlanFiltering ?? false,
  };
}

/** MACVLAN_MODE_* (linux/if_link.h). */
const macvlanModes = { 1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source" } as const;

function toDevice({ kind, settings }: Link): DeviceSnapshot | undefined {
  switch (kind) {
    case "vlan":
      return settings?.vlan?.id === undefined ? undefined : { kind, id: settings.vlan.id };
    case "macvlan": {
      const mode = settings?.macvlan?.mode;
      const known = mode !== undefined && mode in macvlanModes ? (mode as keyof typeof macvlanModes) : undefined;
      return known === undefined ? undefined : { kind, mode: macvlanModes[known] };
    }
    case "vrf":
      return settings?.vrf?.table === undefined ? undefined : { kind, table: settings.vrf.table };
    case "vxlan": {
      const { id, port = 4789, local, local6, group, group6 } = settings?.vxlan ?? {};
      if (id === undefined) return undefined;
      const own = local ?? local6;
      const remote = group ?? group6;
      return {
        ...{ kind, id, port },
        ...(own === undefined ? {} : { local: own }),
        ...(remote === undefined ? {} : { remote }),
      };
    }
    default:
      return undefined;
  }
}

function toPort(port: BridgePort): BridgePortSnapshot {
  return {
    state: portStates[port.state ?? 0] ?? "disabled",
    hairpin: port.hairpin ?? false,
    isolated: port.isolated ?? false,
    learning: port.learning ?? true,
    unicastFlood: port.unicastFlood ?? true,
  };
}

function toStatistics({ statistics: s }: Link): InterfaceStatistics {
  return {
    rxPackets: s?.rxPackets ?? 0,
    rxBytes: s?.rxBytes ?? 0,
    rxErrors: s?.rxErrors ?? 0,
    rxDropped: s?.rxDropped ?? 0,
    txPackets: s?.txPackets ?? 0,
    txBytes: s?.txBytes ?? 0,
    txErrors: s?.txErrors ?? 0,
    txDropped: s?.txDropped ?? 0,
  };
}
