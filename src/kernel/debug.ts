/** NLDEBUG=1: every request and reply on stderr, decoded by its schema. */
import { decode, print } from "./codec/index.js";
import { errnoName } from "./errno.js";
import type { Pending } from "./exchange.js";
import type { Message } from "./framing.js";
import type { Request } from "./request.js";

export interface DebugPrinter {
  sent(request: Request<unknown>, sequence: number): void;
  received(request: Request<unknown>, message: Message): void;
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
        `netlink > ${operation} type=${type} flags=0x${flags.toString(16)} seq=${sequence} ${print(decode(schema, body))}`,
      );
    },
    received({ operation, schema }, { type, flags, sequence, input, start, end }) {
      const value = decode(schema, input.bytes.subarray(start, end));
      write(`netlink < ${operation} type=${type} flags=0x${flags.toString(16)} seq=${sequence} ${print(value)}`);
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
