/** `events`: what the kernel tells of all nodes while it happens: links, addresses, routes, neighbours, flows. */
import {
  conntrack,
  links,
  listenRoute,
  NETLINK_NETFILTER,
  NETLINK_ROUTE,
  NetlinkSocket,
  type RouteEvent,
} from "../kernel/index.js";
import { Failure } from "../model/failure.js";
import { OpenLab } from "./open-lab.js";
import { checkNode, findLab } from "./target.js";

export const eventKinds = ["link", "address", "route", "neighbour", "fdb", "rule", "qdisc", "conntrack"] as const;
export type EventKind = (typeof eventKinds)[number];

export interface LabEvent {
  /** Wall clock when it was read, ISO 8601, UTC. */
  readonly time: string;
  readonly node: string;
  readonly kind: EventKind | "resync";
  /** `changed` stands for what is new too: route netlink does not tell which. A resync means that events were lost. */
  readonly change: "changed" | "removed" | "new" | "update" | "destroy" | "lost";
  /** Name of the interface that it is about. */
  readonly interface?: string;
  /** The object in the words of the kernel layer; of a resync, none. */
  readonly object?: unknown;
}

export interface EventsOptions {
  readonly lab: string | undefined;
  /** Only these; none for all. */
  readonly nodes: readonly string[];
  readonly kinds: readonly EventKind[];
  readonly onEvent: (event: LabEvent) => void;
  /** Everything listens. */
  readonly onReady: () => void;
  readonly signal: AbortSignal;
}

const receiveBuffer = 1 << 20;

/** Runs until the signal or the end of the lab. */
export async function events(options: EventsOptions): Promise<void> {
  const found = findLab(options.lab);
  for (const node of options.nodes) checkNode(found.record, node);
  using lab = await OpenLab.connect(found);
  const wanted = new Set(options.nodes);
  const nodes = (await lab.line.nodes()).filter(({ name }) => wanted.size === 0 || wanted.has(name));
  const kinds = new Set(options.kinds.length === 0 ? eventKinds : options.kinds);
  const listeners: Disposable[] = [];
  try {
    for (const { name } of nodes) {
      if (kinds.has("conntrack")) listeners.push(followFlows(lab, name, options.onEvent));
      listeners.push(followRoutes(lab, name, kinds, options.onEvent));
    }
    options.onReady();
    const stopped = new Promise<void>((resolve) => {
      if (options.signal.aborted) resolve();
      options.signal.addEventListener("abort", () => resolve(), { once: true });
    });
    await Promise.race([stopped, lab.line.gone]);
    if (!options.signal.aborted)
      throw new Failure("kernel", `lab '${found.record.name}' has ended`, { code: "NO_LAB" });
  } finally {
    for (const listener of listeners) listener[Symbol.dispose]();
  }
}

function followFlows(lab: OpenLab, node: string, onEvent: EventsOptions["onEvent"]): Disposable {
  const socket = new NetlinkSocket(lab.line.openNetlink(node, NETLINK_NETFILTER), NETLINK_NETFILTER, { receiveBuffer });
  return conntrack.listenFlows(socket, {
    onEvent: ({ kind, flow }) => onEvent({ time: now(), node, kind: "conntrack", change: kind, object: flow }),
    onResync: () => onEvent({ time: now(), node, kind: "resync", change: "lost" }),
  });
}

function followRoutes(
  lab: OpenLab,
  node: string,
  kinds: ReadonlySet<EventKind>,
  onEvent: EventsOptions["onEvent"],
): Disposable {
  const list = lab.sockets.route(node).execute(links.list({ statistics: false }));
  const names = new Map(list.map(({ index, name }) => [index, name]));
  const socket = new NetlinkSocket(lab.line.openNetlink(node, NETLINK_ROUTE), NETLINK_ROUTE, { receiveBuffer });
  return listenRoute(socket, {
    onEvent(event) {
      if (event.kind === "link") names.set(event.link.index, event.link.name);
      const { kind } = event;
      if (kind === "nsid" || !kinds.has(kind)) return;
      const { object, index } = contentOf(event);
      const device = index === undefined ? undefined : names.get(index);
      onEvent({
        time: now(),
        node,
        kind,
        change: event.removed ? "removed" : "changed",
        ...(device === undefined ? {} : { interface: device }),
        object,
      });
    },
    onResync: () => onEvent({ time: now(), node, kind: "resync", change: "lost" }),
  });
}

function contentOf(event: RouteEvent): { readonly object: unknown; readonly index?: number | undefined } {
  switch (event.kind) {
    case "link":
      return { object: event.link, index: event.link.index };
    case "address":
      return { object: event.address, index: event.address.index };
    case "route":
      return { object: event.route, index: event.route.nexthops[0]?.index };
    case "neighbour":
      return { object: event.neighbour, index: event.neighbour.index };
    case "fdb":
      return { object: event.entry, index: event.entry.index };
    case "rule":
      return { object: event.rule };
    case "qdisc":
      return { object: event.qdisc, index: event.qdisc.index };
    case "nsid":
      return { object: event.id };
  }
}

function now(): string {
  return new Date().toISOString();
}

/** As JSON has it: wide numbers of the kernel as decimal text, bytes as hexadecimal text. What we have no name for is left out. */
export function eventJson(event: LabEvent): string {
  return JSON.stringify(event, (key, value: unknown) => {
    if (key === "unknown") return undefined;
    if (typeof value === "bigint") return value.toString();
    return value instanceof Uint8Array ? Buffer.from(value).toString("hex") : value;
  });
}
