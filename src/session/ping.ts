/** `ping`: who reaches whom: an echo request from each node to each other, IPv4 and IPv6, by sockets opened in the nodes. */
import { neighbours } from "../kernel/index.js";
import { Failure } from "../model/failure.js";
import { parseAddress, type Prefix, contains, networkOf } from "../model/address.js";
import type { NodeSnapshot } from "../model/snapshot.js";
import { EchoSocket, type EchoResult, unreachableText } from "./echo.js";
import { OpenLab } from "./open-lab.js";
import { checkNode, findLab, parseTarget } from "./target.js";

export interface PingOptions {
  readonly lab: string | undefined;
  /** Only pairs of these; none for all nodes. */
  readonly nodes: readonly string[];
  readonly families: readonly (4 | 6)[];
  /** Requests of a pair at the most; it answers when one of them is answered. */
  readonly count: number;
  /** Milliseconds to wait for an answer. */
  readonly patience: number;
  /** Pairs of one family that have been asked. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal: AbortSignal;
}

export type PingCell = EchoResult | { readonly kind: "no-address" };

export interface FamilyMatrix {
  readonly family: 4 | 6;
  readonly nodes: readonly string[];
  /** By row (from), then column (to); the diagonal is `no-address` and means nothing. */
  readonly cells: readonly (readonly PingCell[])[];
}

export interface PingResult {
  readonly lab: string;
  /** Whether every pair that has addresses answered. */
  readonly passed: boolean;
  /** Families in which two nodes have addresses. */
  readonly matrices: readonly FamilyMatrix[];
}

/** Pairs that are asked at once: each holds a socket. */
const concurrency = 32;
/**
 * All namespaces of a machine share one table of 1,024 neighbours (net.ipv4.neigh.default.gc_thresh3), and a pair takes
 * two. With more pairs than fit, what a row has learned is forgotten before the next.
 */
const neighbourRoom = 300;

export async function ping(options: PingOptions): Promise<PingResult> {
  const targets = options.nodes.map(parseTarget);
  const found = findLab(targets.find((target) => target.lab !== undefined)?.lab ?? options.lab);
  const names = targets.map(({ node }) => checkNode(found.record, node));
  using lab = await OpenLab.connect(found);
  const { nodes: all } = await lab.snapshot();
  const nodes = names.length === 0 ? all : all.filter((node) => names.includes(node.name));
  if (nodes.length < 2) throw new Failure("usage", "a ping needs two nodes at least");
  const matrices: FamilyMatrix[] = [];
  for (const family of options.families)
    if (nodes.filter((node) => addressesOf(node, family).length > 0).length > 1)
      matrices.push(await pingFamily(lab, nodes, family, options));
  if (matrices.length === 0)
    throw new Failure("usage", `no two nodes of lab '${found.record.name}' have addresses to ping`);
  const passed = matrices.every(({ cells }) => cells.every((row) => row.every((cell) => cell.kind !== "lost")));
  return { lab: found.record.name, passed, matrices };
}

async function pingFamily(
  lab: OpenLab,
  nodes: readonly NodeSnapshot[],
  family: 4 | 6,
  options: PingOptions,
): Promise<FamilyMatrix> {
  const cells: PingCell[][] = nodes.map(() => nodes.map(() => ({ kind: "no-address" })));
  const pairs = nodes.flatMap((from, row) =>
    nodes.flatMap((to, column) => {
      const address = row === column ? undefined : addressFor(from, to, family);
      return address === undefined ? [] : [{ from: from.name, address, row, column }];
    }),
  );
  let done = 0;
  const ask = async ({ from, address, row, column }: Pair): Promise<void> => {
    if (options.signal.aborted) throw new Failure("interrupted", "interrupted");
    const line = cells[row];
    if (line !== undefined) line[column] = await pingPair(lab, from, address, options);
    options.onProgress?.((done += 1), pairs.length);
  };
  if (pairs.length <= neighbourRoom) await inTurns(pairs, ask);
  else
    for (const [row] of nodes.entries()) {
      await inTurns(
        pairs.filter((pair) => pair.row === row),
        ask,
      );
      forgetNeighbours(lab, nodes);
    }
  return { family, nodes: nodes.map(({ name }) => name), cells };
}

interface Pair {
  readonly from: string;
  readonly address: string;
  readonly row: number;
  readonly column: number;
}

/** Does each, a few at once, in their order. */
async function inTurns<T>(items: readonly T[], action: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const work = async (): Promise<void> => {
    for (const item of waiting) await action(item);
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, work));
}

/** Removes what the nodes learned since the snapshot. */
function forgetNeighbours(lab: OpenLab, nodes: readonly NodeSnapshot[]): void {
  for (const node of nodes) {
    const kept = new Set(node.neighbours.map(({ address }) => address));
    const client = lab.sockets.route(node.name);
    const learned = client
      .execute(neighbours.list())
      .filter(({ address, state }) => !kept.has(address) && state !== "permanent" && state !== "noarp");
    // One that is gone by itself meanwhile is as good.
    client.pipeline(learned.map(({ index, address }) => neighbours.remove({ index, address })));
  }
}

async function pingPair(
  lab: OpenLab,
  from: string,
  address: string,
  { count, patience }: PingOptions,
): Promise<EchoResult> {
  let socket: EchoSocket;
  try {
    socket = EchoSocket.open(lab.line, from, address);
  } catch (error) {
    return { kind: "lost", reason: unreachableText(error) };
  }
  const results: EchoResult[] = [];
  try {
    for (let sent = 0; sent < count; sent++) results.push(await socket.echo(patience));
  } finally {
    socket[Symbol.dispose]();
  }
  const answers = results.flatMap((result) => (result.kind === "answered" ? [result.roundTrip] : []));
  if (answers.length > 0) return { kind: "answered", roundTrip: Math.min(...answers) };
  return results.at(-1) ?? { kind: "lost", reason: "nothing was sent" };
}

interface NodeAddress {
  readonly text: string;
  readonly network: Prefix;
}

function addressesOf(node: NodeSnapshot, family: 4 | 6): NodeAddress[] {
  return node.interfaces
    .filter((each) => each.kind !== "loopback")
    .flatMap((each) =>
      each.addresses.flatMap(({ address, prefixLength, scope, family: own }) => {
        const parsed = own === family && scope === "global" ? parseAddress(address) : undefined;
        return parsed === undefined ? [] : [{ text: address, network: networkOf(parsed, prefixLength) }];
      }),
    );
}

/** The address of `to` in a network that both have, else its first; undefined where one of them has none. */
function addressFor(from: NodeSnapshot, to: NodeSnapshot, family: 4 | 6): string | undefined {
  const own = addressesOf(from, family);
  const theirs = addressesOf(to, family);
  if (own.length === 0) return undefined;
  const near = theirs.find(({ network }) => own.some((mine) => contains(mine.network, network)));
  return (near ?? theirs[0])?.text;
}
