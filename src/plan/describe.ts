/** One line for an operation, as `up --dry-run` prints it: what, where, why. */
import type { NftTable } from "../model/nft.js";
import type {
  ResolvedContainer,
  ResolvedDevice,
  ResolvedEnd,
  ResolvedRoute,
  ResolvedShaping,
} from "../topology/resolved.js";
import type { Operation, OperationBody } from "./operation.js";

/** `host  add address 10.0.0.1/24 to yapc0`; the reason behind it where it is more than "new". */
export function describe(operation: Operation): string {
  const line = describeBody(operation);
  return operation.reason === "new" ? line : `${line}  (${operation.reason})`;
}

export function describeBody(operation: OperationBody): string {
  switch (operation.kind) {
    case "node.create":
      return `${operation.node}: create ${operation.container ? "container node" : "node"}`;
    case "node.remove":
      return `${operation.node}: remove node`;
    case "sysctl.write":
      return `${operation.node}: write ${counted(operation.entries.length, "sysctl")}${sysctlNames(operation.entries)}`;
    case "bridge.create":
      return `${operation.node}: create bridge ${operation.bridge.name}`;
    case "bridge.change":
      return `${operation.node}: change bridge ${operation.bridge.name}`;
    case "veth.create":
      return `${endName(operation.ends[0])} <-> ${endName(operation.ends[1])}: create link`;
    case "device.create":
      return `${operation.node}: create ${deviceText(operation.device)}`;
    case "link.change":
      return `${operation.node}: ${linkChange(operation)}`;
    case "link.delete":
      return `${operation.node}: delete ${operation.interface}`;
    case "address.add":
      return `${operation.node}: add address ${addressText(operation.address)} to ${operation.interface}`;
    case "address.remove":
      return `${operation.node}: remove address ${addressText(operation.address)} from ${operation.interface}`;
    case "route.add":
    case "route.remove":
      return `${operation.node}: ${verb(operation.kind)} route ${routeText(operation.route)}`;
    case "rule.add":
    case "rule.remove": {
      const { priority, table, from, to, mark } = operation.rule;
      const match = [from && `from ${from}`, to && `to ${to}`, mark === undefined ? "" : `mark ${mark}`];
      return `${operation.node}: ${verb(operation.kind)} rule ${[priority, ...match.filter(Boolean), "table", table].join(" ")}`;
    }
    case "neighbour.add":
    case "neighbour.remove": {
      const { address, mac, interface: name } = operation.neighbour;
      return `${operation.node}: ${verb(operation.kind)} neighbour ${address} at ${mac} on ${name}`;
    }
    case "nftables.replace":
      return `${operation.node}: ${operation.tables.length === 0 ? "remove nf_tables rules" : tablesText(operation.tables)}`;
    case "shaping.set":
      return `${operation.node}: ${operation.shaping ? `shape ${operation.interface} to ${shapingText(operation.shaping)}` : `stop shaping ${operation.interface}`}`;
    case "hosts.write":
      return `${operation.node}: write /etc/hosts with ${counted(operation.hosts.length, "line")}`;
    case "container.start":
      return `${operation.node}: start ${commandText(operation.container)}`;
    case "container.stop":
      return `${operation.node}: stop ${commandText(operation.container)}`;
  }
}

function verb(kind: string): string {
  return kind.endsWith(".add") ? "add" : "remove";
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

/** A node has some twenty: few enough to name are the ones that changed. */
function sysctlNames(entries: readonly { readonly name: string; readonly value: string }[]): string {
  return entries.length > 3 ? "" : `: ${entries.map(({ name, value }) => `${name}=${value}`).join(", ")}`;
}

function endName(end: ResolvedEnd): string {
  const name = `${end.node}:${end.master === undefined ? "" : `${end.master}/`}${end.interface}`;
  const settings = [end.mtu === 1500 ? "" : `mtu ${end.mtu}`, end.up ? "" : "down"].filter((text) => text !== "");
  return settings.length === 0 ? name : `${name} (${settings.join(", ")})`;
}

function deviceText({ name, master, settings }: ResolvedDevice): string {
  const words: string[] = [settings.kind, master === undefined ? name : `${master}/${name}`];
  if ("id" in settings) words.push(`id ${settings.id}`);
  if (settings.kind === "vrf") words.push(`table ${settings.table}`);
  if (settings.kind === "vxlan" && settings.remote !== undefined) words.push(`to ${settings.remote}`);
  if (settings.parent !== undefined) words.push(`on ${settings.parent}`);
  return words.join(" ");
}

function linkChange({ interface: name, change, previous }: OperationBody & { kind: "link.change" }): string {
  const words = Object.entries(change).map(([key, value]) => {
    switch (key) {
      case "up":
        return value === true ? "up" : "down";
      case "master":
        // Only what is on a bridge has settings of a port.
        if (value === null) return previous.port ? "off its bridge" : "out of its vrf";
        return `${change.port ? "onto" : "into"} ${String(value)}`;
      case "port":
      case "offload":
        return Object.entries(value as object) // the two keys that hold objects
          .map(([setting, on]) => `${setting} ${on === true ? "on" : "off"}`)
          .join(", ");
      default:
        return `${key} ${String(value)}`;
    }
  });
  return `set ${name} ${words.join(", ")}`;
}

function addressText({ address, prefixLength }: { readonly address: string; readonly prefixLength: number }): string {
  return `${address}/${prefixLength}`;
}

function routeText(route: ResolvedRoute): string {
  const parts = [
    route.type === "unicast" ? "" : route.type,
    route.destination.endsWith("/0") ? `default${route.family === 6 ? " (IPv6)" : ""}` : route.destination,
    route.gateway === undefined ? "" : `via ${route.gateway}`,
    route.interface === undefined ? "" : `dev ${route.interface}`,
    route.metric === undefined ? "" : `metric ${route.metric}`,
    route.table === undefined ? "" : `table ${route.table}`,
    route.preferredSource === undefined ? "" : `src ${route.preferredSource}`,
  ];
  return parts.filter((part) => part !== "").join(" ");
}

function tablesText(tables: readonly NftTable[]): string {
  const names = tables.map(({ family, name, chains }) => {
    const rules = chains.reduce((sum, chain) => sum + chain.rules.length, 0);
    return `${family} ${name} (${counted(rules, "rule")})`;
  });
  return `load nf_tables ${names.join(" and ")}`;
}

function shapingText({ rate, delay, jitter, loss, duplicate, reorder, corrupt }: ResolvedShaping): string {
  const share = (name: string, value: number | undefined) => (value === undefined ? "" : `${name} ${value * 100}%`);
  return [
    rate === undefined ? "" : `rate ${rate / 1e6} Mbit/s`,
    delay === undefined ? "" : `delay ${delay / 1e6} ms`,
    jitter === undefined ? "" : `jitter ${jitter / 1e6} ms`,
    share("loss", loss),
    share("duplicate", duplicate),
    share("reorder", reorder),
    share("corrupt", corrupt),
  ]
    .filter((text) => text !== "")
    .join(", ");
}

function commandText({ command }: ResolvedContainer): string {
  return command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word))).join(" ");
}
