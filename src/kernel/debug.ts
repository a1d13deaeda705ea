/** NLDEBUG=1: every request and reply on stderr, decoded by its schema. */
import { type Codec, MalformedError, decode, print } from "./codec/index.js";
import { errnoName } from "./errno.js";
import type { Pending, Receiver } from "./exchange.js";
import type { Request } from "./request.js";

export interface DebugPrinter {
  sent(request: Request<unknown>, sequence: number): void;
  /** Prints each reply before it is taken. */
  receiver(request: Request<unknown>, inner: Receiver): Receiver;
  settled(request: Request<unknown>, pending: Pending): void;
}

/** @returns undefined unless the variable asks for it, so that nothing is paid for it otherwise */
export function debugPrinter(
  environment: NodeJS.ProcessEnv = process.env,
  write: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): DebugPrinter | undefined {
  const wanted = environment.NLDEBUG;
  if (wanted === undefined || wanted === "" || wanted === "0") return undefined;
  return {
    sent({ operation, type, flags, schema, body }, sequence) {
      write(
        `netlink > ${operation} type=${type} flags=0x${flags.toString(16)} seq=${sequence} ${printed(schema, body)}`,
      );
    },
    receiver({ operation, replySchema }, inner) {
      return {
        take(message) {
          const { type, flags, sequence, input, start, end } = message;
          const value = printed(replySchema, input.bytes.subarray(start, end));
          write(`netlink < ${operation} type=${type} flags=0x${flags.toString(16)} seq=${sequence} ${value}`);
          inner.take(message);
        },
      };
    },
    settled({ operation }, { sequence, report }) {
      if (report === undefined) return;
      const { errno, ...details } = report;
      write(
        `netlink < ${operation} seq=${sequence} ${errno === 0 ? "done" : errnoName(errno)} ${print(details)}`.trimEnd(),
      );
    },
  };
}

/** What cannot be read is shown as it is: looking must not change what happens. */
function printed(schema: Codec<unknown>, bytes: Uint8Array): string {
  try {
    return print(decode(schema, bytes));
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return `${print(bytes)} (${error.message})`;
  }
}
