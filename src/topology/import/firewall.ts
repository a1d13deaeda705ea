/** Filter rules of a node, whatever wrote them, as the `firewall` of a topology file. */
import { icmpTypes, icmpv6Types } from "../../model/icmp.js";
import type { NftField, NftStatement, NftValue } from "../../model/nft.js";
import type { ChainForm, FirewallForm, RuleForm } from "../form/filter.js";
import { protocolNumbers } from "../match.js";
import type { FlatChain, FlatRule } from "./flatten.js";
import { type ImportedNode, interfacesMeant } from "./node.js";

const hooks = ["input", "forward", "output"] as const;

export function importFirewall(node: ImportedNode, chains: readonly FlatChain[]): FirewallForm | undefined {
  const firewall: { -readonly [Hook in keyof FirewallForm]: FirewallForm[Hook] } = {};
  for (const hook of hooks) {
    const here = chains.filter((chain) => chain.hook.type === "filter" && chain.hook.hook === hook);
    const form = importHook(node, here);
    if (form !== undefined) firewall[hook] = form;
  }
  return Object.keys(firewall).length === 0 ? undefined : firewall;
}

function importHook(node: ImportedNode, chains: readonly FlatChain[]): ChainForm | undefined {
  // An empty chain that lets everything through is as good as none, unless it is the lab's own.
  const telling = chains.filter(({ rules, hook, place }) => rules.length > 0 || hook.policy === "drop" || isOwn(place));
  if (telling.length === 0) return undefined;
  const families = new Set(telling.map(({ family }) => family));
  for (const family of [4, 6] as const) {
    const judges = telling.filter((chain) => chain.family === undefined || chain.family === family);
    if (judges.length > 1)
      node.notes.push(
        `${judges.map(({ place }) => place).join(" and ")} judge the same packets one after the other; the file has one ` +
          `list, in which the first verdict decides`,
      );
    if (families.size === 1 && families.has(undefined)) break;
  }
  for (const chain of telling) node.notes.push(...chain.notes);
  const rules = telling.flatMap((chain) => chain.rules.flatMap((rule) => importRule(node, rule)));
  const drops = telling.filter(({ hook }) => hook.policy === "drop");
  const policy = drops.length > 0 ? "drop" : "accept";
  // A policy of one family must not become that of the other.
  const dropped = new Set(drops.map(({ family }) => family));
  const spared =
    drops.length === 0 || dropped.has(undefined) ? [] : ([4, 6] as const).filter((each) => !dropped.has(each));
  const exceptions = spared.map((family): RuleForm => ({ action: "accept", from: everything(family) }));
  return { policy, rules: [...rules, ...exceptions] };
}

function isOwn(place: string): boolean {
  return place.startsWith("inet yapc_filter ");
}

function everything(family: 4 | 6): string {
  return family === 4 ? "0.0.0.0/0" : "::/0";
}

/** So many rules may one become that names an interface by what it is not. */
const mostCopies = 64;

function importRule(node: ImportedNode, rule: FlatRule): RuleForm[] {
  const cannot = (why: string): RuleForm[] => {
    node.notes.push(`${rule.place}: ${why}`);
    return [];
  };
  const verdict = rule.actions.find(({ kind }) => kind === "accept" || kind === "drop" || kind === "reject");
  const log = rule.actions.find((each) => each.kind === "log");
  const other = rule.actions.find(({ kind }) => !carried.has(kind));
  if (other !== undefined) return cannot(`'${other.kind}' cannot be said in a firewall rule`);
  if (verdict === undefined && log === undefined) return []; // it only counts
  if (rule.conditions.beyond.length > 0)
    return cannot(`'${rule.conditions.beyond.join(" ")}' cannot be said in a rule`);
  const matched = importMatches(rule);
  if (typeof matched === "string") return cannot(matched);
  const ins = interfacesMeant(node, rule.conditions.in);
  const outs = interfacesMeant(node, rule.conditions.out);
  if (ins?.length === 0 || outs?.length === 0) return cannot("none of the interfaces that it names is in the file");
  const pairs = (ins ?? [undefined]).flatMap((one) => (outs ?? [undefined]).map((other) => [one, other] as const));
  if (pairs.length > mostCopies)
    return cannot(`it would become ${pairs.length} rules, one for each pair of interfaces`);
  const action = actionOf(verdict);
  if (action === undefined) return cannot("its kind of reject cannot be said");
  const limit = rule.actions.find((each) => each.kind === "limit");
  const comment = rule.comment === undefined || rule.comment.length > 100 ? undefined : rule.comment;
  return pairs.map(([incoming, outgoing]) => ({
    ...(verdict === undefined ? { action: "log" as const } : action),
    ...(incoming === undefined ? {} : { in: incoming }),
    ...(outgoing === undefined ? {} : { out: outgoing }),
    ...matched,
    ...(limit === undefined ? {} : { limit: `${limit.rate}/${limit.per}` }),
    ...(log === undefined || (verdict === undefined && log.prefix === undefined) ? {} : { log: log.prefix ?? true }),
    ...(rule.actions.some(({ kind }) => kind === "counter") ? {} : { counter: false }),
    ...(comment === undefined ? {} : { comment }),
  }));
}

const carried: ReadonlySet<NftStatement["kind"]> = new Set([
  "accept",
  "drop",
  "reject",
  "log",
  "limit",
  "counter",
  "continue",
]);

/** Codes of ICMP and ICMPv6 (linux/icmp.h, icmpv6.h) and of NFT_REJECT_ICMPX. */
const rejections: Readonly<Record<string, Readonly<Record<number, NonNullable<RuleForm["with"]>>>>> = {
  icmpx: { 0: "net-unreachable", 1: "port-unreachable", 2: "host-unreachable", 3: "admin-prohibited" },
  icmp: {
    0: "net-unreachable",
    1: "host-unreachable",
    3: "port-unreachable",
    9: "admin-prohibited",
    10: "admin-prohibited",
    13: "admin-prohibited",
  },
  icmpv6: { 0: "net-unreachable", 1: "admin-prohibited", 3: "host-unreachable", 4: "port-unreachable" },
};

function actionOf(verdict: NftStatement | undefined): Pick<RuleForm, "action" | "with"> | undefined {
  if (verdict?.kind !== "reject") return { action: verdict?.kind === "accept" ? "accept" : "drop" };
  // Each kind's own default is "port unreachable".
  const code = verdict.code === undefined ? "port-unreachable" : rejections[verdict.with]?.[verdict.code];
  const said = verdict.with === "tcp reset" ? "tcp-reset" : code;
  if (said === undefined) return undefined;
  return said === "port-unreachable" ? { action: "reject" } : { action: "reject", with: said };
}

/** @returns the words of the file, or what of the conditions has none */
export function importMatches({ conditions }: FlatRule): Partial<RuleForm> | string {
  const form: { -readonly [Key in keyof RuleForm]?: RuleForm[Key] } = {};
  for (const [field, value] of conditions.equal) {
    const wrong = addMatch(form, field, value);
    if (wrong !== undefined) return wrong;
  }
  const { family } = conditions;
  if (form.type !== undefined && form.protocol === undefined)
    form.protocol = conditions.equal.has("icmp type") ? "icmp" : "icmpv6";
  if (form.protocol === "icmp" || form.protocol === "icmpv6" || form.from !== undefined || form.to !== undefined)
    return form;
  return family === undefined ? form : { from: everything(family), ...form };
}

function addMatch(
  form: { -readonly [Key in keyof RuleForm]?: RuleForm[Key] },
  field: NftField,
  value: NftValue,
): string | undefined {
  switch (field) {
    case "ip saddr":
    case "ip6 saddr":
    case "ip daddr":
    case "ip6 daddr": {
      const parties = addressList(value);
      if (parties === undefined) return `'${field}' is a range of addresses, and the file has networks`;
      form[field.endsWith("saddr") ? "from" : "to"] = parties;
      return undefined;
    }
    case "l4proto":
      if (typeof value !== "number") return "it asks for several protocols at once";
      form.protocol = protocolWord(value);
      return undefined;
    case "th sport":
    case "th dport":
      form[field === "th sport" ? "sport" : "dport"] = portList(value);
      return undefined;
    case "ct state":
      form.state = stateList(value);
      return undefined;
    case "mark":
      if (typeof value !== "number") return "it asks for several marks";
      form.mark = value;
      return undefined;
    case "icmp type":
    case "icmpv6 type": {
      const words = icmpWords(value, field === "icmp type" ? icmpTypes : icmpv6Types);
      if (words === undefined) return `'${field}' is one that the file has no word for`;
      form.type = words;
      return undefined;
    }
    default:
      return `'${field}' cannot be said in a firewall rule`;
  }
}

function listed(value: NftValue): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}

function alone<T>(values: readonly T[]): T | T[] {
  const [first] = values;
  return values.length === 1 && first !== undefined ? first : [...values];
}

export function addressList(value: NftValue): string | string[] | undefined {
  const texts = listed(value);
  return texts.every((each) => typeof each === "string") ? alone(texts) : undefined;
}

function portList(value: NftValue): NonNullable<RuleForm["dport"]> {
  return alone(
    listed(value).map((each) =>
      typeof each === "object" && each !== null && "from" in each && "to" in each
        ? `${String(each.from)}-${String(each.to)}`
        : Number(each),
    ),
  );
}

type State = Extract<NonNullable<RuleForm["state"]>, string>;

function stateList(value: NftValue): State | State[] {
  // A ct state is one of these words: the kernel layer reads no others.
  return alone(listed(value).map((each) => String(each) as State));
}

type IcmpType = Extract<NonNullable<RuleForm["type"]>, string>;

function icmpWords(value: NftValue, known: Readonly<Record<string, number>>): IcmpType | IcmpType[] | undefined {
  const words = listed(value).map((number) => Object.keys(known).find((word) => known[word] === number));
  return words.every((word) => word !== undefined) ? alone(words as IcmpType[]) : undefined; // keys of that very table
}

export function protocolWord(number: number): NonNullable<RuleForm["protocol"]> {
  const words = Object.keys(protocolNumbers) as (keyof typeof protocolNumbers)[];
  return words.find((word) => protocolNumbers[word] === number) ?? number;
}
