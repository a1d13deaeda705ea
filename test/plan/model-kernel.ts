/**
 * A small kernel in memory: as strict as the real one where a plan could be wrong (names, order, what must be there),
 * with the habits that a plan must live with (routes that go with their link, link-local addresses, handles, implied
 * matches, values that are filled in).
 */
import { contains, networkOf, parseAddress, parseInterfaceAddress, type Prefix } from "../../src/model/address.js";
import type { NftStatement, NftTable } from "../../src/model/nft.js";
import type {
  AddressSnapshot,
  InterfaceSnapshot,
  NodeSnapshot,
  RouteSnapshot,
  Snapshot,
} from "../../src/model/snapshot.js";
import { normalTables } from "../../src/plan/nftables.js";
import type { LinkChange, OperationBody } from "../../src/plan/operation.js";
import type {
  HostsLine,
  ResolvedBridge,
  ResolvedContainer,
  ResolvedDevice,
  ResolvedEnd,
  ResolvedNeighbour,
  ResolvedPolicyRule,
  ResolvedRoute,
  ResolvedShaping,
} from "../../src/topology/resolved.js";

interface Interface {
  kind: "loopback" | "veth" | "bridge" | "vlan" | "macvlan" | "vxlan" | "vrf";
  device?: ResolvedDevice["settings"];
  mac: string;
  mtu: number;
  up: boolean;
  /** BROPT_MTU_SET_BY_USER. */
  mtuSet?: boolean;
  master?: string;
  peer?: { node: string; interface: string };
  bridge?: ResolvedBridge;
  port?: NonNullable<ResolvedEnd["port"]>;
  offload: Record<string, boolean>;
  shaping?: ResolvedShaping;
  addresses: { family: 4 | 6; address: string; prefixLength: number; automatic: boolean }[];
  altnames: string[];
}

interface Node {
  container: boolean;
  running?: ResolvedContainer;
  interfaces: Map<string, Interface>;
  routes: ResolvedRoute[];
  rules: ResolvedPolicyRule[];
  neighbours: ResolvedNeighbour[];
  tables: readonly NftTable[];
  sysctls: Map<string, string>;
  hosts?: readonly HostsLine[];
}

/** errno and words, as the kernel layer would throw. */
export class KernelError extends Error {}

const allOffloads = { tso: true, gso: true, gro: true, tx: true };

export class ModelKernel {
  readonly nodes = new Map<string, Node>();
  /** What the lab remembers of sysctls that it wrote. */
  readonly originals = new Map<string, Record<string, string>>();
  #handle = 0;

  apply(operation: OperationBody): void {
    switch (operation.kind) {
      case "node.create":
        this.#refuse(this.nodes.has(operation.node), `EEXIST node ${operation.node}`);
        this.nodes.set(operation.node, newNode(operation.container));
        return;
      case "node.remove": {
        const node = this.#node(operation.node);
        this.#refuse(node.running !== undefined, `EBUSY ${operation.node} runs its container`);
        for (const [name, member] of node.interfaces) if (member.peer) this.#deleteLink(operation.node, name);
        this.nodes.delete(operation.node);
        this.originals.delete(operation.node);
        return;
      }
      case "sysctl.write":
        for (const { name, value, optional } of operation.entries) this.#sysctl(operation.node, name, value, optional);
        return;
      case "bridge.create": {
        const { interfaces } = this.#node(operation.node);
        const { bridge } = operation;
        this.#refuse(interfaces.has(bridge.name), `EEXIST ${operation.node}:${bridge.name}`);
        interfaces.set(bridge.name, { ...newInterface("bridge", bridge.mac, bridge.mtu), bridge });
        return;
      }
      case "bridge.change": {
        const member = this.#interface(operation.node, operation.bridge.name);
        this.#refuse(member.kind !== "bridge", `EOPNOTSUPP ${operation.bridge.name} is no bridge`);
        if (member.mtu !== operation.bridge.mtu) member.mtuSet = true;
        Object.assign(member, { bridge: operation.bridge, mac: operation.bridge.mac, mtu: operation.bridge.mtu });
        return;
      }
      case "veth.create":
        this.#createVeth(operation.ends, operation.longNames);
        return;
      case "device.create": {
        const { node, device, longName } = operation;
        const { interfaces } = this.#node(node);
        const { settings } = device;
        this.#refuse(interfaces.has(device.name), `EEXIST ${node}:${device.name}`);
        if (settings.parent !== undefined) this.#interface(node, settings.parent);
        interfaces.set(device.name, {
          ...newInterface(settings.kind, device.mac, device.mtu),
          device: settings,
          altnames: longName === undefined ? [] : [longName],
        });
        this.#change(node, device.name, { mtu: device.mtu });
        if (device.master !== undefined) this.#change(node, device.name, { master: device.master });
        if (device.port) this.#change(node, device.name, { port: device.port });
        if (device.up) this.#change(node, device.name, { up: true });
        return;
      }
      case "link.change":
        this.#change(operation.node, operation.interface, operation.change);
        return;
      case "link.delete":
        this.#deleteLink(operation.node, operation.interface);
        return;
      case "address.add": {
        const member = this.#interface(operation.node, operation.interface);
        const { address } = operation;
        this.#refuse(address.family === 6 && member.mtu < 1280, `EINVAL IPv6 on ${operation.interface}`);
        this.#refuse(
          member.addresses.some((other) => addressesEqual(other, address)),
          `EEXIST ${address.address}`,
        );
        member.addresses.push({ ...address, automatic: false });
        return;
      }
      case "address.remove": {
        const node = this.#node(operation.node);
        const member = this.#interface(operation.node, operation.interface);
        const index = member.addresses.findIndex((other) => addressesEqual(other, operation.address));
        this.#refuse(index < 0, `EADDRNOTAVAIL ${operation.address.address}`);
        member.addresses.splice(index, 1);
        node.routes = node.routes.filter((route) => route.preferredSource !== operation.address.address);
        return;
      }
      case "route.add":
        this.#addRoute(operation.node, operation.route);
        return;
      case "route.remove": {
        const node = this.#node(operation.node);
        const index = node.routes.findIndex((route) => routeKey(route) === routeKey(operation.route));
        this.#refuse(index < 0, `ESRCH route ${operation.route.destination}`);
        node.routes.splice(index, 1);
        return;
      }
      case "rule.add":
        addTo(this.#node(operation.node).rules, operation.rule);
        return;
      case "rule.remove":
        removeFrom(this.#node(operation.node).rules, operation.rule);
        return;
      case "neighbour.add":
        this.#interface(operation.node, operation.neighbour.interface);
        addTo(this.#node(operation.node).neighbours, operation.neighbour);
        return;
      case "neighbour.remove":
        removeFrom(this.#node(operation.node).neighbours, operation.neighbour);
        return;
      case "nftables.replace":
        this.#node(operation.node).tables = operation.tables;
        return;
      case "shaping.set": {
        const member = this.#interface(operation.node, operation.interface);
        delete member.shaping;
        if (operation.shaping) member.shaping = operation.shaping;
        return;
      }
      case "hosts.write":
        this.#node(operation.node).hosts = operation.hosts;
        return;
      case "container.start": {
        const node = this.#node(operation.node);
        this.#refuse(!node.container || node.running !== undefined, `EBUSY container of ${operation.node}`);
        node.running = operation.container;
        return;
      }
      case "container.stop": {
        const node = this.#node(operation.node);
        this.#refuse(node.running === undefined, `ESRCH container of ${operation.node}`);
        delete node.running;
      }
    }
  }

  #refuse(condition: boolean, words: string): void {
    if (condition) throw new KernelError(words);
  }

  #node(name: string): Node {
    const node = this.nodes.get(name);
    if (!node) throw new KernelError(`ENOENT node ${name}`);
    return node;
  }

  #interface(node: string, name: string): Interface {
    const member = this.#node(node).interfaces.get(name);
    if (!member) throw new KernelError(`ENODEV ${node}:${name}`);
    return member;
  }

  #sysctl(name: string, sysctl: string, value: string, optional: true | undefined): void {
    const node = this.#node(name);
    const member = /^net\.ipv[46]\.(?:conf|neigh)\.([^.]+)\./.exec(sysctl)?.[1];
    const missing =
      sysctl.startsWith("net.bridge.") ||
      (member !== undefined && member !== "all" && member !== "default" && !node.interfaces.has(member));
    this.#refuse(missing && optional !== true, `ENOENT ${sysctl} in ${name}`);
    if (missing) return;
    const before = node.sysctls.get(sysctl);
    const originals = this.originals.get(name) ?? {};
    this.originals.set(name, originals);
    if (before !== undefined) originals[sysctl] ??= before;
    node.sysctls.set(sysctl, value.replaceAll(" ", "\t"));
  }

  #createVeth(ends: readonly [ResolvedEnd, ResolvedEnd], longNames: readonly (string | undefined)[]): void {
    for (const [side, end] of ends.entries()) {
      const { interfaces } = this.#node(end.node);
      this.#refuse(interfaces.has(end.interface) || end.interface.length > 15, `EEXIST ${end.node}:${end.interface}`);
      if (end.master !== undefined) {
        this.#refuse(this.#interface(end.node, end.master).kind !== "bridge", `EINVAL master ${end.master}`);
      }
      const other = ends[side === 0 ? 1 : 0];
      const long = longNames[side];
      const member: Interface = {
        ...newInterface("veth", end.mac, end.mtu),
        peer: { node: other.node, interface: other.interface },
        offload: { ...allOffloads, ...end.offload },
        altnames: long === undefined ? [] : [long],
      };
      interfaces.set(end.interface, member);
      if (end.master !== undefined) this.#change(end.node, end.interface, { master: end.master });
      if (end.port) this.#change(end.node, end.interface, { port: end.port });
      if (end.up) this.#change(end.node, end.interface, { up: true });
    }
  }

  #change(node: string, name: string, change: LinkChange): void {
    const member = this.#interface(node, name);
    if (change.mtu !== undefined) this.#setMtu(node, name, member, change.mtu);
    if (change.mac !== undefined) member.mac = change.mac;
    if (change.master === null) this.#release(node, name, member);
    else if (change.master !== undefined) {
      const { kind } = this.#interface(node, change.master);
      this.#refuse(kind !== "bridge" && kind !== "vrf", `EINVAL master ${change.master}`);
      this.#release(node, name, member);
      member.master = change.master;
      if (kind === "vrf") {
        this.#refuse(member.kind === "vrf" || member.kind === "loopback", `EINVAL ${name} in ${change.master}`);
        this.#cycle(node, name, member);
        return;
      }
      member.port = { hairpin: false, isolated: false, learning: true };
      this.#adjustBridge(node, member.master);
    }
    if (change.port) {
      this.#refuse(member.master === undefined, `EINVAL ${node}:${name} is no port`);
      member.port = change.port;
    }
    Object.assign(member.offload, change.offload);
    if (change.up === undefined || change.up === member.up) return;
    this.#setUp(node, name, member, change.up);
  }

  #setUp(node: string, name: string, member: Interface, up: boolean): void {
    const owner = this.#node(node);
    const { device } = member;
    if (up && device?.kind === "vlan") {
      this.#refuse(!this.#interface(node, device.parent).up, `ENETDOWN ${device.parent} carries ${node}:${name}`);
    }
    member.up = up;
    member.addresses = member.addresses.filter(({ automatic }) => !automatic);
    if (up) member.addresses.push(...automaticAddresses(member.kind));
    else {
      // fib_disable_ip and addrconf_ifdown: what leads over a link that goes down is gone, and so are its neighbours.
      member.addresses = member.addresses.filter(({ family }) => family === 4);
      owner.neighbours = owner.neighbours.filter((entry) => entry.interface !== name);
      this.#flushRoutes(node, name);
    }
    // vlan_device_event: whatever they were.
    for (const [child, state] of owner.interfaces) {
      const follows = state.device?.kind === "vlan" && state.device.parent === name && state.up !== up;
      if (follows) this.#setUp(node, child, state, up);
    }
  }

  /** do_set_master: off its bridge, or out of its vrf. */
  #release(node: string, name: string, member: Interface): void {
    const { master } = member;
    if (master === undefined) return;
    delete member.master;
    delete member.port;
    this.#adjustBridge(node, master);
    if (this.#node(node).interfaces.get(master)?.kind === "vrf") this.#cycle(node, name, member);
  }

  /** cycle_netdev in drivers/net/vrf.c: down and up again, a vlan on it with it. What IPv6 and the routes had is gone. */
  #cycle(node: string, name: string, member: Interface): void {
    const owner = this.#node(node);
    if (!member.up) return;
    member.addresses = member.addresses.filter(({ family, automatic }) => family === 4 || automatic);
    owner.neighbours = owner.neighbours.filter((entry) => entry.interface !== name);
    this.#flushRoutes(node, name);
    for (const [child, state] of owner.interfaces) {
      if (state.device?.kind === "vlan" && state.device.parent === name) this.#cycle(node, child, state);
    }
  }

  /** The table that the routes of an interface stand in. */
  #tableOf(node: string, name: string): number {
    const { interfaces } = this.#node(node);
    const member = this.#interface(node, name);
    const vrf = member.kind === "vrf" ? member : interfaces.get(member.master ?? "");
    return vrf?.device?.kind === "vrf" ? vrf.device.table : 254;
  }

  /** vlan_dev_change_mtu and macvlan_change_mtu: never more than the parent's; a parent that shrinks takes them with it. */
  #setMtu(node: string, name: string, member: Interface, mtu: number): void {
    const { device } = member;
    if (device && device.kind !== "vxlan" && device.kind !== "vrf") {
      this.#refuse(mtu > this.#interface(node, device.parent).mtu, `EINVAL MTU of ${node}:${name}`);
    }
    if (member.kind === "bridge" && member.mtu !== mtu) member.mtuSet = true;
    member.mtu = mtu;
    this.#adjustBridge(node, member.master);
    for (const child of this.#node(node).interfaces.values()) {
      const follows = child.device?.parent === name && child.device.kind !== "vxlan";
      if (follows) child.mtu = Math.min(child.mtu, mtu);
    }
  }

  /** br_mtu_auto_adjust. */
  #adjustBridge(node: string, name: string | undefined): void {
    const { interfaces } = this.#node(node);
    const bridge = name === undefined ? undefined : interfaces.get(name);
    if (bridge?.kind !== "bridge" || bridge.mtuSet === true) return;
    const ports = [...interfaces.values()].filter(({ master }) => master === name);
    bridge.mtu = ports.length === 0 ? 1500 : Math.min(...ports.map(({ mtu }) => mtu));
  }

  #flushRoutes(node: string, name: string): void {
    const owner = this.#node(node);
    owner.routes = owner.routes.filter((route) => route.interface !== name);
  }

  #deleteLink(node: string, name: string): void {
    const member = this.#interface(node, name);
    this.#refuse(member.kind === "loopback", `EOPNOTSUPP lo`);
    const ends = [{ node, interface: name }, ...(member.peer ? [member.peer] : [])];
    for (const end of ends) {
      const owner = this.#node(end.node);
      for (const [child, { device }] of owner.interfaces) {
        if (device?.parent === end.interface) this.#deleteLink(end.node, child);
      }
      this.#flushRoutes(end.node, end.interface);
      owner.neighbours = owner.neighbours.filter((entry) => entry.interface !== end.interface);
      const master = owner.interfaces.get(end.interface)?.master;
      owner.interfaces.delete(end.interface);
      this.#adjustBridge(end.node, master);
      for (const sysctl of owner.sysctls.keys())
        if (sysctl.includes(`.${end.interface}.`)) owner.sysctls.delete(sysctl);
      for (const [port, other] of owner.interfaces) {
        if (other.master !== end.interface) continue;
        delete other.master;
        delete other.port;
        if (member.kind === "vrf") this.#cycle(end.node, port, other);
      }
    }
  }

  #addRoute(name: string, route: ResolvedRoute): void {
    const node = this.#node(name);
    this.#refuse(
      node.routes.some((other) => routeKey(other) === routeKey(route)),
      `EEXIST ${route.destination}`,
    );
    const own = [...node.interfaces].flatMap(([member, { addresses, up }]) =>
      addresses.map((address) => ({ member, up, ...address })),
    );
    if (route.preferredSource !== undefined) {
      this.#refuse(
        !own.some(({ address, family, up }) => address === route.preferredSource && (up || family === 4)),
        `EINVAL source ${route.preferredSource}`,
      );
    }
    let out = route.interface;
    if (route.gateway !== undefined) {
      const near = own.find(
        ({ member, up, address, prefixLength }) =>
          up &&
          (out === undefined ? this.#tableOf(name, member) === (route.table ?? 254) : out === member) &&
          holds(prefixOf(address, prefixLength), route.gateway),
      );
      this.#refuse(near === undefined, `ENETUNREACH gateway ${route.gateway} in ${name}`);
      out ??= near?.member;
    }
    if (out !== undefined) this.#refuse(!this.#interface(name, out).up, `ENETDOWN ${name}:${out}`);
    node.routes.push(out === undefined ? route : { ...route, interface: out });
  }

  snapshot(): Snapshot {
    return {
      version: 1,
      takenAt: "2026-01-01T00:00:00.000Z",
      lab: "model",
      nodes: [...this.nodes].map(([name, node]) => this.#snapshotOf(name, node)),
    };
  }

  #snapshotOf(name: string, node: Node): NodeSnapshot {
    return {
      name,
      role: node.container ? "container" : "namespace",
      netns: "1",
      interfaces: [...node.interfaces].map(([member, state], index) => snapshotInterface(member, state, index + 1)),
      routes: [...node.routes.map((route) => snapshotRoute(route, 4)), ...connectedRoutes(node)],
      rules: [
        { family: 4, priority: 0, action: "lookup", table: 255 },
        { family: 4, priority: 32766, action: "lookup", table: 254 },
        ...node.rules.map(({ from, to, ...rule }) => ({
          ...rule,
          action: "lookup" as const,
          ...(from === undefined ? {} : { source: from }),
          ...(to === undefined ? {} : { destination: to }),
        })),
      ],
      neighbours: [
        ...node.neighbours.map((entry) => ({
          ...entry,
          family: entry.address.includes(":") ? (6 as const) : (4 as const),
          state: "permanent" as const,
        })),
        { family: 4, address: "192.0.2.77", mac: "02:00:00:00:00:77", interface: "lo", state: "reachable" },
      ],
      fdb: [],
      nftables: node.tables.map((table) => this.#asKernelSays(table)),
      conntrack: [],
      listeners: [],
      sysctls: Object.fromEntries(node.sysctls),
    };
  }

  /** With handles, counts, the matches that are implied, sets in an order of its own. */
  #asKernelSays(table: NftTable): NftTable {
    return {
      ...table,
      chains: table.chains.map((chain) => ({
        ...chain,
        rules: chain.rules.map((rule) => ({
          ...rule,
          handle: ++this.#handle,
          statements: rule.statements.flatMap((statement): NftStatement[] => {
            if (statement.kind === "counter") return [{ ...statement, packets: 7, bytes: 420 }];
            if (statement.kind === "reject" && statement.code === 1) return [{ kind: "reject", with: statement.with }];
            if (statement.kind === "limit") return [{ kind: "limit", rate: statement.rate, per: statement.per }];
            if (statement.kind !== "match") return [statement];
            const value = Array.isArray(statement.value)
              ? [...(statement.value as string[])].reverse()
              : statement.value;
            const family = statement.field.startsWith("ip6 ")
              ? "ipv6"
              : statement.field.startsWith("ip ")
                ? "ipv4"
                : "";
            const implied = { kind: "match", field: "nfproto", op: "==", value: family } as const;
            return [...(family === "" ? [] : [implied]), { ...statement, value }];
          }),
        })),
      })),
    };
  }

  /** All that it holds in one order, to compare two of them. */
  state(): unknown {
    const sorted = <T>(values: readonly T[]): T[] =>
      values.toSorted((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
    return sorted(
      [...this.nodes].map(([name, node]) => ({
        name,
        container: node.container,
        running: node.running,
        hosts: node.hosts,
        interfaces: sorted(
          [...node.interfaces].map(([member, { addresses, mtuSet: _, bridge, ...state }]) => ({
            // Its MTU and MAC are those of the interface.
            bridge: bridge && { ...bridge, mtu: 0, mac: "" },
            member,
            ...state,
            addresses: sorted(addresses),
          })),
        ),
        routes: sorted(node.routes),
        rules: sorted(node.rules),
        neighbours: sorted(node.neighbours),
        tables: normalTables(node.tables),
        sysctls: sorted([...node.sysctls]),
      })),
    );
  }
}

function newNode(container: boolean): Node {
  return {
    container,
    interfaces: new Map([["lo", newInterface("loopback", "00:00:00:00:00:00", 65536)]]),
    routes: [],
    rules: [],
    neighbours: [],
    tables: [],
    // As on a machine with Docker.
    sysctls: new Map([
      ["net.ipv4.ip_forward", "1"],
      ["net.ipv4.ip_default_ttl", "64"],
      ["net.ipv4.ping_group_range", "1\t0"],
    ]),
  };
}

function newInterface(kind: Interface["kind"], mac: string, mtu: number): Interface {
  return { kind, mac, mtu, up: false, offload: { ...allOffloads }, addresses: [], altnames: [] };
}

function automaticAddresses(kind: Interface["kind"]): Interface["addresses"] {
  if (kind !== "loopback") return [{ family: 6, address: "fe80::1", prefixLength: 64, automatic: true }];
  return [
    { family: 4, address: "127.0.0.1", prefixLength: 8, automatic: true },
    { family: 6, address: "::1", prefixLength: 128, automatic: true },
  ];
}

function routeKey({ family, destination, table, metric }: ResolvedRoute): string {
  return JSON.stringify([family, destination, table ?? 254, metric ?? (family === 6 ? 1024 : 0)]);
}

function addTo<T>(list: T[], value: T): void {
  if (list.some((other) => same(other, value))) throw new KernelError(`EEXIST ${JSON.stringify(value)}`);
  list.push(value);
}

function removeFrom<T>(list: T[], value: T): void {
  const index = list.findIndex((other) => same(other, value));
  if (index < 0) throw new KernelError(`ENOENT ${JSON.stringify(value)}`);
  list.splice(index, 1);
}

function same(a: unknown, b: unknown): boolean {
  const entries = (value: unknown) => JSON.stringify(Object.entries(value as object).toSorted());
  return entries(a) === entries(b);
}

function prefixOf(address: string, length: number): Prefix | undefined {
  const parsed = parseInterfaceAddress(`${address}/${length}`);
  return parsed && networkOf(parsed.address, parsed.length);
}

function holds(prefix: Prefix | undefined, text: string | undefined): boolean {
  const address = parseAddress(text ?? "");
  return prefix !== undefined && address !== undefined && contains(prefix, address);
}

interface Addressed {
  readonly family: 4 | 6;
  readonly address: string;
  readonly prefixLength: number;
}

function addressesEqual(a: Addressed, b: Addressed): boolean {
  return a.family === b.family && a.address === b.address && a.prefixLength === b.prefixLength;
}

function snapshotRoute(route: ResolvedRoute, protocol: number): RouteSnapshot {
  const hop = {
    weight: 1,
    dead: false,
    ...(route.gateway === undefined ? {} : { gateway: route.gateway }),
    ...(route.interface === undefined ? {} : { interface: route.interface }),
  };
  const nowhere = route.type !== "unicast";
  return {
    family: route.family,
    destination: route.destination,
    type: route.type,
    table: route.table ?? 254,
    protocol,
    scope: 0,
    metric: route.metric ?? (route.family === 6 ? 1024 : 0),
    ...(route.preferredSource === undefined ? {} : { preferredSource: route.preferredSource }),
    nexthops: nowhere ? (route.family === 6 ? [{ interface: "lo", weight: 1, dead: false }] : []) : [hop],
  };
}

function connectedRoutes(node: Node): RouteSnapshot[] {
  return [...node.interfaces].flatMap(([name, member]) =>
    member.addresses.map(({ family, address, prefixLength }) =>
      snapshotRoute(
        {
          family,
          destination: `${address}/${prefixLength}`,
          type: "unicast",
          interface: name,
          preferredSource: address,
        },
        2,
      ),
    ),
  );
}

function snapshotInterface(name: string, state: Interface, index: number): InterfaceSnapshot {
  const { kind, mac, mtu, up, master, peer, bridge, port, shaping, altnames } = state;
  const netem = Object.keys(shaping ?? {}).some((key) => key !== "rate" && key !== "burst");
  const qdisc = { handle: "1:", parent: "root", drops: 0, backlog: 0 };
  return {
    name,
    index,
    kind,
    mac,
    mtu,
    up,
    carrier: up,
    operstate: up ? "up" : "down",
    altnames,
    group: 0,
    ...(master === undefined ? {} : { master }),
    ...(peer ? { peer } : {}),
    addresses: state.addresses.map(({ family, address, prefixLength }): AddressSnapshot => ({
      family,
      address,
      prefixLength,
      scope: address.startsWith("fe80") ? "link" : "global",
      tentative: false,
    })),
    ...(bridge ? { bridge } : {}),
    ...(port ? { port: { ...port, state: "forwarding" as const, unicastFlood: true } } : {}),
    statistics: {
      rxPackets: 0,
      rxBytes: 0,
      rxErrors: 0,
      rxDropped: 0,
      txPackets: 0,
      txBytes: 0,
      txErrors: 0,
      txDropped: 0,
    },
    qdiscs: [
      ...(netem ? [{ ...qdisc, kind: "netem" }] : []),
      ...(shaping?.rate === undefined ? [] : [{ ...qdisc, kind: "tbf", rate: Math.floor(shaping.rate / 8) }]),
    ],
  };
}
