/** Failures as a person reads them, and as a program does. */
import { Failure } from "../model/failure.js";
import { noInk, type Ink } from "./ink.js";
import { visible } from "./width.js";

/**
 * What was tried and what went wrong, the errno or code where the message does not name it, and what to do next.
 * Anything that is not a `Failure` is a bug of ours and is printed as one; its stack belongs to `DEBUG` alone.
 */
export function printFailure(error: unknown, options: { readonly ink?: Ink; readonly stack?: boolean } = {}): string {
  const ink = options.ink ?? noInk;
  const code = error instanceof Failure ? error.code : undefined;
  const named = code === undefined || messageOf(error).includes(code) ? "" : ` (${visible(code)})`;
  const said = multiline(messageOf(error));
  // The problems of a topology file each have a place and an "error:" of their own.
  const text = code === "TOPOLOGY" ? `the topology file cannot be used\n${said}` : `${said}${named}`;
  const lines = [`${ink("bad", "error:")} ${text}`];
  if (error instanceof Failure) {
    if (error.hint !== undefined) lines.push(`${ink("accent", "hint:")}  ${multiline(error.hint)}`);
  } else {
    lines.push(
      `${ink("accent", "hint:")}  this is a bug in yapc-net; run it again with DEBUG=1 to see where, and report it`,
    );
  }
  if (options.stack === true && error instanceof Error && error.stack !== undefined)
    lines.push(ink("dim", error.stack));
  return `${lines.join("\n")}\n`;
}

/** A failure as a program reads it. */
export interface FailureBody {
  /** An errno's name, a code of ours, or the kind of failure in capitals. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

export function failureBody(error: unknown): FailureBody {
  const failure = error instanceof Failure ? error : undefined;
  return {
    code: failure === undefined ? "BUG" : (failure.code ?? failure.kind.toUpperCase()),
    message: messageOf(error),
    ...(failure?.hint !== undefined && { hint: failure.hint }),
  };
}

/** The shape of `--json`: one line. */
export function failureJson(error: unknown): string {
  return `${JSON.stringify({ error: failureBody(error) })}\n`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The errors of a topology file come with the line and a caret below it: line ends stay, other controls do not. */
function multiline(text: string): string {
  return text.split("\n").map(visible).join("\n");
}
