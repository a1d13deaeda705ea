/**
 * The logs of containers of other engines, from the API of the engine (Docker's, which Podman speaks too):
 * `GET /containers/NAME/logs`, which follows.
 */
import http from "node:http";
import type { LogLine } from "./log-line.js";

export interface EngineLogOptions {
  /** Where engines listen; the one that knows the container answers. */
  readonly sockets: readonly string[];
  /** Name or id. */
  readonly container: string;
  /** Nanoseconds since 1970: older lines are no news. */
  readonly since: bigint;
  readonly onLine: (line: LogLine) => void;
  /** The engine knows the container, and not its log. */
  readonly onFailure: (reason: string) => void;
}

/** Follows the log until disposed of. A container that no engine knows has none. */
export function followEngineLog(options: EngineLogOptions): Disposable {
  const requests = options.sockets.map((socketPath) => ask(socketPath, options));
  return {
    [Symbol.dispose]() {
      for (const request of requests) request.destroy();
    },
  };
}

function ask(socketPath: string, { container, since, onLine, onFailure }: EngineLogOptions): http.ClientRequest {
  const seconds = `${since / 1_000_000_000n}.${String(since % 1_000_000_000n).padStart(9, "0")}`;
  const query = `follow=1&stdout=1&stderr=1&timestamps=1&since=${seconds}`;
  const request = http.get(
    { socketPath, path: `/containers/${encodeURIComponent(container)}/logs?${query}`, headers: { host: "engine" } },
    (response) => {
      response.on("error", () => undefined); // the container or the engine has ended, or we have
      if (response.statusCode !== 200) {
        response.resume();
        if (response.statusCode !== 404) onFailure(`HTTP status ${response.statusCode ?? "none"}`);
        return;
      }
      const reader = new EngineLogReader(onLine);
      response.on("data", (chunk: Buffer) => reader.push(chunk));
    },
  );
  request.on("error", () => undefined); // nobody listens there: it is asked for names first, and that has been told
  return request;
}

const frameHeader = 8;

/**
 * Reads what the engine sends: frames (stream, three zeros, length in big endian, text), or of a container with a
 * terminal the text as it is. Each line begins with its time.
 */
export class EngineLogReader {
  readonly #onLine: (line: LogLine) => void;
  readonly #text = { stdout: new LineReader(), stderr: new LineReader() };
  #framed: boolean | undefined;
  #rest: Buffer = Buffer.alloc(0);

  constructor(onLine: (line: LogLine) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return;
    // A time begins with a digit, a frame with the number of its stream.
    this.#framed ??= (chunk[0] ?? 0) < 3;
    if (!this.#framed) {
      this.#tell("stdout", chunk);
      return;
    }
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= frameHeader) {
      const end = frameHeader + bytes.readUInt32BE(4);
      if (bytes.length < end) break;
      this.#tell(bytes[0] === 2 ? "stderr" : "stdout", bytes.subarray(frameHeader, end));
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
  }

  #tell(stream: "stdout" | "stderr", bytes: Buffer): void {
    for (const line of this.#text[stream].lines(bytes)) {
      const at = line.indexOf(" ");
      if (at > 0) this.#onLine({ time: line.slice(0, at), stream, text: line.slice(at + 1).replace(/\r$/, "") });
    }
  }
}

class LineReader {
  readonly #decoder = new TextDecoder();
  #rest = "";

  /** Complete lines that these bytes bring. */
  lines(bytes: Uint8Array): string[] {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines;
  }
}
