/** Schemas of the nf_tables messages (linux/netfilter/nf_tables.h). All numbers big-endian. */
import {
  type Infer,
  attributes,
  be16,
  be32,
  beCount64,
  bes32,
  bytes,
  cstr,
  headed,
  list,
  multi,
  struct,
  u8,
} from "../codec/index.js";
import { data, expression, verdict } from "./expressions.js";

const NFTA_LIST_ELEM = 1;

export const nfgenmsg = struct(4, { family: [0, u8], version: [1, u8], resource: [2, be16] });

/** NFTA_TABLE_*. */
export const tableMessage = headed(
  nfgenmsg,
  attributes({
    name: [1, cstr],
    flags: [2, be32],
    use: [3, be32],
    handle: [4, beCount64],
    userdata: [6, bytes],
    owner: [7, be32],
  }),
);

/** NFTA_HOOK_*. */
const hook = attributes({
  number: [1, be32],
  priority: [2, bes32],
  device: [3, cstr],
  devices: [4, attributes({ names: [1, multi(cstr)] })],
});

/** NFTA_CHAIN_*. */
export const chainMessage = headed(
  nfgenmsg,
  attributes({
    table: [1, cstr],
    handle: [2, beCount64],
    name: [3, cstr],
    type: [7, cstr],
    policy: [5, be32],
    hook: [4, hook],
    use: [6, be32],
    flags: [10, be32],
    id: [11, be32],
    userdata: [12, bytes],
  }),
);

/** NFTA_RULE_*. */
export const ruleMessage = headed(
  nfgenmsg,
  attributes({
    table: [1, cstr],
    chain: [2, cstr],
    handle: [3, beCount64],
    expressions: [4, list(NFTA_LIST_ELEM, expression)],
    compat: [5, bytes],
    position: [6, beCount64],
    userdata: [7, bytes],
    id: [9, be32],
  }),
);

/** NFTA_SET_*. */
export const setMessage = headed(
  nfgenmsg,
  attributes({
    table: [1, cstr],
    name: [2, cstr],
    flags: [3, be32],
    keyType: [4, be32],
    keyLength: [5, be32],
    dataType: [6, be32],
    dataLength: [7, be32],
    id: [10, be32],
    description: [9, attributes({ size: [1, be32] })],
    userdata: [13, bytes],
    handle: [16, beCount64],
  }),
);

/** NFTA_SET_ELEM_*. */
export const setElement = attributes({
  flags: [3, be32],
  key: [1, data],
  data: [2, data],
  keyEnd: [10, data],
});
export type SetElement = Infer<typeof setElement>;

/** NFTA_SET_ELEM_LIST_*. */
export const setElementsMessage = headed(
  nfgenmsg,
  attributes({
    table: [1, cstr],
    set: [2, cstr],
    setId: [4, be32],
    elements: [3, list(NFTA_LIST_ELEM, setElement)],
  }),
);

/** NFTA_GEN_*. */
export const generationMessage = headed(
  nfgenmsg,
  attributes({ id: [1, be32], processId: [2, be32], processName: [3, cstr] }),
);

/** NFNL_BATCH_*. */
export const batchMessage = headed(nfgenmsg, attributes({ generation: [1, be32] }));

/** NFTA_TRACE_*; the last four are younger than Linux 6.15. */
export const traceMessage = headed(
  nfgenmsg,
  attributes({
    table: [1, cstr],
    chain: [2, cstr],
    ruleHandle: [3, beCount64],
    type: [4, be32],
    verdict: [5, verdict],
    id: [6, be32],
    linkHeader: [7, bytes],
    networkHeader: [8, bytes],
    transportHeader: [9, bytes],
    inputIndex: [10, be32],
    inputType: [11, be16],
    outputIndex: [12, be32],
    outputType: [13, be16],
    mark: [14, be32],
    protocolFamily: [15, be32],
    policy: [16, be32],
    conntrackId: [18, be32],
    conntrackDirection: [19, u8],
    conntrackStatus: [20, be32],
    conntrackState: [21, be32],
  }),
);

export type TableMessage = Infer<typeof tableMessage>;
export type ChainMessage = Infer<typeof chainMessage>;
export type RuleMessage = Infer<typeof ruleMessage>;
export type TraceMessage = Infer<typeof traceMessage>;
