/** Connection tracking (ctnetlink): flows listed, deleted, listened to. */
export * as flows from "./flows.js";
export { listenFlows, type FlowEvent } from "./listen.js";
export { statusBits, type Flow, type FlowEventKind, type FlowFilter, type TupleFilter } from "./flows.js";
