/** Tables of nf_tables, written in one transaction. */
import type { NftChain, NftFamily, NftRule, NftTable } from "../../model/nft.js";
import type { NetlinkClient } from "../client.js";
import type { Codec, Headed } from "../codec/index.js";
import { NLM_F_APPEND, NLM_F_CREATE } from "../framing.js";
import type { Request } from "../request.js";
import { batch, change } from "./batch.js";
import { ANONYMOUS, type AnonymousSet, compileRule } from "./compile.js";
import * as k from "./constants.js";
import { chainMessage, type nfgenmsg, ruleMessage, setElementsMessage, setMessage, tableMessage } from "./messages.js";
import { commentUserdata, setUserdata } from "./userdata.js";

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
  const { family, name } = table;
  return [
    addTable({ family, name }),
    inTable(table, k.NFT_MSG_DELTABLE, 0, "table.remove", tableMessage, { name: table.name }),
  ];
}

export function addTable(
  table: TableReference & { readonly comment?: string },
  options: TableOptions = {},
): Request<void> {
  return inTable(table, k.NFT_MSG_NEWTABLE, NLM_F_CREATE, "table.add", tableMessage, {
    name: table.name,
    flags: options.owned === true ? k.NFT_TABLE_F_OWNER : 0,
    userdata: table.comment === undefined ? undefined : commentUserdata(table.comment),
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
 * A rule at the end of a chain, or before all that are in it, with the anonymous sets that it looks in.
 * @param firstSet number for the first of them: unique in the batch
 */
export function appendRule(
  table: TableReference,
  chain: string,
  rule: NftRule,
  firstSet = 1,
  place: "start" | "end" = "end",
): { readonly requests: Request<unknown>[]; readonly sets: number } {
  const { expressions, sets } = compileRule(table.family, rule.statements, firstSet);
  const made = inTable(
    table,
    k.NFT_MSG_NEWRULE,
    place === "end" ? NLM_F_CREATE | NLM_F_APPEND : NLM_F_CREATE,
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
