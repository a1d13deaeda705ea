/**
 * `test`: starts a lab of its own, sends a probe for every `expect` while all of it is traced, and compares.
 *
 * All probes of a round run one after another under one trace. What fails and may take longer (`within`) is tried again
 * in the next round. The lab is never committed, so it ends with this process, however that ends.
 */
import { cpSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { LabFolder } from "../lab/state.js";
import { withLabLock } from "../lab/lock.js";
import { Failure } from "../model/failure.js";
import type { Hop } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import type { ExchangeEvent, PacketEvent, TraceEvent } from "../model/trace.js";
import { hops as tappableHops } from "../path/hops.js";
import { parseService } from "../topology/notation.js";
import type { ResolvedExpectation } from "../topology/resolved.js";
import { abandonLab, buildLab } from "./build-lab.js";
import { expectationName, findExchange, judge, type Judgement, patienceOf, type Span } from "./expect.js";
import { LiveTrace } from "./live-trace.js";
import type { OpenLab } from "./open-lab.js";
import { probe, type ProbeResult } from "./probe.js";
import { loadTopology } from "./topology-file.js";

export interface TestOptions {
  /** Path of a topology file, or the name of one that ships. */
  readonly file: string;
  readonly strict: boolean;
  /** `NAME=VALUE`. */
  readonly assignments: readonly string[];
  /** Folder of the trace that is kept in any case; undefined: `NAME.trace`, and only where something failed. */
  readonly save: string | undefined;
  readonly onWarning: (text: string) => void;
  /** The name of the expectation that is probed; none while the lab starts. */
  readonly onExpectation?: (name: string | undefined) => void;
  readonly signal: AbortSignal;
}

export interface CheckedExpectation {
  /** `client -> tcp://203.0.113.1:8080 answered` */
  readonly name: string;
  readonly passed: boolean;
  /** What did not hold, a sentence each. */
  readonly problems: readonly string[];
  /** How often it was tried: more than once only with `within`. */
  readonly attempts: number;
  /** What the probe took in its last attempt, in nanoseconds. */
  readonly duration: number;
  /** The packet whose path tells it; absent where no hop saw one. */
  readonly packet?: PacketEvent;
}

export interface TestedLab {
  /** Name in the file. */
  readonly name: string;
  readonly file: string;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly passed: boolean;
  readonly expectations: readonly CheckedExpectation[];
  /** Where the trace of the last round lies. */
  readonly saved?: string;
}

/** Milliseconds between two rounds. */
const pause = 100;
/** With more hops than these only those are tapped that a probe can pass. */
const mostHops = 32;

export async function testLab(options: TestOptions): Promise<TestedLab> {
  const { file, topology: asked } = loadTopology(options);
  if (asked.expectations.length === 0)
    throw new Failure("usage", `${path.relative(process.cwd(), file)} has no "expect", so there is nothing to test`);
  const target = path.resolve(options.save ?? `${asked.name}.trace`);
  if (options.save !== undefined) checkTarget(target);
  const startedAt = new Date().toISOString();
  // A name of its own: a lab of this file that runs is not touched.
  const topology = { ...asked, name: `${asked.name.slice(0, 32)}.test${process.pid}` };
  options.onExpectation?.(undefined);
  return withLabLock(topology.name, "test", async () => {
    const folder = new LabFolder(topology.name);
    const { lab } = await buildLab(topology, file, folder, options);
    try {
      // In the lab's folder: whatever happens to this process, `gc` takes it.
      const recording = path.join(folder.path, "test.trace");
      const expectations = await checkAll(lab, topology.expectations, recording, options);
      const passed = expectations.every((each) => each.passed);
      const kept = (options.save !== undefined || !passed) && keep(recording, target, options);
      return { name: asked.name, file, startedAt, passed, expectations, ...(kept ? { saved: target } : {}) };
    } finally {
      await abandonLab(lab);
    }
  });
}

async function checkAll(
  lab: OpenLab,
  expectations: readonly ResolvedExpectation[],
  recording: string,
  options: TestOptions,
): Promise<CheckedExpectation[]> {
  const began = Date.now();
  const checked = new Map(await round(lab, expectations, recording, 1, options));
  for (let attempt = 2; ; attempt++) {
    const elapsed = (Date.now() - began) * 1e6;
    const failing = expectations.filter((each) => checked.get(each)?.passed === false);
    const open = new Set(failing.filter((each) => (each.within ?? 0) > elapsed));
    if (open.size === 0) return expectations.flatMap((each) => checked.get(each) ?? []);
    await delay(pause);
    // All that fails is sent again, so that the trace that is kept shows it; only what still has time may pass.
    for (const [expectation, result] of await round(lab, failing, recording, attempt, options)) {
      const before = checked.get(expectation);
      if (open.has(expectation)) checked.set(expectation, result);
      else if (before !== undefined && result.packet !== undefined)
        checked.set(expectation, { ...before, packet: result.packet });
    }
  }
}

async function round(
  lab: OpenLab,
  expectations: readonly ResolvedExpectation[],
  recording: string,
  attempt: number,
  { signal, onExpectation }: TestOptions,
): Promise<Map<ResolvedExpectation, CheckedExpectation>> {
  const snapshot = await lab.snapshot();
  const hops = tappedHops(snapshot, expectations);
  const packets: PacketEvent[] = [];
  const exchanges: ExchangeEvent[] = [];
  const epoch = BigInt(Date.now()) * 1_000_000n;
  const now = () => Number(BigInt(Date.now()) * 1_000_000n - epoch);
  using live = new LiveTrace(lab.line, snapshot, hops, epoch, {
    filter: { ports: [], hosts: [], protocols: [] },
    save: recording,
    snapshotLength: 262,
    clock: false,
    onEvent: (event: TraceEvent) => {
      if (event.type === "packet") packets.push(event);
      else if (event.type === "exchange") exchanges.push(event);
    },
    signal,
  });
  await live.start();
  const probes: {
    readonly expectation: ResolvedExpectation;
    readonly end: ProbeResult;
    readonly span: Span;
    readonly duration: number;
  }[] = [];
  for (const expectation of expectations) {
    if (signal.aborted) throw new Failure("interrupted", "interrupted");
    onExpectation?.(expectationName(expectation));
    const from = now();
    const began = process.hrtime.bigint();
    const end = await send(lab, expectation);
    const duration = Number(process.hrtime.bigint() - began);
    probes.push({ expectation, end, span: { from, to: now() }, duration });
  }
  await live.finish();
  if (signal.aborted) throw new Failure("interrupted", "interrupted");

  packets.sort((a, b) => a.id - b.id);
  return new Map(
    probes.map(({ expectation, end, span, duration }) => {
      const exchange = findExchange(expectation, end, span, exchanges, packets);
      const own = exchange === undefined ? [] : packets.filter((packet) => packet.exchange === exchange.id);
      const judgement = judge(expectation, {
        probe: end,
        packets: own,
        ...(exchange === undefined ? {} : { exchange }),
      });
      return [expectation, result(expectation, judgement, duration, attempt)];
    }),
  );
}

function result(
  expectation: ResolvedExpectation,
  { problems, packet }: Judgement,
  duration: number,
  attempts: number,
): CheckedExpectation {
  return {
    name: expectationName(expectation),
    passed: problems.length === 0,
    problems,
    attempts,
    duration,
    ...(packet === undefined ? {} : { packet }),
  };
}

function send(lab: OpenLab, expectation: ResolvedExpectation): Promise<ProbeResult> {
  const { from, to } = expectation;
  const service = parseService(to);
  if (service === undefined) throw new RangeError(`${to} is no service`); // the topology was checked
  return probe(
    lab.line,
    from,
    { protocol: service.protocol, address: service.host, port: service.port ?? 0 },
    patienceOf(expectation),
  );
}

/** In a large lab: not the hops of nodes that nobody asks and that pass nothing on, nor the bridge ports towards them. */
function tappedHops(snapshot: Snapshot, expectations: readonly ResolvedExpectation[]): Hop[] {
  const all = tappableHops(snapshot);
  if (all.length <= mostHops) return all;
  const wanted = new Set(expectations.flatMap((each) => namedNodes(snapshot, each)));
  const involved = (name: string): boolean => {
    const node = snapshot.nodes.find((each) => each.name === name);
    if (node === undefined || wanted.has(name)) return true;
    const routes = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"].some((key) => node.sysctls[key] === "1");
    return routes || node.interfaces.some((each) => each.bridge !== undefined);
  };
  const peerOf = ({ node, interface: name }: Hop) =>
    snapshot.nodes.find((each) => each.name === node)?.interfaces.find((each) => each.name === name)?.peer?.node;
  return tappableHops(snapshot, { filter: (hop) => involved(hop.node) && involved(peerOf(hop) ?? hop.node) });
}

/** Nodes that an expectation names, by name or by an address of theirs. */
function namedNodes(snapshot: Snapshot, expectation: ResolvedExpectation): string[] {
  const { from, to, reaches, via, notVia, between = [], seenAs } = expectation;
  const addresses = new Set([to, reaches].flatMap((each) => (each && parseService(each)?.host) ?? []));
  if (seenAs !== undefined) addresses.add(seenAs);
  const owners = snapshot.nodes.filter((node) =>
    node.interfaces.some((each) => each.addresses.some(({ address }) => addresses.has(address))),
  );
  return [
    from,
    ...[...via, ...notVia, ...between].map((hop) => hop.slice(0, hop.indexOf(":"))),
    ...owners.map(({ name }) => name),
  ];
}

function checkTarget(target: string): void {
  const status = statSync(target, { throwIfNoEntry: false });
  if (status === undefined || statSync(path.join(target, "trace.json"), { throwIfNoEntry: false }) !== undefined)
    return;
  throw new Failure("usage", `${target} exists and is not a saved trace`, { hint: "choose another name for --save" });
}

/** Copies the recording to where it was asked for; that it cannot is no reason to lose the result of the test. */
function keep(recording: string, target: string, { onWarning }: TestOptions): boolean {
  try {
    checkTarget(target);
    rmSync(target, { recursive: true, force: true });
    cpSync(recording, target, { recursive: true });
    return true;
  } catch (error) {
    onWarning(`the trace cannot be kept as ${target}: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}
