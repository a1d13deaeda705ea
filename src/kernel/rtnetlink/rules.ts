/** Policy rules: what `ip rule` shows and does. */
import { ipFamily } from "../codec/index.js";
import { NETLINK_ROUTE, NLM_F_ACK, NLM_F_DUMP } from "../framing.js";
import { type Request, request } from "../request.js";
import * as k from "./constants.js";
import { type RuleMessage, fibRuleHeader, ruleMessage } from "./messages.js";

export type RuleAction = keyof typeof k.ruleActions;

export interface PolicyRule {
  readonly family: 4 | 6;
  readonly priority: number;
  /** With prefix length. */
  readonly source?: string | undefined;
  readonly destination?: string | undefined;
  readonly inputInterface?: string | undefined;
  readonly outputInterface?: string | undefined;
  readonly mark?: number | undefined;
  readonly mask?: number | undefined;
  readonly action: RuleAction;
  /** Looks in the table of the vrf that the packet's interface belongs to; made by the kernel with the first vrf. */
  readonly l3mdev?: boolean | undefined;
  readonly table?: number | undefined;
  readonly goto?: number | undefined;
  readonly suppressPrefixLength?: number | undefined;
}

export function list(family?: 4 | 6): Request<PolicyRule[]> {
  return request({
    protocol: NETLINK_ROUTE,
    type: k.RTM_GETRULE,
    flags: NLM_F_DUMP,
    reads: true,
    schema: ruleMessage,
    value: {
      header: { ...fibRuleHeader.zero, family: family === undefined ? k.AF_UNSPEC : k.addressFamily(family) },
      attributes: {},
    },
    operation: "rule.list",
    reply: ruleMessage,
    item: toRule,
    result: (all) => all,
  });
}

/** Throws EEXIST where there is such a rule. */
export function add(rule: PolicyRule): Request<void> {
  return change("rule.add", k.RTM_NEWRULE, k.verbs.add, rule);
}

/** Throws ENOENT where there is no such rule. */
export function remove(rule: PolicyRule): Request<void> {
  return change("rule.remove", k.RTM_DELRULE, NLM_F_ACK, rule);
}

function change(operation: string, type: number, flags: number, rule: PolicyRule): Request<void> {
  const [source, sourceLength] = prefixOf(rule.source);
  const [destination, destinationLength] = prefixOf(rule.destination);
  const { priority, inputInterface, outputInterface, mark, mask, table = 0, goto, suppressPrefixLength, l3mdev } = rule;
  return request({
    protocol: NETLINK_ROUTE,
    type,
    flags,
    schema: ruleMessage,
    value: {
      header: {
        ...fibRuleHeader.zero,
        family: k.addressFamily(rule.family),
        sourceLength,
        destinationLength,
        table: table > 255 ? 0 : table,
        action: k.ruleActions[rule.action],
      },
      attributes: {
        destination,
        source,
        inputInterface,
        outputInterface,
        goto,
        priority,
        mark,
        mask,
        suppressPrefixLength,
        table: table > 255 ? table : undefined,
        l3mdev,
      },
    },
    operation,
    object: String(priority),
    result: () => undefined,
  });
}

function prefixOf(text: string | undefined): [address: string | undefined, length: number] {
  if (text === undefined) return [undefined, 0];
  const [address = "", length] = text.split("/");
  return [address, length === undefined ? (ipFamily(address) === 4 ? 32 : 128) : Number(length)];
}

/** @returns undefined for a rule of another family */
export function toRule({ header, attributes: a }: RuleMessage): PolicyRule | undefined {
  if (header.family !== k.AF_INET && header.family !== k.AF_INET6) return undefined;
  const action = Object.entries(k.ruleActions).find(([, number]) => number === header.action)?.[0] ?? "nop";
  const table = a.table ?? header.table;
  return {
    family: header.family === k.AF_INET ? 4 : 6,
    priority: a.priority ?? 0,
    source: a.source === undefined ? undefined : `${a.source}/${header.sourceLength}`,
    destination: a.destination === undefined ? undefined : `${a.destination}/${header.destinationLength}`,
    inputInterface: a.inputInterface,
    outputInterface: a.outputInterface,
    mark: a.mark,
    mask: a.mask,
    action: action as RuleAction, // a key of that very table
    table: table === 0 ? undefined : table,
    goto: a.goto,
    ...(a.l3mdev === true ? { l3mdev: true } : {}),
    // -1: none.
    suppressPrefixLength: a.suppressPrefixLength === -1 ? undefined : a.suppressPrefixLength,
  };
}
