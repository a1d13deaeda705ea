/** `inspect`: nodes, interfaces, addresses, links, bridge ports, routes, listeners and counters of a snapshot. */
import type { InterfaceSnapshot, NodeSnapshot, RouteSnapshot, Snapshot } from "../model/snapshot.js";
import type { ContainerState } from "../model/container.js";
import { hopName } from "../model/hop.js";
import { columns } from "./columns.js";
import { noInk, type Ink } from "./ink.js";
import { linkWords } from "./link-words.js";
import { publishedText } from "./published.js";
import { bits, bytes, count } from "./quantity.js";
import { visibleDeep } from "./width.js";

export interface InspectOptions {
  readonly ink?: Ink;
  /** Only these nodes; default all. */
  readonly nodes?: readonly string[];
}

export function inspectLines(raw: Snapshot, options: InspectOptions = {}): string[] {
  const snapshot = visibleDeep(raw);
  const ink = options.ink ?? noInk;
  const nodes = snapshot.nodes.filter(({ name }) => options.nodes?.includes(name) ?? true);
  const title = snapshot.lab === undefined ? "this machine" : `lab ${snapshot.lab}`;
  const when = `${snapshot.takenAt.slice(0, 10)} ${snapshot.takenAt.slice(11, 19)} UTC`;
  return [
    `${ink("strong", title)}, ${count(nodes.length, "node")} ${ink("dim", when)}`,
    ...nodes.flatMap((node) => [
      "",
      ...nodeLines(snapshot, node, ink),
      ...(options.nodes ? insideLines(node, ink) : []),
    ]),
    ...counterLines(nodes, ink),
    ...spaced((snapshot.unread ?? []).map(({ text }) => ink("warn", `not looked at: ${text}`))),
  ];
}

function nodeLines(snapshot: Snapshot, node: NodeSnapshot, ink: Ink): string[] {
  const style = { indent: "  ", heading: (line: string) => ink("dim", line) };
  const role = node.role === "namespace" ? "" : `  ${node.role}`;
  return [
    `${ink("strong", node.name)}${ink("dim", `${role}  netns ${node.netns}`)}`,
    ...(node.container === undefined ? [] : [`  ${containerLine(node.container, ink)}`]),
    ...containerLines(node),
    ...columns(
      [
        { title: "interface" },
        { title: "state" },
        { title: "mtu", align: "right" },
        { title: "address" },
        { title: "mac" },
        { title: "link" },
      ],
      node.interfaces.flatMap((one) => interfaceRows(snapshot, node, one, ink)),
      style,
    ),
    ...spaced(
      columns(
        [{ title: "route" }, { title: "via" }, { title: "interface" }, { title: "metric", align: "right" }],
        node.routes.filter(isTold).flatMap(routeRows),
        style,
      ),
    ),
    ...spaced(
      columns(
        [{ title: "listens" }, { title: "address" }],
        node.listeners.map(({ protocol, family, address, port }) => [
          protocol,
          `${family === 6 ? `[${address}]` : address}:${port}`,
        ]),
        style,
      ),
    ),
    ...spaced(
      columns(
        [
          { title: "nftables" },
          { title: "chain" },
          { title: "hook" },
          { title: "policy" },
          { title: "rules", align: "right" },
        ],
        node.nftables.flatMap(({ family, name, chains }) =>
          chains.map((chain) => [
            `${family} ${name}`,
            chain.name,
            chain.hook === undefined ? "" : `${chain.hook.type} ${chain.hook.hook} ${chain.hook.priority}`,
            chain.hook === undefined ? "" : ink(chain.hook.policy === "drop" ? "warn" : "plain", chain.hook.policy),
            String(chain.rules.length),
          ]),
        ),
        style,
      ),
    ),
  ];
}

/** One for each container of an engine that is in the namespace. */
function containerLines(node: NodeSnapshot): string[] {
  return (node.containers ?? []).map((each) => {
    const parts = [
      `${each.runtime} ${each.name ?? each.id.slice(0, 12)}`,
      ...(each.image === undefined ? [] : [`image ${each.image}`]),
      ...(each.compose === undefined ? [] : [`compose ${each.compose.project}/${each.compose.service}`]),
      ...(each.networks === undefined ? [] : [`network ${each.networks.join(" ")}`]),
      ...publishedText({ ...node, containers: [each] }).map((text) => `publishes ${text}`),
    ];
    return `  ${parts.join(", ")}`;
  });
}

/** So many processes are named of a node that was asked for. */
const mostProcesses = 12;

/** What is told of a node only where it was asked for by name. */
function insideLines(node: NodeSnapshot, ink: Ink): string[] {
  const style = { indent: "  ", heading: (line: string) => ink("dim", line) };
  const { processes = [], neighbours } = node;
  const more = processes.length - mostProcesses;
  return [
    ...spaced(
      columns(
        [{ title: "neighbour" }, { title: "mac" }, { title: "interface" }, { title: "state" }],
        neighbours
          .filter(({ state }) => state !== "noarp")
          .map(({ address, mac, interface: name, state }) => [address, mac ?? "", name, state]),
        style,
      ),
    ),
    ...spaced(
      columns(
        [{ title: "process", align: "right" }, { title: "name" }, { title: "cgroup" }],
        processes.slice(0, mostProcesses).map(({ pid, name, cgroup }) => [String(pid), name, cgroup]),
        style,
      ),
    ),
    ...(more > 0 ? [`  … and ${more} more`] : []),
  ];
}

/** `busybox httpd -f: running, pid 4712`, `sh: ended: killed: memory limit 100M reached` */
function containerLine({ command, state, pid, reason, oomKills, exit }: ContainerState, ink: Ink): string {
  const name = command.join(" ");
  const shown = name.length > 60 ? `${name.slice(0, 59)}…` : name;
  if (state === "not started") return `${shown}: ${ink("warn", state)}`;
  if (state === "ended") return `${shown}: ${ink(exit?.code === 0 ? "plain" : "bad", `ended: ${reason ?? ""}`)}`;
  const killed =
    oomKills === undefined
      ? ""
      : ink("bad", `, ${count(oomKills, "process", "processes")} of it killed: out of memory`);
  return `${shown}: ${ink("good", "running")}, pid ${pid ?? 0}${killed}`;
}

function spaced(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ["", ...lines];
}

/** One row, and one more for each further address. */
function interfaceRows(snapshot: Snapshot, node: NodeSnapshot, one: InterfaceSnapshot, ink: Ink): string[][] {
  const addresses = one.addresses.map(
    ({ address, prefixLength, tentative }) => `${address}/${prefixLength}${tentative ? ink("warn", " tentative") : ""}`,
  );
  const first = [
    one.name,
    state(one, ink),
    String(one.mtu),
    addresses[0] ?? "",
    one.mac ?? "",
    linkOf(snapshot, node, one, ink),
  ];
  return [first, ...addresses.slice(1).map((address) => ["", "", "", address])];
}

function state({ up, carrier }: InterfaceSnapshot, ink: Ink): string {
  if (!up) return ink("bad", "down");
  return carrier ? ink("good", "up") : ink("warn", "no carrier");
}

/** Where the other end is, and what it belongs to: `↔ web:eth0, port of yapc0, forwarding`. */
function linkOf(snapshot: Snapshot, node: NodeSnapshot, one: InterfaceSnapshot, ink: Ink): string {
  const parts = [linkWords(snapshot, node, one)].filter((words) => words !== "");
  if (one.port !== undefined) {
    const { state: portState, hairpin, isolated } = one.port;
    parts.push(portState === "forwarding" ? portState : ink("warn", portState));
    if (hairpin) parts.push("hairpin");
    if (isolated) parts.push(ink("warn", "isolated"));
  }
  for (const { kind, rate } of one.qdiscs) parts.push(rate === undefined ? kind : `${kind} ${bits(rate)}`);
  if (one.alias !== undefined && one.alias !== one.name && !one.alias.startsWith("yapc-net"))
    parts.push(`"${one.alias}"`);
  return parts.join(", ");
}

/** The local table and multicast say nothing that the addresses do not. */
function isTold({ table, type, destination }: RouteSnapshot): boolean {
  return (
    table !== 255 &&
    type !== "local" &&
    type !== "broadcast" &&
    type !== "multicast" &&
    !destination.startsWith("ff00:")
  );
}

function routeRows(route: RouteSnapshot): string[][] {
  const isDefault = route.destination === "0.0.0.0/0" || route.destination === "::/0";
  const name = isDefault ? (route.family === 4 ? "default" : "default (IPv6)") : route.destination;
  const metric = route.metric === 0 ? "" : String(route.metric);
  if (route.nexthops.length === 0) return [[name, route.type, "", metric]];
  return route.nexthops.map((hop, index) => [
    index === 0 ? name : "",
    (hop.gateway ?? "direct") + (hop.dead ? " (dead)" : hop.linkdown ? " (no carrier)" : ""),
    hop.interface ?? "",
    index === 0 ? metric : "",
  ]);
}

/** Interfaces that carried something, all nodes in one table, so that a loss between two of them can be seen. */
function counterLines(nodes: readonly NodeSnapshot[], ink: Ink): string[] {
  const number = (value: number): string => String(value);
  const loss = (value: number): string => (value === 0 ? "0" : ink("bad", String(value)));
  const rows = nodes.flatMap((node) =>
    node.interfaces
      .filter(
        ({ statistics }) =>
          statistics.rxPackets + statistics.txPackets + statistics.rxDropped + statistics.txDropped > 0,
      )
      .map(({ name, statistics: s }) => [
        hopName({ node: node.name, interface: name }),
        number(s.rxPackets),
        bytes(s.rxBytes),
        loss(s.rxErrors),
        loss(s.rxDropped),
        number(s.txPackets),
        bytes(s.txBytes),
        loss(s.txErrors),
        loss(s.txDropped),
      ]),
  );
  const head = ["rx packets", "rx bytes", "errors", "dropped", "tx packets", "tx bytes", "errors", "dropped"];
  return spaced(
    columns([{ title: "counters" }, ...head.map((title) => ({ title, align: "right" as const }))], rows, {
      heading: (line) => ink("dim", line),
    }),
  );
}
