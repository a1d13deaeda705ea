/**
 * Errors that a person reads. Every failure that yapc-net foresees is a `Failure`: what was tried, on what, where,
 * what the kernel said, what to do next. Commands print it in one place and leave with its exit code; anything else
 * that is thrown is a bug, and says so.
 */

/** Exit codes of the design: what kind of failure it is decides what the shell sees. */
export const exitCodes = {
  /** An expectation did not hold. */
  expectation: 1,
  /** Wrong usage, or a bad file. */
  usage: 2,
  /** The machine lacks something: a program, a kernel feature, a right. */
  machine: 3,
  /** The kernel refused an operation. */
  kernel: 4,
  /** Ours, where the exit code belongs to the command that was run (`exec`, `run`, `shell`, `trace -- CMD`). */
  own: 125,
  /** Something that nobody foresaw (EX_SOFTWARE of sysexits.h). */
  bug: 70,
  interrupted: 130,
} as const;

export type FailureKind = "expectation" | "usage" | "machine" | "kernel" | "interrupted";

export interface FailureDetails {
  /** What to do next: one line, often a command. */
  readonly hint?: string;
  /** errno name or a code of ours: `EEXIST`, `ENOENT`, `NO_LAB`. */
  readonly code?: string;
  readonly cause?: unknown;
  /** Instead of 125: 127 for a command that is not there, 126 for one that may not be run, 3 where --strict asked for it. */
  readonly status?: 3 | 126 | 127;
}

export class Failure extends Error {
  override readonly name = "Failure";
  readonly kind: FailureKind;
  readonly hint: string | undefined;
  readonly code: string | undefined;
  readonly status: 3 | 126 | 127 | undefined;

  /** @param message one sentence without a full stop: what was tried, on which object, in which node, what went wrong */
  constructor(kind: FailureKind, message: string, details: FailureDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.hint = details.hint;
    this.code = details.code;
    this.status = details.status;
  }
}

/** What the file system refused, with the reason in words. @param tried such as `write out.html` */
export function fileFailure(tried: string, error: unknown, hint?: string): Failure {
  const text = error instanceof Error ? error.message : String(error);
  // Node: "ENOENT: no such file or directory, open '/x'"
  const [, code, reason = text] = /^([A-Z]\w+): ([^,]+),/.exec(text) ?? [];
  return new Failure("usage", `cannot ${tried}: ${reason}`, {
    cause: error,
    ...(code === undefined ? {} : { code }),
    ...(hint === undefined ? {} : { hint }),
  });
}
