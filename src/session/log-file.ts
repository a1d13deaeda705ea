/** A log that init writes: a line of output each, behind its time and the stream's name. */
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";

export interface LogLine {
  /** RFC 3339 with nanoseconds, UTC. */
  readonly time: string;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/** @returns undefined where there is none (yet) */
export function openLog(file: string): LogFile | undefined {
  try {
    return new LogFile(file, openSync(file, "r"));
  } catch {
    return undefined;
  }
}

export class LogFile {
  readonly #inode: number;
  readonly #decoder = new TextDecoder();
  readonly #buffer = Buffer.alloc(65536);
  #rest = "";

  constructor(
    private readonly file: string,
    private readonly descriptor: number,
  ) {
    this.#inode = fstatSync(descriptor).ino;
  }

  /** Complete lines that have come since the last call. */
  lines(): LogLine[] {
    const lines: LogLine[] = [];
    for (let size = this.#read(); size > 0; size = this.#read()) {
      const text = this.#rest + this.#decoder.decode(this.#buffer.subarray(0, size), { stream: true });
      const parts = text.split("\n");
      this.#rest = parts.pop() ?? "";
      lines.push(...parts.flatMap(parseLine));
    }
    return lines;
  }

  /** As `lines`, and closes it. */
  takeAll(): LogLine[] {
    try {
      return this.lines();
    } finally {
      this.close();
    }
  }

  /** Whether its name is another file's by now. */
  get isTurnedOver(): boolean {
    return statSync(this.file, { throwIfNoEntry: false })?.ino !== this.#inode;
  }

  close(): void {
    closeSync(this.descriptor);
  }

  #read(): number {
    return readSync(this.descriptor, this.#buffer);
  }
}

function parseLine(line: string): LogLine[] {
  const match = /^(\S+) (stdout|stderr) (.*)$/s.exec(line);
  if (match?.[1] === undefined || match[3] === undefined) return [];
  return [{ time: match[1], stream: match[2] === "stderr" ? "stderr" : "stdout", text: match[3] }];
}
