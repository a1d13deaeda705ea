/** Trace events of the kernel (tracefs), read from a ring of our own. */
export type { EventFormat } from "./format.js";
export { removeInstances, staleInstances, TraceInstance } from "./instance.js";
export { readTracePage } from "./page.js";
