/** Interfaces, bridges, links, routes, rules and neighbours of a snapshot as a topology file writes them. */
import { addressAt, formatAddress, hostRange, networkOf, parseAddress, sameAddress } from "../../model/address.js";
import type { InterfaceSnapshot, NodeSnapshot, QdiscSnapshot } from "../../model/snapshot.js";
import type { EndSettings, LinkForm } from "../form/link.js";
import type { InterfaceForm, NodeForm, PolicyRuleForm, RouteForm } from "../form/node.js";
import { interfaceName } from "../notation.js";
import type { ImportedNode } from "./node.js";

/** Kinds that packets of a lab can pass; others are stood in for by a link to a node outside. */
const devices: ReadonlySet<string> = new Set(["vlan", "macvlan", "vxlan", "vrf"]);

/** The long name that the lab keeps as altname and alias, where an interface has one. */
export function nameInFile(one: InterfaceSnapshot): string {
  return one.altnames.find((name) => name === one.alias && name.length > 15 && interfaceName.test(name)) ?? one.name;
}

/** How an interface is carried over. */
export type Carried = "bridge" | "pair" | "device" | "outside" | "loopback" | "left out";

export function carriedAs(node: NodeSnapshot, one: InterfaceSnapshot, nodes: ReadonlySet<string>): Carried {
  if (one.kind === "loopback" || one.name === "lo") return "loopback";
  if (!interfaceName.test(nameInFile(one))) return "left out";
  if (one.kind === "bridge") return "bridge";
  if (one.peer !== undefined && nodes.has(one.peer.node)) return "pair";
  const apart = one.parent !== undefined && one.parent.node !== node.name;
  if (devices.has(one.kind) && one.device !== undefined && !apart) {
    if (one.device.kind === "macvlan" && one.device.mode === "source") return "outside";
    if (one.device.kind === "vxlan" && one.device.remote === undefined) return "outside";
    return "device";
  }
  const used =
    one.addresses.some(({ scope }) => scope === "global" || scope === "site") ||
    one.master !== undefined ||
    node.routes.some(
      ({ nexthops, protocol }) => protocol !== kernel && nexthops.some((hop) => hop.interface === one.name),
    );
  return used ? "outside" : "left out";
}

/** RTPROT_KERNEL, RTPROT_RA (linux/rtnetlink.h): the kernel makes these by itself. */
const kernel = 2;
const advertised = 9;

export function addressesOf(one: InterfaceSnapshot): string[] {
  return one.addresses
    .filter(({ family, scope }) => !(family === 6 && scope === "link"))
    .filter(({ address }) => one.kind !== "loopback" || (address !== "127.0.0.1" && address !== "::1"))
    .map(({ address, prefixLength }) => `${address}/${prefixLength}`);
}

/** What stands under `interfaces` of a node for one that is made on another. */
export function deviceForm(node: ImportedNode, one: InterfaceSnapshot): InterfaceForm | undefined {
  const parent = one.parent === undefined ? undefined : node.interfaces.get(one.parent.interface);
  const { device } = one;
  const up = one.up ? {} : { up: false };
  switch (device?.kind) {
    case "vlan":
      return parent === undefined ? undefined : { vlan: { parent, id: device.id }, ...up };
    case "macvlan":
      if (parent === undefined || device.mode === "source") return undefined;
      return { macvlan: { parent, mode: device.mode }, ...up };
    case "vxlan": {
      const { id, port, local, remote } = device;
      return {
        vxlan: {
          ...{ id, port },
          ...(local === undefined ? {} : { local }),
          ...(remote === undefined ? {} : { remote }),
          ...(parent === undefined ? {} : { parent }),
        },
        ...up,
      };
    }
    case "vrf": {
      const members = node.snapshot.interfaces
        .filter(({ master }) => master === one.name)
        .flatMap(({ name }) => node.interfaces.get(name) ?? []);
      return members.length === 0 ? undefined : { vrf: { table: device.table, members }, ...up };
    }
    case undefined:
      return undefined;
  }
}

/** `web:eth0`, or `host:br0/vethweb` for a port. */
export function endName(node: ImportedNode, one: InterfaceSnapshot): string {
  const name = node.interfaces.get(one.name) ?? one.name;
  const master = node.snapshot.interfaces.find(({ name: other }) => other === one.master);
  if (master?.kind !== "bridge") return `${node.name}:${name}`;
  return `${node.name}:${node.interfaces.get(master.name) ?? master.name}/${name}`;
}

/** Settings of an end beside its MAC, MTU and port, which are compared with what the file gives by itself. */
export function endSettings(node: ImportedNode, one: InterfaceSnapshot): Omit<EndSettings, "at"> {
  return { ...(one.up ? {} : { up: false }), ...shapingOf(node, one) };
}

function shapingOf(node: ImportedNode, { name, qdiscs }: InterfaceSnapshot): Omit<EndSettings, "at"> {
  const foreign = qdiscs.filter(({ kind }) => kind !== "tbf" && kind !== "netem");
  if (foreign.length > 0)
    node.notes.push(`${name}: its qdisc ${foreign.map(({ kind }) => kind).join(", ")} is not carried`);
  const find = (wanted: string): QdiscSnapshot | undefined => qdiscs.find(({ kind }) => kind === wanted);
  const [tbf, netem] = [find("tbf"), find("netem")];
  const share = (value: number | undefined): string | undefined =>
    value === undefined ? undefined : `${Number((value * 100).toPrecision(9))}%`;
  const settings = {
    rate: tbf?.rate === undefined ? undefined : `${Math.round(tbf.rate * 8)}bit`,
    burst: tbf?.burst === undefined ? undefined : String(tbf.burst),
    delay: netem?.delay === undefined ? undefined : `${netem.delay}ns`,
    jitter: netem?.jitter === undefined ? undefined : `${netem.jitter}ns`,
    loss: share(netem?.loss),
    duplicate: share(netem?.duplicate),
    reorder: share(netem?.reorder),
    corrupt: share(netem?.corrupt),
  };
  // The same keys, without those that are not there.
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
}

const localTable = 255;
const mainTable = 254;

export function importRoutes(node: ImportedNode): RouteForm[] {
  const vrfTables = new Map(
    node.snapshot.interfaces.flatMap(({ name, device }) =>
      device?.kind === "vrf" ? [[device.table, name] as const] : [],
    ),
  );
  return node.snapshot.routes.flatMap((route): RouteForm[] => {
    const { destination, type, table, protocol, metric, preferredSource, nexthops, family } = route;
    if (table === localTable || protocol === kernel || protocol === advertised) return [];
    if (type === "local" || type === "broadcast" || type === "multicast") return [];
    const isDefault = destination === "0.0.0.0/0" || destination === "::/0";
    const say = (why: string): RouteForm[] => {
      node.notes.push(`the route to ${isDefault ? `default (IPv${family})` : destination}: ${why}`);
      return [];
    };
    if (type === "throw") return say("of type throw, which a file has not");
    const [hop] = nexthops;
    if (nexthops.length > 1) say(`has ${nexthops.length} next hops, of which the first is carried`);
    const via = hop?.interface === "lo" ? "lo" : node.interfaces.get(hop?.interface ?? "");
    if (type === "unicast" && via === undefined)
      return say(`out of ${hop?.interface ?? "no interface"}, which is not in the file`);
    const vrf = vrfTables.get(table);
    return [
      {
        to: isDefault && family === 4 ? "default" : destination,
        ...(hop?.gateway === undefined ? {} : { via: hop.gateway }),
        ...(type !== "unicast" || via === undefined ? {} : { interface: via }),
        ...(type === "unicast" ? {} : { type }),
        ...(metric === 0 || (family === 6 && metric === 1024) ? {} : { metric }),
        ...(table === mainTable ? {} : vrf === undefined ? { table } : { vrf: node.interfaces.get(vrf) ?? vrf }),
        ...(preferredSource === undefined ? {} : { source: preferredSource }),
      },
    ];
  });
}

/** The rules that every namespace has: 0 local, 32766 main, 32767 default. */
const usual: ReadonlySet<number> = new Set([0, 32766, 32767]);

export function importRules(node: ImportedNode): PolicyRuleForm[] {
  return node.snapshot.rules.flatMap((rule): PolicyRuleForm[] => {
    const { priority, source, destination, inputInterface, outputInterface, mark, action, table, family, l3mdev } =
      rule;
    if (l3mdev === true || (usual.has(priority) && source === undefined && mark === undefined)) return [];
    if (
      action !== "lookup" ||
      table === undefined ||
      outputInterface !== undefined ||
      priority < 1 ||
      priority > 32765
    ) {
      node.notes.push(
        `the policy rule ${priority} (${action}${outputInterface === undefined ? "" : ` out of ${outputInterface}`}) is not carried`,
      );
      return [];
    }
    return [
      {
        priority,
        ...(source === undefined ? {} : { from: source }),
        ...(destination === undefined ? {} : { to: destination }),
        ...(inputInterface === undefined
          ? {}
          : { in: inputInterface === "lo" ? "lo" : (node.interfaces.get(inputInterface) ?? inputInterface) }),
        ...(mark === undefined ? {} : { mark }),
        ...(source === undefined && destination === undefined ? { family } : {}),
        table,
      },
    ];
  });
}

export function importNeighbours(node: ImportedNode): NonNullable<NodeForm["neighbours"]> {
  return node.snapshot.neighbours.flatMap(({ state, address, mac, interface: name }) => {
    const own = node.interfaces.get(name);
    return state !== "permanent" || mac === undefined || own === undefined ? [] : [{ interface: own, address, mac }];
  });
}

/** The node at the other end of an interface that leads out of what was looked at. */
export interface Outside {
  readonly name: string;
  readonly form: NodeForm;
  readonly link: LinkForm;
}

/**
 * What lies beyond an interface is not known: a node stands for it, with the addresses of the gateways that routes name,
 * else with a free one of each network.
 */
export function outsideOf(node: ImportedNode, one: InterfaceSnapshot, name: string): Outside {
  const gateways = node.snapshot.routes.flatMap(({ nexthops }) =>
    nexthops.flatMap((hop) => (hop.interface === one.name && hop.gateway !== undefined ? [hop.gateway] : [])),
  );
  const addresses: string[] = [];
  for (const { address, prefixLength, family, scope } of one.addresses) {
    const own = parseAddress(address);
    if (own === undefined || scope === "link" || prefixLength >= (family === 4 ? 32 : 128)) continue;
    const network = networkOf(own, prefixLength);
    const given = gateways.map(parseAddress).find((each) => each?.family === family && sameNetwork(each, network));
    const range = hostRange(network);
    const free = [0n, 1n]
      .map((offset) => addressAt(network, range.first - network.value + offset))
      .find((each) => each !== undefined && !sameAddress(each, own));
    const chosen = given ?? free;
    if (chosen !== undefined) addresses.push(`${formatAddress(chosen)}/${prefixLength}`);
  }
  const settings = endSettings(node, one);
  const at = endName(node, one);
  return {
    name,
    form: { interfaces: { eth0: [...new Set(addresses)] } },
    link: [`${name}:eth0`, Object.keys(settings).length === 0 ? at : { at, ...settings }],
  };
}

function sameNetwork(
  address: NonNullable<ReturnType<typeof parseAddress>>,
  network: ReturnType<typeof networkOf>,
): boolean {
  const within = networkOf(address, network.length);
  return within.value === network.value;
}
