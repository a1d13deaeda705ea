/** nf_tables: tables written in one transaction, the ruleset read back, in the words of nft(8). */
export { replaceTables, type TableOptions, type TableReference } from "./tables.js";
export { generation, readTables } from "./ruleset.js";
export { addChain, addTable, appendRule, removeRule, removeTable, replaceRequests } from "./tables.js";
export { batch } from "./batch.js";
export { compileRule } from "./compile.js";
export { decompileRule } from "./decompile.js";
export { listenTrace, type TraceEvent, type TraceVerdict } from "./trace.js";
export { listenRuleset, type RulesetEvent } from "./ruleset-events.js";
