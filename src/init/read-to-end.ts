import { createReadStream } from "node:fs";
import { text } from "node:stream/consumers";

/** The whole text of a descriptor, which is closed. For files of /proc, whose size says nothing. */
export function readToEnd(fd: number): Promise<string> {
  return text(createReadStream("", { fd, autoClose: true }));
}
