/** What belongs to a node as a whole: sysctls, nf_tables, shaping, hosts, its container. */
import type { QdiscSnapshot } from "../model/snapshot.js";
import type { HostsLine, ResolvedEnd, ResolvedNode, ResolvedShaping, ResolvedSysctl } from "../topology/resolved.js";
import type { CurrentNode, PlanOptions } from "./current.js";
import { equal } from "./equal.js";
import { isOurs, normalTables } from "./nftables.js";
import type { Draft } from "./phase.js";

/** `net.ipv4.conf.eth0.rp_filter`: can be written once the interface is there. */
export function interfaceOf(sysctl: string): string | undefined {
  const name = /^net\.ipv[46]\.(?:conf|neigh)\.([^.]+)\./.exec(sysctl)?.[1];
  return name === "all" || name === "default" ? undefined : name;
}

/** What is written on a node, as `options` allow it. */
export function sysctlsFor(node: ResolvedNode, machine: boolean, options: PlanOptions): readonly ResolvedSysctl[] {
  if (machine && options.real === true) {
    // Of the computer itself nothing is changed but that it must forward.
    return node.sysctls.filter(({ name, value }) => /\.(ip_forward|forwarding)$/.test(name) && value === "1");
  }
  const { groupSpan } = options;
  if (groupSpan === undefined) return node.sysctls;
  return node.sysctls.map((entry) =>
    entry.name === "net.ipv4.ping_group_range" && entry.value === "0 2147483647"
      ? { ...entry, value: groupSpan.join(" ") }
      : entry,
  );
}

export function planSysctls(
  draft: Draft,
  node: ResolvedNode,
  wanted: readonly ResolvedSysctl[],
  current: CurrentNode | undefined,
  fresh: (interfaceName: string) => boolean,
): void {
  const entries = [...wanted, ...forgotten(wanted, current)].flatMap((entry) => {
    const member = interfaceOf(entry.name);
    const previous = member !== undefined && fresh(member) ? undefined : valueOf(current, entry.name);
    if (previous !== undefined && sameValue(previous, entry.value)) return [];
    // A node that is there and has no such file: there is nothing to write to.
    if (current && previous === undefined && entry.optional === true) return [];
    return [{ ...entry, ...(previous === undefined ? {} : { previous }) }];
  });
  const [early, late] = [
    entries.filter(({ name }) => interfaceOf(name) === undefined),
    entries.filter(({ name }) => interfaceOf(name) !== undefined),
  ];
  const [only] = early;
  const reason = !current
    ? "new"
    : early.length === 1 && only
      ? `${only.previous ?? "unset"} -> ${only.value}`
      : "changed";
  if (early.length > 0) draft.add("sysctl.write", reason, { kind: "sysctl.write", node: node.name, entries: early });
  if (late.length > 0) {
    draft.add("sysctl.interface", current ? "changed" : "new", {
      kind: "sysctl.write",
      node: node.name,
      entries: late,
    });
  }
}

/** What was written and is no longer asked for, with the value that it had before. */
function forgotten(wanted: readonly ResolvedSysctl[], current: CurrentNode | undefined): ResolvedSysctl[] {
  const names = new Set(wanted.map(({ name }) => name));
  return (current?.remembered?.sysctls ?? []).flatMap(({ name }) => {
    const value = names.has(name) ? undefined : current?.originals[name];
    return value === undefined ? [] : [{ name, value, optional: true }];
  });
}

/** What the kernel says, or, of a name that the snapshot does not hold, what was written last. */
function valueOf(current: CurrentNode | undefined, name: string): string | undefined {
  const remembered = () => current?.remembered?.sysctls.find((entry) => entry.name === name)?.value;
  return current?.snapshot.sysctls[name] ?? remembered();
}

/** The kernel puts a tab between the numbers of a range. */
function sameValue(a: string, b: string): boolean {
  return a.trim().split(/\s+/).join(" ") === b.trim().split(/\s+/).join(" ");
}

export function planNftables(
  draft: Draft,
  name: string,
  wanted: ResolvedNode | undefined,
  current: CurrentNode | undefined,
): void {
  const previous = (current?.snapshot.nftables ?? []).filter(isOurs);
  const tables = wanted?.nftables ?? [];
  if (equal(normalTables(tables), normalTables(previous))) return;
  const reason = previous.length === 0 ? "new" : tables.length === 0 ? "not in the topology" : "rules differ";
  draft.add(tables.length === 0 ? "nftables.clear" : "nftables.replace", reason, {
    kind: "nftables.replace",
    node: name,
    tables,
    previous,
  });
}

/** @param current absent for an end that is about to be made */
export function planShaping(draft: Draft, end: ResolvedEnd, current: CurrentNode | undefined): void {
  const previous = current?.ends.get(end.interface)?.shaping;
  const qdiscs = current?.interfaces.get(end.interface)?.qdiscs ?? [];
  const there = qdiscs.some(({ kind }) => kind === "tbf" || kind === "netem");
  if (end.shaping ? equal(previous, end.shaping) && shows(qdiscs, end.shaping) : !there) return;
  const { node, interface: name, shaping } = end;
  draft.add("shaping.set", previous ? "settings differ" : there ? "not in the topology" : "new", {
    kind: "shaping.set",
    node,
    interface: name,
    ...(shaping ? { shaping } : {}),
    ...(previous ? { previous } : {}),
  });
}

/** Before an end goes: so that undoing brings its settings back. */
export function clearShaping(draft: Draft, name: string, interfaceName: string, current: CurrentNode): void {
  const previous = current.ends.get(interfaceName)?.shaping;
  if (!previous) return;
  draft.add("shaping.clear", "its interface goes", {
    kind: "shaping.set",
    node: name,
    interface: interfaceName,
    previous,
  });
}

/** Whether the kernel has the qdiscs that a shaping makes; of netem's settings it tells none. */
function shows(qdiscs: readonly QdiscSnapshot[], shaping: ResolvedShaping): boolean {
  const { rate } = shaping;
  const tbf = qdiscs.find(({ kind }) => kind === "tbf");
  const wantsNetem = Object.keys(shaping).some((key) => key !== "rate" && key !== "burst");
  if ((tbf !== undefined) !== (rate !== undefined)) return false;
  if (qdiscs.some(({ kind }) => kind === "netem") !== wantsNetem) return false;
  return tbf?.rate === undefined || rate === undefined || tbf.rate === Math.floor(rate / 8);
}

export function planHosts(
  draft: Draft,
  name: string,
  wanted: readonly HostsLine[],
  previous: readonly HostsLine[] | undefined,
): void {
  if (previous && equal(previous, wanted)) return;
  draft.add("hosts.write", previous ? "names or addresses differ" : "new", {
    kind: "hosts.write",
    node: name,
    hosts: wanted,
    ...(previous ? { previous } : {}),
  });
}

export function planContainer(
  draft: Draft,
  name: string,
  wanted: ResolvedNode | undefined,
  current: CurrentNode | undefined,
): void {
  const before = current?.remembered?.container;
  const after = wanted?.container;
  const running = current?.running ?? false;
  if (before && after && running && equal(before, after)) return;
  if (before && running) {
    draft.add("container.stop", after ? "its settings differ" : "not in the topology", {
      kind: "container.stop",
      node: name,
      container: before,
    });
  }
  if (after && !before && running) {
    // A command that was killed had started it.
    draft.add("container.stop", "it is not known what it runs", {
      kind: "container.stop",
      node: name,
      container: after,
    });
  }
  if (after) {
    const reason = !before ? "new" : running ? "its settings differ" : "does not run";
    draft.add("container.start", reason, { kind: "container.start", node: name, container: after });
  }
}
