/** A lab is ready when its addresses can be used, its bridge ports forward, and what should listen listens. */
import { setTimeout as delay } from "node:timers/promises";
import { openLog } from "../capture/container-log.js";
import { Failure } from "../model/failure.js";
import { listenersOf } from "../observe/listeners.js";
import { addresses, links } from "../kernel/index.js";
import type { ResolvedNode, ResolvedTopology } from "../topology/resolved.js";
import type { OpenLab } from "./open-lab.js";

/** Milliseconds. */
const patience = 15_000;
const interval = 10;
/** BR_STATE_FORWARDING and BR_STATE_DISABLED (linux/if_bridge.h). */
const forwarding = 3;
const disabled = 0;

/** @throws Failure that says what is not ready, and what the node's log may tell */
export async function waitUntilReady(lab: OpenLab, topology: ResolvedTopology, signal: AbortSignal): Promise<void> {
  const time = patience + 1000 * spanningTreeDelay(topology);
  const deadline = Date.now() + time;
  const ends = new Map<string, string[]>();
  for (const { node, interface: name } of topology.links.flatMap((link) => link.ends)) {
    const known = ends.get(node);
    if (known === undefined) ends.set(node, [name]);
    else known.push(name);
  }
  let waiting = topology.nodes.filter(takesTime);
  for (;;) {
    const still: { readonly node: ResolvedNode; readonly reason: string }[] = [];
    for (const node of waiting) {
      const reason = await unready(lab, node, ends.get(node.name) ?? []);
      if (reason !== undefined) still.push({ node, reason });
    }
    const [first] = still;
    if (first === undefined) return;
    if (signal.aborted) throw new Failure("interrupted", "interrupted");
    await failForEnded(
      lab,
      still.map(({ node }) => node),
    );
    if (Date.now() > deadline)
      throw new Failure("kernel", `lab '${topology.name}' is not ready after ${time / 1000} s: ${first.reason}`, {
        code: "NOT_READY",
        ...(first.node.container === undefined ? {} : { hint: lastWords(lab, first.node.name) }),
      });
    waiting = still.map(({ node }) => node);
    await delay(interval);
  }
}

/** A container that has ended will not listen any more. */
async function failForEnded(lab: OpenLab, waiting: readonly ResolvedNode[]): Promise<void> {
  const statuses = new Map((await lab.line.nodes()).map((status) => [status.name, status]));
  for (const { name, container, ready } of waiting) {
    const status = statuses.get(name);
    if (container === undefined || ready.length === 0 || status === undefined || status.pid !== undefined) continue;
    const { code, signal } = status.lastExit ?? {};
    const how = signal === undefined ? `with status ${code ?? 0}` : `by ${signal}`;
    throw new Failure("kernel", `the container of '${name}' ended before its ports listened, ${how}`, {
      hint: lastWords(lab, name),
      code: "NOT_READY",
    });
  }
}

/** What it wrote last: the log of a lab that did not come to be goes with it. */
function lastWords(lab: OpenLab, node: string): string {
  const log = openLog(lab.found.folder.log(node));
  try {
    const lines = log?.lines().slice(-3) ?? [];
    return lines.length === 0 ? "it wrote nothing" : `it wrote: ${lines.map(({ text }) => text).join(" | ")}`;
  } finally {
    log?.close();
  }
}

/** Seconds in which a port of a bridge with STP listens and then learns, before it forwards (IEEE 802.1D 8.4). */
function spanningTreeDelay(topology: ResolvedTopology): number {
  const bridges = topology.nodes.flatMap((node) => node.bridges);
  return Math.max(0, ...bridges.map(({ stp, forwardDelay }) => (stp ? 2 * forwardDelay : 0)));
}

function hasIPv6(node: ResolvedNode): boolean {
  return node.interfaces.some((each) => each.addresses.some((address) => address.family === 6));
}

/** IPv4 addresses and links of a node without a bridge can be used as soon as they are there. */
function takesTime(node: ResolvedNode): boolean {
  return hasIPv6(node) || node.bridges.length > 0 || node.ready.length > 0;
}

/** What is missing in a node, or undefined. @param ends its interfaces that are ends of links */
async function unready(lab: OpenLab, node: ResolvedNode, ends: readonly string[]): Promise<string | undefined> {
  const route = lab.sockets.route(node.name);
  // On the machine itself there are others, which are waited for by nobody.
  const own = new Set([...node.interfaces.map(({ name }) => name), ...ends]);
  const list = route.execute(links.list({ statistics: false })).filter(({ name }) => own.has(name));
  const indexes = new Set(list.map(({ index }) => index));
  if (hasIPv6(node)) {
    const tentative = route
      .execute(addresses.list({ family: 6 }))
      .find((address) => address.tentative && indexes.has(address.index));
    if (tentative !== undefined) return `address ${tentative.address} of ${node.name} is still tentative`;
  }
  if (node.bridges.length > 0)
    for (const link of list) {
      const state = link.port?.state;
      if (link.up && state !== undefined && state !== forwarding && state !== disabled)
        return `port ${link.name} of ${node.name} does not forward yet`;
    }
  if (node.ready.length > 0) {
    const listeners = await listenersOf(lab.line, lab.sockets, node.name);
    for (const { protocol, port } of node.ready)
      if (!listeners.some((each) => each.protocol === protocol && each.port === port))
        return `nothing listens on ${protocol}/${port} in ${node.name}`;
  }
  return undefined;
}
