import type { Request } from "../kernel/index.js";

/** A request and the node in whose namespace it is to be made. */
export interface NodeRequest {
  readonly node: string;
  readonly request: Request<unknown>;
  /** Needs what the first requests of the same kind made, perhaps from another node's socket. */
  readonly later?: true;
}
