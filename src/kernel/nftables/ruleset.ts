/** The ruleset, read as a whole. */
import type { NftChain, NftFamily, NftRule, NftTable } from "../../model/nft.js";
import type { NetlinkClient } from "../client.js";
import type { Codec, Headed } from "../codec/index.js";
import { DumpInterruptedError, NetlinkError } from "../errors.js";
import { NETLINK_NETFILTER, NLM_F_DUMP } from "../framing.js";
import { type Request, request } from "../request.js";
import { compatComment } from "./compat.js";
import * as k from "./constants.js";
import { decompileRule } from "./decompile.js";
import type { SetContents } from "./decompile-match.js";
import {
  type ChainMessage,
  type RuleMessage,
  chainMessage,
  generationMessage,
  nfgenmsg,
  ruleMessage,
  setElementsMessage,
  setMessage,
  tableMessage,
} from "./messages.js";
import { readComment } from "./userdata.js";

/** The number that every change of the ruleset counts up. */
export function generation(): Request<number> {
  return request({
    protocol: NETLINK_NETFILTER,
    type: k.NFT_MSG_GETGEN,
    flags: 0,
    reads: true,
    schema: generationMessage,
    value: { header: nfgenmsg.zero, attributes: {} },
    operation: "nftables.generation",
    reply: generationMessage,
    item: ({ attributes }) => attributes.id,
    result: ([id]) => id ?? 0,
  });
}

const READ_ATTEMPTS = 10;

/**
 * The whole ruleset: every table, its chains in the order of their making, their rules with handles and counters.
 * Several dumps, all done again where the ruleset changed between them, up to ten times. Throws `DumpInterruptedError`
 * where it never stood still: its `partial` are the tables as the last attempt found them.
 */
export function readTables(client: NetlinkClient): NftTable[] {
  for (let attempt = 1; ; attempt++) {
    const before = client.execute(generation());
    const tables = readOnce(client);
    if (client.execute(generation()) === before) return tables;
    if (attempt === READ_ATTEMPTS) throw new DumpInterruptedError({ operation: "nftables.read" }, attempt, tables);
  }
}

/** What `readTables` asks for; the elements of one set at a time. */
export const dumps = {
  tables: () => dump(k.NFT_MSG_GETTABLE, "table.list", tableMessage, {}),
  chains: () => dump(k.NFT_MSG_GETCHAIN, "chain.list", chainMessage, {}),
  rules: () => dump(k.NFT_MSG_GETRULE, "rule.list", ruleMessage, {}),
  sets: () => dump(k.NFT_MSG_GETSET, "set.list", setMessage, {}),
  elements: (family: number, table: string, set: string) =>
    dump(k.NFT_MSG_GETSETELEM, "set.elements", setElementsMessage, { table, set }, family),
} as const;

function readOnce(client: NetlinkClient): NftTable[] {
  const names = client.execute(dumps.tables());
  const chains = client.execute(dumps.chains());
  const rules = client.execute(dumps.rules());
  const lookups = new Set(rules.flatMap(setsOf));
  const sets = lookups.size === 0 ? [] : client.execute(dumps.sets());
  return names.flatMap(({ header, attributes: { name = "", userdata } }) => {
    const family = familyName(header.family);
    if (family === undefined) return [];
    const inside = (message: { header: { family: number }; attributes: { table?: string | undefined } }) =>
      message.header.family === header.family && message.attributes.table === name;
    const contents = new Map<string, SetContents>();
    for (const { attributes: set } of sets.filter(inside)) {
      const { name: setName = "", flags = 0 } = set;
      if (lookups.has(`${header.family} ${name} ${setName}`)) {
        contents.set(setName, { flags, elements: readElements(client, header.family, name, setName) });
      }
    }
    const ownRules = rules.filter(inside);
    const comment = userdata === undefined ? undefined : readComment(userdata);
    return [
      {
        family,
        name,
        ...(comment === undefined ? {} : { comment }),
        chains: chains.filter(inside).map((chain) => toChain(family, chain, ownRules, contents)),
      },
    ];
  });
}

function setsOf({ header, attributes: { table = "", expressions = [] } }: RuleMessage): string[] {
  return expressions.flatMap(({ data }) =>
    data?.lookup?.set === undefined ? [] : [`${header.family} ${table} ${data.lookup.set}`],
  );
}

function readElements(client: NetlinkClient, family: number, table: string, set: string) {
  try {
    return client.execute(dumps.elements(family, table, set)).flatMap(({ attributes }) => attributes.elements ?? []);
  } catch (error) {
    // Gone since the sets were listed: the generation has changed, too, and all is read again.
    if (error instanceof NetlinkError && error.code === "ENOENT") return [];
    throw error;
  }
}

function dump<A>(
  type: number,
  operation: string,
  schema: Codec<Headed<typeof nfgenmsg.zero, A>>,
  attributes: A,
  family = 0,
): Request<Headed<typeof nfgenmsg.zero, A>[]> {
  return request({
    protocol: NETLINK_NETFILTER,
    type,
    flags: NLM_F_DUMP,
    reads: true,
    schema,
    value: { header: { ...nfgenmsg.zero, family }, attributes },
    operation,
    reply: schema,
    item: (message) => message,
    result: (all) => all,
  });
}

function toChain(
  family: NftFamily,
  { attributes: { name = "", hook, type, policy }, header }: ChainMessage,
  rules: readonly RuleMessage[],
  sets: ReadonlyMap<string, SetContents>,
): NftChain {
  const hookName = hook === undefined ? undefined : nameOfHook(header.family, hook.number ?? 0);
  return {
    name,
    ...(hook === undefined || hookName === undefined
      ? {}
      : {
          hook: {
            type: type === "nat" || type === "route" ? type : "filter",
            hook: hookName,
            priority: hook.priority ?? 0,
            policy: policy === k.NF_DROP ? ("drop" as const) : ("accept" as const),
          },
        }),
    rules: rules.filter(({ attributes }) => attributes.chain === name).map((rule) => toRule(family, rule, sets)),
  };
}

export function toRule(
  family: NftFamily,
  { attributes: a }: RuleMessage,
  sets?: ReadonlyMap<string, SetContents>,
): NftRule {
  const expressions = a.expressions ?? [];
  const comment = (a.userdata === undefined ? undefined : readComment(a.userdata)) ?? compatComment(expressions);
  return {
    ...(a.handle === undefined ? {} : { handle: a.handle }),
    statements: decompileRule(family, expressions, sets),
    ...(comment === undefined ? {} : { comment }),
  };
}

export function familyName(number: number): NftFamily | undefined {
  return (Object.keys(k.families) as NftFamily[]).find((name) => k.families[name] === number);
}

function nameOfHook(family: number, number: number): keyof typeof k.hooks | undefined {
  if (family === k.families.netdev) return "ingress";
  return (Object.keys(k.hooks) as (keyof typeof k.hooks)[]).find((name) => k.hooks[name] === number);
}
