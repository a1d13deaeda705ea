/**
 * A tap: one tcpdump on one hop, run by the lab's init inside the hop's namespace, its pcap stream read here.
 *
 * Never promiscuous (`-p`): promiscuous taps make OTHERHOST drops of their own and change a live bridge. Immediate mode,
 * because the block mode of TPACKET_V3 loses everything in the open block when tcpdump is interrupted (measured:
 * 0 of 12 packets of a short exchange survive), and shows packets up to a second late.
 */
import net from "node:net";
import type { InitLine, InitProcess } from "../init/api.js";
import { close, pipe2 } from "../kernel/syscalls.js";
import { Failure } from "../model/failure.js";
import { hopName, type Hop } from "../model/hop.js";

export interface TapOptions {
  readonly hop: Hop;
  /** pcap-filter(7) text; empty for everything. */
  readonly filter: string;
  /** Bytes kept of each frame. */
  readonly snapshotLength: number;
  readonly onBytes: (bytes: Uint8Array) => void;
  /** Lost records so far (tcpdump's "dropped by kernel"), each time that tcpdump tells. */
  readonly onDrops: (dropped: number) => void;
}

export class Tap {
  readonly hop: Hop;
  /** Settles when the stream has been read to its end. */
  readonly ended: Promise<void>;
  readonly #process: InitProcess;
  readonly #stream: net.Socket;

  private constructor(hop: Hop, process: InitProcess, stream: net.Socket) {
    this.hop = hop;
    this.#process = process;
    this.#stream = stream;
    this.ended = new Promise((resolve) => stream.once("close", () => resolve()));
  }

  /** Starts tcpdump and settles when it listens. */
  static async start(line: InitLine, options: TapOptions): Promise<Tap> {
    const { hop } = options;
    const [outputRead, outputWrite] = pipe2();
    const [messagesRead, messagesWrite] = pipe2();
    const [inputRead, inputWrite] = pipe2();
    close(inputWrite); // tcpdump reads nothing: its standard input is at its end
    let process: InitProcess;
    try {
      process = await line.spawn({
        node: hop.node,
        place: "namespace",
        argv: tcpdumpArguments(options),
        environment: [
          ["PATH", "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"],
          ["LC_ALL", "C"],
        ],
        stdio: [inputRead, outputWrite, messagesWrite],
        tied: true,
      });
    } catch (error) {
      close(outputRead);
      close(messagesRead);
      if (error instanceof Failure && error.code === "ENOENT")
        throw new Failure("machine", `no tcpdump on this machine: the tap at ${hopName(hop)} cannot start`, {
          hint: "sudo apt-get install tcpdump",
          code: "ENOENT",
          cause: error,
        });
      throw error;
    } finally {
      for (const descriptor of [inputRead, outputWrite, messagesWrite]) close(descriptor);
    }
    const stream = new net.Socket({ fd: outputRead, readable: true, writable: false });
    stream.on("data", (chunk: Buffer) => options.onBytes(chunk));
    const tap = new Tap(hop, process, stream);
    await listening(process, new net.Socket({ fd: messagesRead, readable: true, writable: false }), options);
    return tap;
  }

  /** Asks tcpdump for its drop count; the answer comes through `onDrops` (tcpdump(1), SIGUSR1). */
  askDrops(): void {
    this.#process.signal("SIGUSR1");
  }

  /** Ends tcpdump and reads what it still had; nothing is lost. */
  async stop(): Promise<void> {
    this.#process.signal("SIGINT");
    await this.#process.exit;
    await this.ended;
  }

  /** Lets go of the stream at once, for the way out after a failure. */
  abandon(): void {
    this.#process.signal("SIGKILL");
    this.#stream.destroy();
  }
}

function tcpdumpArguments({ hop, filter, snapshotLength }: TapOptions): string[] {
  return [
    "tcpdump",
    "-i",
    hop.interface,
    "-p",
    "-n",
    "--immediate-mode",
    "--time-stamp-precision=nano",
    "-s",
    String(snapshotLength),
    "-U",
    "-w",
    "-",
    ...(filter === "" ? [] : [filter]),
  ];
}

/** Reads tcpdump's messages: "listening on" means that the ring is open, the closing lines tell the drops. */
function listening(process: InitProcess, messages: net.Socket, options: TapOptions): Promise<void> {
  const name = hopName(options.hop);
  let text = "";
  let counted = 0;
  return new Promise((resolve, reject) => {
    messages.setEncoding("latin1");
    messages.on("data", (chunk: string) => {
      text += chunk;
      if (text.includes("listening on ")) resolve();
      const complete = text.lastIndexOf("\n") + 1;
      for (const [, dropped] of text.slice(counted, complete).matchAll(/(\d+) packets? dropped by kernel/g))
        options.onDrops(Number(dropped));
      counted = complete;
    });
    messages.on("error", () => messages.destroy());
    process.exit.then(
      (status) => {
        const said =
          text
            .trim()
            .split("\n")
            .at(-1)
            ?.replace(/^tcpdump: /, "") ?? "";
        reject(
          new Failure(
            /syntax|expression|filter/i.test(said) ? "usage" : "machine",
            `tcpdump at ${name} ended before it listened: ${said || `exit ${status.code ?? status.signal ?? "unknown"}`}`,
            { code: "TAP" },
          ),
        );
      },
      (error: unknown) => reject(error instanceof Error ? error : new Error(String(error))),
    );
  });
}
