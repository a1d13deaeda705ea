import { NetlinkError, UnsupportedError } from "../kernel/index.js";
import { Failure } from "../model/failure.js";
import { describeBody } from "../plan/describe.js";
import type { OperationBody } from "../plan/operation.js";

/** What the kernel said about an operation of a plan, for people: which one it was, and the errno as its code. */
export function operationFailure(operation: OperationBody, error: unknown): Failure {
  if (error instanceof Failure) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const kind = error instanceof UnsupportedError ? "machine" : "kernel";
  return new Failure(kind, `${describeBody(operation)}: ${reason}`, {
    ...(error instanceof NetlinkError ? { code: error.code } : {}),
    cause: error,
  });
}
