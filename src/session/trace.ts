/** `trace`: taps on every hop, a command perhaps, and packets joined while they come. */
import { setTimeout as delay } from "node:timers/promises";
import { SkbWitness } from "../capture/skb-witness.js";
import type { Hop } from "../model/hop.js";
import type { Pressure } from "../model/pressure.js";
import type { TapMode } from "../model/tap.js";
import type { PacketEvent, PacketsTold, TraceEvent } from "../model/trace.js";
import { SelfCheck, type SelfCheckResult } from "../trace/self-check.js";
import { type CommandOutput, type RunningCommand, startCommand } from "./command.js";
import { LiveTrace } from "./live-trace.js";
import { shellStatus } from "./terminal.js";
import { type NetworkOptions, openTracedNetwork } from "./traced-network.js";

export interface TraceOptions extends NetworkOptions {
  /** Ends the trace when it has ended; empty: the trace goes on until the signal. */
  readonly argv: readonly string[];
  /** Folder of the recording; undefined saves nothing. */
  readonly save: string | undefined;
  /** Bytes kept of each frame. */
  readonly snapshotLength: number;
  /** Default: a tap a hop. */
  readonly tap?: TapMode;
  /** Compares the joins with what the kernel says of its packet buffers (root only). */
  readonly selfCheck?: boolean;
  /** Ends the trace after so many packets that have come to their end; what is open then is not told. */
  readonly count: number | undefined;
  /** Ends the trace after so many milliseconds. */
  readonly duration: number | undefined;
  /** Where the command's output goes. */
  readonly output: CommandOutput;
  readonly onEvent: (event: TraceEvent) => void;
  /** Takes packets that are still open. */
  readonly onProvisional?: ((packet: PacketEvent) => void) | undefined;
  /** Default: all. The self-check takes all in any case. */
  readonly tell?: PacketsTold;
  /** Whoever takes the events is behind: the taps are not read until it settles. */
  readonly pressure?: Pressure;
  /** Every tap listens. */
  readonly onReady?: (hops: readonly Hop[]) => void;
  /** Ends the trace and keeps what was captured. */
  readonly signal: AbortSignal;
}

export interface TraceResult {
  /** Status of the command, as a shell gives it. */
  readonly status?: number;
  readonly interrupted: boolean;
  readonly packets: number;
  /** Where it was saved. */
  readonly saved?: string;
  readonly selfCheck?: SelfCheckResult;
}

export async function trace(options: TraceOptions): Promise<TraceResult> {
  await using network = await openTracedNetwork(options);
  const { line, snapshot, hops, filter, place, logs } = network;
  const epoch = BigInt(Date.now()) * 1_000_000n;
  const check = options.selfCheck === true ? new SelfCheck(snapshot, hops) : undefined;
  using witness =
    check &&
    new SkbWitness(
      hops.map((hop) => hop.interface),
      epoch,
    );
  const onEvent = (event: TraceEvent): void => {
    if (event.type === "packet") check?.push(event);
    options.onEvent(event);
  };
  const everything = check && ({ tell: "all" } as const);
  using live = new LiveTrace(line, snapshot, hops, epoch, { ...options, ...everything, filter, logs, onEvent });
  await live.start();
  options.onReady?.(hops);

  const ends: Promise<unknown>[] = [aborted(options.signal), line.gone, live.over];
  let status: number | undefined;
  let command: RunningCommand | undefined;
  if (options.argv.length > 0) {
    command = await startCommand(line, place, options.argv, options.output);
    const running = command;
    options.signal.addEventListener("abort", () => running.signal("SIGINT"), { once: true });
    ends.push(command.exit.then((exit) => (status = shellStatus(exit))));
  }
  const stop = new AbortController();
  if (options.duration !== undefined)
    ends.push(delay(options.duration, undefined, { signal: stop.signal }).catch(() => undefined));
  await Promise.race(ends);
  stop.abort();
  // After --count or --duration it may still run, and would go on without us.
  const cutShort = status === undefined && !options.signal.aborted;
  if (cutShort) command?.signal("SIGTERM");

  await live.finish();
  const selfCheck = check && witness && check.judge(witness.finish());
  return {
    ...(status === undefined || cutShort ? {} : { status }),
    interrupted: options.signal.aborted,
    packets: live.packets,
    ...(options.save === undefined ? {} : { saved: options.save }),
    ...(selfCheck === undefined ? {} : { selfCheck }),
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
