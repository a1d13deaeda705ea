/** The tcpdump of a tap: how it is started in its node, when it listens, and why it does not. */
import type net from "node:net";
import type { ExitStatus, InitProcess, NodeLine } from "../init/api.js";
import { close, pipe2 } from "../kernel/syscalls.js";
import { Failure } from "../model/failure.js";
import { hopName } from "../model/hop.js";
import type { TapOptions } from "./tap-options.js";
import { tcpdumpArguments, type TcpdumpMessages } from "./tcpdump.js";

interface StartedTcpdump {
  readonly process: InitProcess;
  /** Ends of pipes for us to read. */
  readonly output: number;
  readonly messages: number;
}

/** Starts tcpdump in a node. @throws Failure (machine) where there is none */
export async function startTcpdump(line: NodeLine, { hop, filter, ...settings }: TapOptions): Promise<StartedTcpdump> {
  const [output, outputWrite] = pipe2();
  const [messages, messagesWrite] = pipe2();
  const [inputRead, inputWrite] = pipe2();
  close(inputWrite); // tcpdump reads nothing: its standard input is at its end
  try {
    const process = await line.spawn({
      node: hop.node,
      place: "namespace",
      argv: tcpdumpArguments({ ...settings, interface: hop.interface, filter }),
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
export function listening(
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

export function ending({ code, signal }: ExitStatus): string {
  return signal === undefined ? `tcpdump ended with status ${code ?? 0}` : `tcpdump was ended by ${signal}`;
}
