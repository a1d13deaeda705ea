/**
 * NAT of a node, lowered to the table `yapc_nat`. For `publish` 8080 to web:80 it is
 *
 * ```nft
 * table inet yapc_nat {
 *   chain prerouting  { type nat hook prerouting priority dstnat;
 *     fib daddr type local meta nfproto ipv4 tcp dport 8080 counter dnat ip to 10.0.0.10:80 }
 *   chain output      { type nat hook output priority dstnat;
 *     fib daddr type local meta nfproto ipv4 tcp dport 8080 counter dnat ip to 10.0.0.10:80 }
 *   chain postrouting { type nat hook postrouting priority srcnat;
 *     ct status dnat ip saddr { 127.0.0.0/8, 10.0.0.0/24 } ip daddr 10.0.0.10 tcp dport 80 counter masquerade }
 * }
 * ```
 *
 * The last rule is the hairpin: who asks from the network of the service itself would else be answered directly, from an
 * address that it never asked.
 */
import { bitsOf, type Family, formatAddress, formatPrefix, networkOf, parseAddress } from "../model/address.js";
import type { NftRule, NftStatement, NftTable } from "../model/nft.js";
import { addressesOf, type Draft, type DraftAddress, type DraftNode, findNode } from "./draft.js";
import type { NatForm } from "./form/filter.js";
import { addressMatches, equal, interfaceMatches, protocolNumbers, type RuleContext } from "./match.js";
import { parseHostPort, parseService } from "./notation.js";
import type { Path } from "./problem.js";

interface NatRules {
  readonly prerouting: NftRule[];
  readonly output: NftRule[];
  readonly postrouting: NftRule[];
}

const counter: NftStatement = { kind: "counter", packets: 0, bytes: 0 };

/** The table, or undefined for a node without NAT. */
export function lowerNat(draft: Draft, node: DraftNode): NftTable | undefined {
  const forms = node.form.nat ?? [];
  if (forms.length === 0) return undefined;
  const rules: NatRules = { prerouting: [], output: [], postrouting: [] };
  const published = new Map<string, Path>();
  for (const [index, form] of forms.entries()) {
    const context: RuleContext = { draft, node, at: [...node.at, "nat", index] };
    if (form.action === "publish") checkTwice(context, form, published);
    lower(context, form, rules);
  }
  const hooks = { prerouting: -100, output: -100, postrouting: 100 } as const;
  return {
    family: "inet",
    name: "yapc_nat",
    chains: (["prerouting", "output", "postrouting"] as const)
      .filter((hook) => rules[hook].length > 0)
      .map((hook) => ({
        name: hook,
        hook: { type: "nat", hook, priority: hooks[hook], policy: "accept" },
        rules: rules[hook],
      })),
  };
}

function checkTwice(
  { draft, at }: RuleContext,
  form: NatForm & { action: "publish" },
  published: Map<string, Path>,
): void {
  const protocol = parseService(form.to)?.protocol ?? "tcp";
  const key = `${protocol}/${form.port} ${form.address ?? ""}`;
  if (published.has(key)) {
    draft.document.error([...at, "port"], `the port ${protocol}/${form.port} is published twice`, {
      code: "duplicate",
    });
  }
  published.set(key, at);
}

function lower(context: RuleContext, form: NatForm, rules: NatRules): void {
  switch (form.action) {
    case "publish":
      lowerPublish(context, form, rules);
      return;
    case "masquerade":
    case "snat":
      lowerSource(context, form, rules);
      return;
    case "dnat":
      lowerDestination(context, form, rules);
      return;
    case "redirect":
      rules.prerouting.push(
        rule(form.comment, [
          ...interfaceMatches(context, form),
          equal("l4proto", protocolNumbers[form.protocol ?? "tcp"]),
          equal("th dport", Number(form.port)),
          counter,
          { kind: "redirect", port: Number(form.toPort) },
        ]),
      );
  }
}

function rule(comment: string | undefined, statements: readonly NftStatement[]): NftRule {
  return { statements, ...(comment === undefined ? {} : { comment }) };
}

function familyMatch(family: Family): NftStatement {
  return equal("nfproto", family === 4 ? "ipv4" : "ipv6");
}

function lowerPublish(context: RuleContext, form: NatForm & { action: "publish" }, rules: NatRules): void {
  const service = parseService(form.to);
  const only = form.address === undefined ? undefined : parseAddress(form.address);
  if (service?.port === undefined || service.protocol === "icmp") return; // the form was checked
  const { protocol, port } = service;
  const transport = [equal("l4proto", protocolNumbers[protocol])];
  for (const target of targetsOf(context, service.host, "to")) {
    const { family } = target.address;
    if (only && only.family !== family) continue;
    const ip = family === 4 ? "ip" : "ip6";
    const to = formatAddress(target.address);
    const dnat = [
      ...transport,
      equal("th dport", Number(form.port)),
      counter,
      { kind: "dnat", family, address: to, port } as const,
    ];
    const local = only
      ? [equal(`${ip} daddr`, formatAddress(only))]
      : [equal("fib daddr type", "local"), familyMatch(family)];
    rules.prerouting.push(rule(form.comment, [...local, ...dnat]));
    // ::1 never leaves its host: IPv6 has no route_localnet.
    const notLoopback: NftStatement[] =
      family === 6 ? [{ kind: "match", field: "ip6 daddr", op: "!=", value: "::1" }] : [];
    rules.output.push(rule(form.comment, [...local, ...notLoopback, ...dnat]));
    // As the kernel tells of it: of a lone address without its length.
    const alone = target.length === bitsOf(family);
    const network = alone ? to : formatPrefix(networkOf(target.address, target.length));
    rules.postrouting.push(
      rule(undefined, [
        equal("ct status", "dnat"),
        equal(`${ip} saddr`, family === 4 ? ["127.0.0.0/8", network] : network),
        equal(`${ip} daddr`, to),
        ...transport,
        equal("th dport", port),
        counter,
        { kind: "masquerade" },
      ]),
    );
  }
}

function lowerSource(context: RuleContext, form: NatForm & { action: "masquerade" | "snat" }, rules: NatRules): void {
  const source = form.action === "snat" ? parseAddress(form.source) : undefined;
  for (const { family, statements } of addressMatches(context, form)) {
    if (source && family !== undefined && family !== source.family) continue;
    const change: NftStatement = source
      ? { kind: "snat", family: source.family, address: formatAddress(source) }
      : { kind: "masquerade" };
    const needsFamily = source && family === undefined ? [familyMatch(source.family)] : [];
    const out = interfaceMatches(context, { out: form.out });
    rules.postrouting.push(rule(form.comment, [...needsFamily, ...statements, ...out, counter, change]));
  }
}

function lowerDestination(context: RuleContext, form: NatForm & { action: "dnat" }, rules: NatRules): void {
  const { draft, at } = context;
  const to = parseHostPort(form.to);
  if (!to) {
    draft.document.error([...at, "to"], `${JSON.stringify(form.to)} is not HOST or HOST:PORT`, { code: "form" });
    return;
  }
  const only = form.address === undefined ? undefined : parseAddress(form.address);
  const { host, port } = to;
  if (form.protocol === undefined && (port !== undefined || form.port !== undefined)) {
    draft.document.error(at, `a port needs a "protocol": tcp or udp`, { code: "missing" });
    return;
  }
  for (const target of targetsOf(context, host, "to")) {
    const { family } = target.address;
    if (only && only.family !== family) continue;
    rules.prerouting.push(
      rule(form.comment, [
        ...interfaceMatches(context, form),
        only ? equal(family === 4 ? "ip daddr" : "ip6 daddr", formatAddress(only)) : familyMatch(family),
        ...(form.protocol ? [equal("l4proto", protocolNumbers[form.protocol])] : []),
        ...(form.port === undefined ? [] : [equal("th dport", Number(form.port))]),
        counter,
        { kind: "dnat", family, address: formatAddress(target.address), ...(port === undefined ? {} : { port }) },
      ]),
    );
  }
}

/** An address as it is; of a node, for each family, the one that shares a network with this node, else its first. */
function targetsOf({ draft, node, at }: RuleContext, host: string, key: string): DraftAddress[] {
  const literal = parseAddress(host);
  if (literal) {
    const near = addressesOf(node, literal.family).find(
      ({ address, length }) => networkOf(address, length).value === networkOf(literal, length).value,
    );
    return [{ address: literal, length: near?.length ?? (literal.family === 4 ? 32 : 128), at }];
  }
  const target = findNode(draft, host, [...at, key]);
  if (!target) return [];
  const found = ([4, 6] as const).flatMap((family) => nearestAddress(node, target, family) ?? []);
  if (found.length === 0) {
    draft.document.error([...at, key], `the node "${host}" has no address`, { code: "missing" });
  }
  return found;
}

/** The address by which one node knows another: of a network that they share, else the first. */
export function nearestAddress(from: DraftNode, to: DraftNode, family: Family): DraftAddress | undefined {
  const own = addressesOf(from, family);
  const theirs = addressesOf(to, family);
  const shared = theirs.find(({ address, length }) =>
    own.some(
      (mine) => mine.length === length && networkOf(mine.address, length).value === networkOf(address, length).value,
    ),
  );
  return shared ?? theirs[0];
}
