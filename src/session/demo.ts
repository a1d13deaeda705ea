/** `demo`: the five-minute tour. Builds docker-bridge, traces a request that arrives and one that does not, cleans up. */
import { findProgram } from "../init/find-program.js";
import { Failure } from "../model/failure.js";
import type { ExchangeEvent, PacketEvent, TraceEvent } from "../model/trace.js";
import { down, type DownResult } from "./down.js";
import { searchPath } from "./exec.js";
import { trace } from "./trace.js";
import { up, type UpResult } from "./up.js";

export interface DemoTrace {
  readonly url: string;
  /** The command as one would type it. */
  readonly command: string;
  /** What it wrote, and its status. */
  readonly output: string;
  readonly status: number;
  readonly packets: readonly PacketEvent[];
  readonly exchanges: readonly ExchangeEvent[];
}

/** What the demo tells while it runs, in this order. */
export interface DemoSteps {
  readonly onUp: (result: UpResult, command: string) => void;
  readonly onArrived: (result: DemoTrace) => void;
  readonly onDropped: (result: DemoTrace) => void;
  readonly onDown: (result: DownResult) => void;
  readonly onWarning: (text: string) => void;
}

const topology = "docker-bridge";
/** Port 8080 is published to a server; 8081 to a port that the firewall of the machine drops. */
const arriving = { url: "http://203.0.113.1:8080/", port: 8080 };
const dropped = { url: "http://203.0.113.1:8081/", port: 8081 };

/** @throws Failure; the lab is taken down on every way out */
export async function demo(steps: DemoSteps, signal: AbortSignal): Promise<void> {
  const client = httpClient();
  const lab = `demo-${process.pid}`;
  const file = `${topology}.json`;
  const started = await up({
    file,
    name: lab,
    dryRun: false,
    strict: false,
    real: false,
    assignments: [],
    onWarning: steps.onWarning,
    signal,
  });
  try {
    steps.onUp(started, `yapc-net up topologies/${file}`);
    steps.onArrived(await request(lab, client, arriving, signal));
    if (!signal.aborted) steps.onDropped(await request(lab, client, dropped, signal));
  } finally {
    steps.onDown(await down({ lab, onWarning: steps.onWarning }));
  }
  if (signal.aborted) throw new Failure("interrupted", "interrupted");
}

/** curl, or busybox' wget, whichever this machine has. */
function httpClient(): (url: string) => readonly string[] {
  if (findProgram("curl", searchPath)) return (url) => ["curl", "-s", "-S", "--max-time", "2", url];
  if (findProgram("busybox", searchPath)) return (url) => ["busybox", "wget", "-q", "-T", "2", "-O", "-", url];
  throw new Failure("machine", "the demo needs curl or busybox to send a request", {
    hint: "sudo apt-get install curl",
  });
}

async function request(
  lab: string,
  client: (url: string) => readonly string[],
  { url, port }: { readonly url: string; readonly port: number },
  signal: AbortSignal,
): Promise<DemoTrace> {
  const argv = client(url);
  const packets: PacketEvent[] = [];
  const exchanges: ExchangeEvent[] = [];
  let output = "";
  const take = (event: TraceEvent): void => {
    if (event.type === "packet") packets.push(event);
    if (event.type === "exchange") exchanges.push(event);
  };
  const result = await trace({
    lab,
    filter: { ports: [port], hosts: [], protocols: ["tcp"] },
    from: "client",
    argv,
    save: undefined,
    snapshotLength: 262,
    count: undefined,
    duration: undefined,
    output: (_stream, text) => (output += text),
    onEvent: take,
    onWarning: () => undefined,
    signal,
  });
  packets.sort((a, b) => a.id - b.id);
  return { url, command: argv.join(" "), output: output.trim(), status: result.status ?? 0, packets, exchanges };
}
