/**
 * NAT rules of a node, whatever wrote them, as the `nat` of a topology file. What Docker, Podman and the labs themselves
 * make for a published port (a translation on the way in, one for the machine itself, and one that turns hairpins round)
 * becomes one `publish`.
 */
import { contains, networkOf, parseAddress, parsePrefix } from "../../model/address.js";
import type { NftStatement, NftValue } from "../../model/nft.js";
import type { NatForm } from "../form/filter.js";
import { valueText } from "./conditions.js";
import { addressList } from "./firewall.js";
import type { FlatChain, FlatRule } from "./flatten.js";
import { type ImportedNode, interfacesMeant, routedInterfaces } from "./node.js";

/** The name in the file of the node that holds an address, as this node would reach it; undefined: say the address. */
export type NameAddresses = (node: ImportedNode, addresses: readonly string[]) => string | undefined;

type Publish = Extract<NatForm, { action: "publish" }>;
type Destination = Extract<NftStatement, { kind: "dnat" | "snat" }>;

interface Published {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** The address of the node that it was asked for at; absent for any. */
  readonly address?: string;
  readonly to: { readonly address: string; readonly port: number }[];
  readonly comment?: string;
}

export function importNat(
  node: ImportedNode,
  chains: readonly FlatChain[],
  nameOf: NameAddresses,
): NatForm[] | undefined {
  const nat = chains.filter(({ hook, rules }) => hook.type === "nat" && rules.length > 0);
  for (const chain of nat) node.notes.push(...chain.notes);
  const all = nat.flatMap(({ rules }) => rules);
  if (all.some(isNameServer))
    node.notes.push(
      "the engine's name server at 127.0.0.11 is not carried: names stand in /etc/hosts of a lab's nodes",
    );
  const rulesAt = (hook: string): FlatRule[] =>
    nat.filter((chain) => chain.hook.hook === hook).flatMap(({ rules }) => rules.filter((rule) => !isNameServer(rule)));
  const output = rulesAt("output");
  const incoming: (Published | NatForm)[] = [];
  for (const rule of rulesAt("prerouting")) {
    const why = addIncoming(node, rule, output, incoming);
    if (why !== undefined) node.notes.push(`${rule.place}: ${why}`);
  }
  for (const rule of output) checkOutgoing(node, rule, incoming);

  // A file has one list, from which two chains are made: it keeps the order of both.
  const forms: NatForm[] = [];
  let told = 0;
  for (const rule of rulesAt("postrouting")) {
    const turned = hairpinOf(rule, incoming);
    if (turned !== undefined) {
      for (; told <= turned; told += 1) pushIncoming(node, incoming[told], nameOf, forms);
      continue;
    }
    forms.push(...sourceForms(node, rule));
  }
  for (; told < incoming.length; told += 1) pushIncoming(node, incoming[told], nameOf, forms);
  return forms.length === 0 ? undefined : forms;
}

/** What Docker puts into a container so that its resolver answers on a port of its own. */
function isNameServer({ conditions }: FlatRule): boolean {
  return conditions.equal.get("ip daddr") === "127.0.0.11" || conditions.equal.get("ip saddr") === "127.0.0.11";
}

function isPublished(entry: Published | NatForm): entry is Published {
  return !("action" in entry);
}

function pushIncoming(
  node: ImportedNode,
  entry: Published | NatForm | undefined,
  nameOf: NameAddresses,
  forms: NatForm[],
): void {
  if (entry === undefined) return;
  if (!isPublished(entry)) {
    forms.push(entry);
    return;
  }
  const { protocol, port, address, to, comment } = entry;
  const [first] = to;
  if (first === undefined) return;
  const name = nameOf(
    node,
    to.map((each) => each.address),
  );
  if (name === undefined && to.length > 1)
    node.notes.push(
      `${protocol}/${port} is published to ${to.map((each) => each.address).join(" and ")}: only the first is carried`,
    );
  const host = name ?? (first.address.includes(":") ? `[${first.address}]` : first.address);
  const form: Publish = { action: "publish", port, to: `${protocol}://${host}:${first.port}` };
  forms.push({ ...form, ...(address === undefined ? {} : { address }), ...(comment === undefined ? {} : { comment }) });
}

/** A rule of prerouting. @returns why it cannot be said */
function addIncoming(
  node: ImportedNode,
  rule: FlatRule,
  output: readonly FlatRule[],
  incoming: (Published | NatForm)[],
): string | undefined {
  const { conditions } = rule;
  const action = rule.actions.find(({ kind }) => kind === "dnat" || kind === "redirect");
  if (action === undefined) return undefined; // it marks or counts
  if (conditions.beyond.length > 0) return `'${conditions.beyond.join(" ")}' cannot be said in a NAT rule`;
  const unknown = [...conditions.equal.keys()].find((field) => !known.has(field));
  if (unknown !== undefined) return `'${unknown}' cannot be said in a NAT rule`;
  const number = conditions.equal.get("l4proto");
  const protocol = number === 6 ? ("tcp" as const) : number === 17 ? ("udp" as const) : undefined;
  if (number !== undefined && protocol === undefined) return `a translation of protocol ${valueText(number)}`;
  const ports = portsOf(conditions.equal.get("th dport"));
  if (ports === undefined) return "more ports than can be written out";
  const address = addressOf(conditions.equal.get("ip daddr") ?? conditions.equal.get("ip6 daddr"));
  if (conditions.equal.has("ip saddr") || conditions.equal.has("ip6 saddr")) return "its source cannot be said";
  const comment = rule.comment === undefined || rule.comment.length > 100 ? {} : { comment: rule.comment };
  const meant = interfacesMeant(node, conditions.in);
  const common = { ...(protocol === undefined ? {} : { protocol }), ...comment };
  if (action.kind === "redirect") {
    for (const port of ports)
      for (const one of meant ?? [undefined])
        incoming.push({
          action: "redirect",
          ...common,
          port,
          toPort: action.port ?? port,
          ...(one === undefined ? {} : { in: one }),
        });
    return undefined;
  }
  if (action.kind !== "dnat" || action.address === undefined) return "it leads to no address";
  const own = conditions.equal.get("fib daddr type") === "local";
  // A lab's rule for one address of the node stands in output, too; one that leads elsewhere does not.
  const both = own || (address !== undefined && output.some((other) => sameTranslation(rule, other)));
  if (both && address !== undefined && !ownAddresses(node).includes(address))
    return `published on ${address}, which is no address of an interface`;
  if (both && protocol !== undefined && ports.length > 0) {
    for (const port of ports)
      addPublished(
        { protocol, port, to: [targetOf(action, port)], ...comment, ...(address === undefined ? {} : { address }) },
        incoming,
      );
    return undefined;
  }
  if (own) return "every port of the node at once";
  if (meant?.length === 0) return "none of the interfaces that it names is in the file";
  const host = action.address.includes(":") ? `[${action.address}]` : action.address;
  for (const port of ports.length === 0 ? [undefined] : ports)
    for (const one of meant ?? [undefined])
      incoming.push({
        action: "dnat",
        ...common,
        ...(one === undefined ? {} : { in: one }),
        ...(address === undefined ? {} : { address }),
        ...(port === undefined ? {} : { port }),
        to: action.port === undefined ? action.address : `${host}:${action.port}`,
      });
  return undefined;
}

function ownAddresses({ snapshot }: ImportedNode): string[] {
  const carried = snapshot.interfaces.filter(({ kind }) => kind !== "loopback");
  return carried.flatMap(({ addresses }) => addresses.map(({ address }) => address));
}

const known: ReadonlySet<string> = new Set([
  "l4proto",
  "th dport",
  "ip saddr",
  "ip6 saddr",
  "ip daddr",
  "ip6 daddr",
  "fib daddr type",
]);

function targetOf({ address = "", port }: Destination, asked: number): Published["to"][number] {
  return { address, port: port ?? asked };
}

/** A second family of a port that is published already joins it. */
function addPublished(entry: Published, incoming: (Published | NatForm)[]): void {
  const same = incoming
    .filter(isPublished)
    .find((each) => each.protocol === entry.protocol && each.port === entry.port && each.address === entry.address);
  const [to] = entry.to;
  if (same === undefined) incoming.push(entry);
  else if (to !== undefined && !same.to.some((each) => each.address === to.address && each.port === to.port))
    same.to.push(to);
}

function sameTranslation(a: FlatRule, b: FlatRule): boolean {
  const shape = ({ conditions, actions }: FlatRule): string =>
    JSON.stringify([
      [...conditions.equal].filter(([field]) => field !== "fib daddr type").sort(([x], [y]) => x.localeCompare(y)),
      actions.filter(({ kind }) => kind === "dnat"),
    ]);
  return shape(a) === shape(b);
}

/** A rule of output that is no part of a published port has no place in the file. */
function checkOutgoing(node: ImportedNode, rule: FlatRule, incoming: readonly (Published | NatForm)[]): void {
  const action = rule.actions.find((each) => each.kind === "dnat" || each.kind === "redirect");
  if (action === undefined) return;
  const ports = portsOf(rule.conditions.equal.get("th dport")) ?? [];
  const said = incoming
    .filter(isPublished)
    .some(
      (each) =>
        ports.includes(each.port) &&
        action.kind === "dnat" &&
        each.to.some(({ address }) => address === action.address),
    );
  if (!said)
    node.notes.push(`${rule.place}: translates what the node itself sends, which only 'publish' does in a file`);
}

/** The number of the published port whose hairpin a rule turns round. */
function hairpinOf({ conditions, actions }: FlatRule, incoming: readonly (Published | NatForm)[]): number | undefined {
  if (!actions.some(({ kind }) => kind === "masquerade")) return undefined;
  const to = addressOf(conditions.equal.get("ip daddr") ?? conditions.equal.get("ip6 daddr"));
  const from = conditions.equal.get("ip saddr") ?? conditions.equal.get("ip6 saddr");
  const turned = conditions.equal.get("ct status") === "dnat" || (to !== undefined && from === to);
  if (!turned || to === undefined) return undefined;
  const ports = portsOf(conditions.equal.get("th dport")) ?? [];
  const protocol = conditions.equal.get("l4proto") === 17 ? "udp" : "tcp";
  const found = incoming.findIndex(
    (each) =>
      isPublished(each) &&
      each.protocol === protocol &&
      each.to.some((target) => target.address === to && (ports.length === 0 || ports.includes(target.port))),
  );
  return found < 0 ? undefined : found;
}

type SourceChange = Extract<NftStatement, { kind: "masquerade" }> | (Destination & { readonly kind: "snat" });

function isSource(action: NftStatement): action is SourceChange {
  return action.kind === "masquerade" || action.kind === "snat";
}

function sourceForms(node: ImportedNode, rule: FlatRule): NatForm[] {
  const action = rule.actions.find(isSource);
  if (action === undefined) return [];
  const cannot = (why: string): NatForm[] => {
    node.notes.push(`${rule.place}: ${why}`);
    return [];
  };
  const { conditions } = rule;
  // Engines leave out multicast, which nobody routes, and what stays in the container's own network.
  const more = conditions.beyond.filter((text) => !/^ip6? daddr != (224\.0\.0\.0\/4|ff00::\/8)$/.test(text));
  if (more.length > 0) return cannot(`'${more.join(" ")}' cannot be said in a masquerade`);
  const unknown = [...conditions.equal.keys()].find((field) => !/^ip6? [sd]addr$/.test(field));
  if (unknown !== undefined) return cannot(`'${unknown}' cannot be said in a masquerade`);
  const from = partiesOf(conditions.equal.get("ip saddr") ?? conditions.equal.get("ip6 saddr"));
  const to = partiesOf(conditions.equal.get("ip daddr") ?? conditions.equal.get("ip6 daddr"));
  const own = typeof from === "string" ? from : undefined;
  const outs =
    conditions.beyond.length > 0 && conditions.out.only === undefined
      ? outsideOf(node, own)
      : interfacesMeant(node, conditions.out);
  if (outs?.length === 0) return cannot("no interface of the file leads out of its network");
  const comment = rule.comment === undefined || rule.comment.length > 100 ? {} : { comment: rule.comment };
  const family =
    conditions.family === undefined || from !== undefined || to !== undefined ? undefined : conditions.family;
  return (outs ?? [undefined]).flatMap((out): NatForm[] => {
    const common = {
      ...(from === undefined ? {} : { from }),
      ...(family === undefined || action.kind === "snat" ? {} : { from: family === 4 ? "0.0.0.0/0" : "::/0" }),
      ...(to === undefined ? {} : { to }),
      ...(out === undefined ? {} : { out }),
      ...comment,
    };
    if (action.kind === "masquerade") return [{ action: "masquerade", ...common }];
    return action.address === undefined ? [] : [{ action: "snat", ...common, source: action.address }];
  });
}

/** Interfaces that lead out of a network. */
function outsideOf(node: ImportedNode, network: string | undefined): readonly string[] {
  const prefix = network === undefined ? undefined : parsePrefix(network);
  return routedInterfaces(node)
    .filter(
      ({ addresses }) =>
        prefix === undefined ||
        !addresses.some(({ address, prefixLength }) => {
          const own = parseAddress(address);
          return own !== undefined && (contains(prefix, own) || contains(networkOf(own, prefixLength), prefix));
        }),
    )
    .flatMap(({ name }) => node.interfaces.get(name) ?? []);
}

function partiesOf(value: NftValue | undefined): string | string[] | undefined {
  return value === undefined ? undefined : addressList(value);
}

function addressOf(value: NftValue | undefined): string | undefined {
  return typeof value === "string" && parseAddress(value) !== undefined ? value : undefined;
}

/** So many ports of a range are written out. */
const mostPorts = 64;

/** @returns empty for none asked for, undefined for too many */
function portsOf(value: NftValue | undefined): readonly number[] | undefined {
  if (value === undefined) return [];
  const ports = (Array.isArray(value) ? value : [value]).flatMap((each: unknown) => {
    if (typeof each !== "object" || each === null || !("from" in each) || !("to" in each)) return [Number(each)];
    const first = Number(each.from);
    return Array.from({ length: Math.min(mostPorts + 1, Number(each.to) - first + 1) }, (_, index) => first + index);
  });
  return ports.length > mostPorts ? undefined : ports;
}
