/** A tap: one tcpdump on one hop, run by the lab's init inside the hop's namespace, its pcap stream read here. */
import net from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { ExitStatus, NodeLine, InitProcess } from "../init/api.js";
import { close, pipe2 } from "../kernel/syscalls.js";
import { Failure } from "../model/failure.js";
import { hopName, type Hop } from "../model/hop.js";
import { tcpdumpArguments, type TcpdumpCounts, TcpdumpMessages } from "./tcpdump.js";

export interface TapOptions {
  readonly hop: Hop;
  /** pcap-filter(7) text; empty for everything. */
  readonly filter: string;
  /** Bytes kept of each frame. */
  readonly snapshotLength: number;
  readonly onBytes: (bytes: Uint8Array) => void;
  /** Lost records so far (tcpdump's "dropped by kernel"), each time that tcpdump tells. */
  readonly onDrops: (dropped: number) => void;
  /** tcpdump ended, and nobody had asked it to. What it had written has been read. */
  readonly onDeath: (reason: string) => void;
}

/** How often a tap is asked whether it has read everything, milliseconds between; equal answers say that no more comes. */
const drain = { interval: 10, equal: 5, attempts: 500 } as const;

export class Tap {
  readonly hop: Hop;
  /** Settles when the stream has been read to its end. */
  readonly ended: Promise<void>;
  readonly #process: InitProcess;
  readonly #stream: net.Socket;
  readonly #said: TcpdumpMessages;
  #asked = false;

  private constructor(hop: Hop, process: InitProcess, stream: net.Socket, said: TcpdumpMessages) {
    this.hop = hop;
    this.#process = process;
    this.#stream = stream;
    this.#said = said;
    this.ended = new Promise((resolve) => stream.once("close", () => resolve()));
  }

  /** Starts tcpdump and settles when it listens. @throws Failure (machine); (usage) where it refuses the filter */
  static async start(line: NodeLine, options: TapOptions): Promise<Tap> {
    const { hop } = options;
    const { process, output, messages } = await spawn(line, options);
    const stream = new net.Socket({ fd: output, readable: true, writable: false });
    stream.on("data", (chunk: Buffer) => options.onBytes(chunk));
    const said = new TcpdumpMessages();
    const tap = new Tap(hop, process, stream, said);
    try {
      await listening(process, new net.Socket({ fd: messages, readable: true, writable: false }), said, options);
    } catch (error) {
      tap.abandon();
      throw error;
    }
    void tap.#watch(options);
    return tap;
  }

  /** Asks tcpdump for its drop count; the answer comes through `onDrops` (tcpdump(1), SIGUSR1). */
  askDrops(): void {
    this.#process.signal("SIGUSR1");
  }

  /** Ends tcpdump and reads what it still had; nothing is lost. */
  async stop(): Promise<void> {
    this.#asked = true;
    await this.#drained();
    this.#process.signal("SIGINT");
    await this.#process.exit;
    await this.ended;
  }

  /**
   * An interrupted tcpdump leaves unread what its ring holds (pcap_breakloop(3PCAP)), and on a busy machine it may not
   * have run since the last packets came. So it is asked until it has read what it received.
   */
  async #drained(): Promise<void> {
    let before: TcpdumpCounts | undefined;
    let equal = 0;
    for (let attempt = 0; attempt < drain.attempts && equal < drain.equal; attempt += 1) {
      const counts = await this.#counts();
      if (counts === undefined || counts.captured + counts.dropped >= counts.received) return;
      // What came before its filter was set counts as received and is never read.
      equal = before?.captured === counts.captured && before.received === counts.received ? equal + 1 : 0;
      before = counts;
      await delay(drain.interval);
    }
  }

  /** @returns undefined where it has ended */
  #counts(): Promise<TcpdumpCounts | undefined> {
    return new Promise((resolve) => {
      this.#said.onCounts = resolve;
      const ended = (): void => resolve(undefined);
      this.#process.exit.then(ended, ended);
      this.askDrops();
    });
  }

  /** Lets go of the stream at once, for the way out after a failure. */
  abandon(): void {
    this.#asked = true;
    this.#process.signal("SIGKILL");
    this.#stream.destroy();
  }

  async #watch({ onDeath }: TapOptions): Promise<void> {
    const status = await this.#process.exit.catch(() => undefined);
    // Where init is gone, so is the trace: that is told elsewhere.
    if (status === undefined) return;
    await this.ended;
    if (!this.#asked) onDeath(this.#said.lastWords || ending(status));
  }
}

interface StartedTcpdump {
  readonly process: InitProcess;
  /** Ends of pipes for us to read. */
  readonly output: number;
  readonly messages: number;
}

async function spawn(line: NodeLine, { hop, filter, snapshotLength }: TapOptions): Promise<StartedTcpdump> {
  const [output, outputWrite] = pipe2();
  const [messages, messagesWrite] = pipe2();
  const [inputRead, inputWrite] = pipe2();
  close(inputWrite); // tcpdump reads nothing: its standard input is at its end
  try {
    const process = await line.spawn({
      node: hop.node,
      place: "namespace",
      argv: tcpdumpArguments({ interface: hop.interface, filter, snapshotLength }),
      environment: [
        ["PATH", "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"],
        ["LC_ALL", "C"],
      ],
      stdio: [inputRead, outputWrite, messagesWrite],
      tied: true,
    });
    return { process, output, messages };
  } catch (error) {
    close(output);
    close(messages);
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
}

/** Settles when tcpdump listens; goes on to read its messages until it has closed them. */
function listening(
  process: InitProcess,
  messages: net.Socket,
  said: TcpdumpMessages,
  options: TapOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let told: number | undefined;
    messages.setEncoding("latin1");
    messages.on("data", (chunk: string) => {
      said.push(chunk);
      if (said.listening) resolve();
      if (said.dropped !== undefined && said.dropped !== told) options.onDrops((told = said.dropped));
    });
    messages.on("error", () => messages.destroy());
    const closed = new Promise<void>((settle) => messages.once("close", () => settle()));
    process.exit.then(
      // Its last words may still be in the pipe.
      (status) => void closed.then(() => reject(refusal(options, said.lastWords, status))),
      (error: unknown) => reject(error instanceof Error ? error : new Error(String(error))),
    );
  });
}

/** What tcpdump says of the interface begins with its name; anything else is about the filter. */
function refusal({ hop, filter }: TapOptions, words: string, status: ExitStatus): Failure {
  const ofInterface = words.startsWith(`${hop.interface}: `);
  const reason = ofInterface ? words.slice(hop.interface.length + 2) : words || ending(status);
  const ofFilter = words !== "" && !ofInterface && filter !== "";
  return new Failure(
    ofFilter ? "usage" : "machine",
    ofFilter ? `tcpdump refuses the filter '${filter}': ${reason}` : `no tap at ${hopName(hop)}: ${reason}`,
    { code: "TAP", hint: ofFilter ? "see pcap-filter(7)" : "yapc-net doctor says what this machine can do" },
  );
}

function ending({ code, signal }: ExitStatus): string {
  return signal === undefined ? `tcpdump ended with status ${code ?? 0}` : `tcpdump was ended by ${signal}`;
}
