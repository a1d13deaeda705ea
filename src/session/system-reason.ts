/** What the system said of a call of Node's, in the system's words: `no such file or directory`. */
import { getSystemErrorMap } from "node:util";

export function systemReason({ errno, message }: NodeJS.ErrnoException): string {
  return (errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1]) ?? message;
}
