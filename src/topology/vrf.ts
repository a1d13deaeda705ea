/**
 * Vrfs: interfaces of a node whose routes stand in a table of their own (net/vrf in the kernel's documentation). For
 * everything that has to do with routes a vrf is a router by itself, beside the rest of its node.
 */
import type { Draft, DraftInterface, DraftNode } from "./draft.js";
import { findInterface } from "./draft.js";
import type { RouteForm } from "./form/node.js";
import { listOf } from "./merge.js";
import { groupBy, type Subnet } from "./segment.js";

/** IP6_MAX_MTU, what the kernel gives a vrf (vrf_setup in drivers/net/vrf.c). */
export const vrfMtu = 65_575;

/** Tables that every node has (rtnetlink(7)). */
const ownTables: ReadonlyMap<number, string> = new Map([
  [253, "default"],
  [254, "main"],
  [255, "local"],
]);

export function vrfsOf(node: DraftNode): DraftInterface[] {
  return [...node.interfaces.values()].filter(({ device }) => device?.kind === "vrf");
}

export function tableOf({ device }: DraftInterface): number | undefined {
  return device?.kind === "vrf" ? device.table : undefined;
}

/** Tells each interface its vrf, once all are declared. */
export function joinVrfs(draft: Draft): void {
  for (const node of draft.nodes.values()) {
    const tables = new Map<number, DraftInterface>();
    for (const vrf of vrfsOf(node)) {
      checkTable(draft, vrf, tables);
      const members = node.form.interfaces?.[vrf.name];
      const form = typeof members === "object" && !Array.isArray(members) ? members.vrf : undefined;
      const at = [...vrf.at, "vrf", "members"];
      for (const [index, name] of listOf(form?.members).entries()) {
        const path = Array.isArray(form?.members) ? [...at, index] : at;
        const member = name === "lo" ? undefined : findInterface(draft, node, name, path);
        const refusal = name === "lo" ? "lo belongs to the whole node" : member && refusalOf(member);
        if (refusal !== undefined) {
          draft.document.error(path, `${node.name}:${name} cannot be in the vrf "${vrf.name}": ${refusal}`, {
            code: "conflict",
            hint: member?.master === undefined || member.device ? undefined : `did you mean "${member.master}"?`,
          });
        } else if (member) member.vrf = vrf;
      }
    }
  }
}

/** Why the kernel would not let it join, or would pass over it. */
function refusalOf({ device, master, vrf }: DraftInterface): string | undefined {
  if (device?.kind === "vrf") return "it is a vrf itself";
  if (master !== undefined) return `it is a port of the bridge ${master}`;
  return vrf && `it is in "${vrf.name}" already`;
}

function checkTable({ document }: Draft, vrf: DraftInterface, tables: Map<number, DraftInterface>): void {
  const table = tableOf(vrf);
  if (table === undefined) return;
  const at = [...vrf.at, "vrf", "table"];
  const own = ownTables.get(table);
  if (own !== undefined) document.error(at, `${table} is the table ${own}, which every node has`, { code: "conflict" });
  const other = tables.get(table);
  if (other) document.error(at, `${vrf.node.name}:${other.name} has the table ${table} already`, { code: "duplicate" });
  tables.set(table, vrf);
}

/** The vrf that a route of the file belongs to: by its name, its table, or the interface that it leads out of. */
export function vrfOfRoute(node: DraftNode, { vrf, table, interface: out }: RouteForm): DraftInterface | undefined {
  if (vrf !== undefined) return node.interfaces.get(vrf);
  if (table !== undefined) return vrfsOf(node).find((each) => tableOf(each) === table);
  return out === undefined ? undefined : node.interfaces.get(out)?.vrf;
}

/** Who routes: each node for what is in no vrf, and each vrf for what is in it. */
export interface Routers {
  /** Nodes, each followed by its vrfs in the shape of nodes. */
  readonly all: readonly DraftNode[];
  readonly of: (member: DraftInterface) => DraftNode;
  /** Where the routes of a router go. */
  readonly home: (router: DraftNode) => { readonly node: DraftNode; readonly table?: number };
}

export function routersOf(draft: Draft): Routers {
  const routers = new Map<DraftInterface, DraftNode>();
  const homes = new Map<DraftNode, { readonly node: DraftNode; readonly table?: number }>();
  const all = [...draft.nodes.values()].flatMap((node) => [
    node,
    ...vrfsOf(node).map((vrf) => {
      const router = asRouter(node, vrf);
      const table = tableOf(vrf);
      routers.set(vrf, router);
      homes.set(router, { node, ...(table === undefined ? {} : { table }) });
      return router;
    }),
  ]);
  return {
    all,
    of: (member) => routers.get(member.vrf ?? member) ?? member.node,
    home: (router) => homes.get(router) ?? { node: router },
  };
}

function asRouter(node: DraftNode, vrf: DraftInterface): DraftNode {
  const routes = (node.form.routes ?? []).filter((route) => vrfOfRoute(node, route) === vrf);
  const interfaces = [...node.interfaces].filter(([, member]) => member === vrf || member.vrf === vrf);
  return { ...node, form: { ...node.form, routes, uplink: false }, interfaces: new Map(interfaces) };
}

/**
 * Subnets in groups within which no two should overlap. What only vrfs keep apart may: that is what they are for.
 * Everything that has no way into a vrf is one group, since there an overlap is more likely a mistake.
 */
export function realmsOf(draft: Draft, subnets: readonly Subnet[]): Subnet[][] {
  const routers = routersOf(draft);
  const realm = new Map<DraftNode, number>();
  const inVrf = new Set<number>();
  for (const [index, { attachments }] of subnets.entries()) {
    const own = attachments.map((attachment) => routers.of(attachment.interface));
    const joined = new Set(own.flatMap((router) => realm.get(router) ?? []));
    for (const [router, other] of realm) if (joined.has(other)) realm.set(router, index);
    for (const router of own) realm.set(router, index);
    const isVrf = own.some((router) => routers.home(router).table !== undefined);
    if (isVrf || [...joined].some((other) => inVrf.has(other))) inVrf.add(index);
  }
  const groups = groupBy(subnets, ({ attachments: [first] }) => {
    const found = first && realm.get(routers.of(first.interface));
    return found !== undefined && inVrf.has(found) ? found : undefined;
  });
  return [...groups.values()];
}
