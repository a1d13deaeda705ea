/** Tables of nf_tables: written in one transaction, read as a whole. */
import type { NftChain, NftFamily, NftRule, NftTable } from "../../model/nft.js";
import type { NetlinkClient } from "../client.js";
import type { Codec, Headed } from "../codec/index.js";
import { NETLINK_NETFILTER, NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP } from "../framing.js";
import { type Request, request } from "../request.js";
import { batch, change } from "./batch.js";
import { ANONYMOUS, type AnonymousSet, compileRule } from "./compile.js";
import { compatComment } from "./compat.js";
import * as k from "./constants.js";
import { type SetContents, decompileRule } from "./decompile.js";
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
import { commentUserdata, readComment, setUserdata } from "./userdata.js";

/** Names a table. */
export interface TableReference {
  readonly family: NftFamily;
  readonly name: string;
}

export interface TableOptions {
  /** The table goes when the socket that made it is closed, and nobody else can change it (NFT_TABLE_F_OWNER). */
  readonly owned?: boolean;
}

/**
 * Makes tables as they are given, in place of any of the same names: one transaction, so no packet meets a half of it.
 * Throws `NetlinkError` where the kernel refuses any part (nothing is changed then), RangeError for a statement that
 * cannot be written.
 * @param absent tables that shall be gone afterwards, whether or not they were there
 */
export function replaceTables(
  client: NetlinkClient,
  tables: readonly NftTable[],
  options: TableOptions & { readonly absent?: readonly TableReference[] } = {},
): void {
  client.transact(batch([...(options.absent ?? []).flatMap(removeTable), ...replaceRequests(tables, options)]));
}

/** The messages of `replaceTables`, without the brackets. */
export function replaceRequests(tables: readonly NftTable[], options: TableOptions = {}): Request<unknown>[] {
  let nextSet = 1;
  return tables.flatMap((table) => {
    const rules = table.chains.flatMap((chain) =>
      chain.rules.flatMap((rule) => {
        const requests = appendRule(table, chain.name, rule, nextSet);
        nextSet += requests.sets;
        return requests.requests;
      }),
    );
    return [
      ...removeTable(table),
      addTable(table, options),
      // Chains first: a rule may jump to any of them.
      ...table.chains.map((chain) => addChain(table, chain)),
      ...rules,
    ];
  });
}

/** Gone, whether or not it was there: made, so that it can be deleted (DESTROYTABLE is younger than our floor). */
export function removeTable(table: TableReference): Request<unknown>[] {
  return [addTable(table), inTable(table, k.NFT_MSG_DELTABLE, 0, "table.remove", tableMessage, { name: table.name })];
}

export function addTable(table: TableReference, options: TableOptions = {}): Request<void> {
  return inTable(table, k.NFT_MSG_NEWTABLE, NLM_F_CREATE, "table.add", tableMessage, {
    name: table.name,
    flags: options.owned === true ? k.NFT_TABLE_F_OWNER : 0,
  });
}

export function addChain(table: TableReference, { name, hook }: Omit<NftChain, "rules">): Request<void> {
  return inTable(
    table,
    k.NFT_MSG_NEWCHAIN,
    NLM_F_CREATE,
    "chain.add",
    chainMessage,
    {
      table: table.name,
      name,
      ...(hook === undefined
        ? {}
        : {
            hook: { number: hookNumber(table.family, hook.hook), priority: hook.priority },
            policy: hook.policy === "accept" ? k.NF_ACCEPT : k.NF_DROP,
            type: hook.type,
          }),
    },
    `${table.name} ${name}`,
  );
}

/**
 * A rule at the end of a chain, with the anonymous sets that it looks in.
 * @param firstSet number for the first of them: unique in the batch
 */
export function appendRule(
  table: TableReference,
  chain: string,
  rule: NftRule,
  firstSet = 1,
): { readonly requests: Request<unknown>[]; readonly sets: number } {
  const { expressions, sets } = compileRule(table.family, rule.statements, firstSet);
  const made = inTable(
    table,
    k.NFT_MSG_NEWRULE,
    NLM_F_CREATE | NLM_F_APPEND,
    "rule.add",
    ruleMessage,
    {
      table: table.name,
      chain,
      expressions,
      userdata: rule.comment === undefined ? undefined : commentUserdata(rule.comment),
    },
    `${table.name} ${chain}${rule.comment === undefined ? "" : ` "${rule.comment}"`}`,
  );
  return { requests: [...sets.flatMap((set) => addSet(table, set)), made], sets: sets.length };
}

export function removeRule(table: TableReference, chain: string, handle: number): Request<void> {
  return inTable(
    table,
    k.NFT_MSG_DELRULE,
    0,
    "rule.remove",
    ruleMessage,
    { table: table.name, chain, handle },
    `${table.name} ${chain} handle ${handle}`,
  );
}

function addSet(table: TableReference, { id, type, interval, elements }: AnonymousSet): Request<unknown>[] {
  return [
    inTable(table, k.NFT_MSG_NEWSET, NLM_F_CREATE, "set.add", setMessage, {
      table: table.name,
      name: ANONYMOUS,
      flags: k.NFT_SET_ANONYMOUS | k.NFT_SET_CONSTANT | (interval ? k.NFT_SET_INTERVAL : 0),
      keyType: type.setType,
      keyLength: type.size,
      id,
      description: interval ? undefined : { size: elements.length },
      userdata: setUserdata(type.byteOrder),
    }),
    inTable(table, k.NFT_MSG_NEWSETELEM, NLM_F_CREATE, "set.addElements", setElementsMessage, {
      table: table.name,
      set: ANONYMOUS,
      setId: id,
      elements,
    }),
  ];
}

function inTable<A>(
  table: TableReference,
  type: number,
  flags: number,
  operation: string,
  schema: Codec<Headed<typeof nfgenmsg.zero, A>>,
  attributes: A,
  object = table.name,
): Request<void> {
  return change({
    type,
    flags,
    family: k.families[table.family],
    schema,
    attributes,
    operation,
    object: `${table.family} ${object}`,
  });
}

function hookNumber(family: NftFamily, hook: keyof typeof k.hooks): number {
  if (hook === "ingress") return family === "inet" ? k.hooks.ingress : 0;
  return k.hooks[hook];
}

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
    result: ([reply]) => reply?.value.attributes.id ?? 0,
  });
}

const READ_ATTEMPTS = 10;

/**
 * The whole ruleset: every table, its chains in the order of their making, their rules with handles and counters.
 * Several dumps, done again where the ruleset changed between them.
 */
export function readTables(client: NetlinkClient): NftTable[] {
  for (let attempt = 1; ; attempt++) {
    const before = client.execute(generation());
    const tables = readOnce(client);
    if (client.execute(generation()) === before || attempt === READ_ATTEMPTS) return tables;
  }
}

function readOnce(client: NetlinkClient): NftTable[] {
  const names = client.execute(dump(k.NFT_MSG_GETTABLE, "table.list", tableMessage, {}));
  const chains = client.execute(dump(k.NFT_MSG_GETCHAIN, "chain.list", chainMessage, {}));
  const rules = client.execute(dump(k.NFT_MSG_GETRULE, "rule.list", ruleMessage, {}));
  const lookups = new Set(rules.flatMap(setsOf));
  const sets = lookups.size === 0 ? [] : client.execute(dump(k.NFT_MSG_GETSET, "set.list", setMessage, {}));
  return names.flatMap(({ header, attributes: { name = "" } }) => {
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
    return [{ family, name, chains: chains.filter(inside).map((chain) => toChain(family, chain, ownRules, contents)) }];
  });
}

function setsOf({ header, attributes: { table = "", expressions = [] } }: RuleMessage): string[] {
  return expressions.flatMap(({ data }) =>
    data?.lookup?.set === undefined ? [] : [`${header.family} ${table} ${data.lookup.set}`],
  );
}

function readElements(client: NetlinkClient, family: number, table: string, set: string) {
  return client
    .execute(dump(k.NFT_MSG_GETSETELEM, "set.elements", setElementsMessage, { table, set }, family))
    .flatMap(({ attributes }) => attributes.elements ?? []);
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
    result: (replies) => replies.map(({ value }) => value),
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
