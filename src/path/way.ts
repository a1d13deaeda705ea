/** A predicted way under construction: what the stages of a packet's way share, and what they find. */
import type { NodeSnapshot } from "../model/snapshot.js";
import { formatAddress as addressText, isMulticast } from "../model/address.js";
import { Bridging } from "./bridging.js";
import { type Connection, connectionOf, type Passage, remembering, type Translate } from "./connection.js";
import type { Header } from "./header.js";
import { askHook, type HookResult } from "./hook.js";
import type { Hook } from "./hook-order.js";
import type { RuleContext } from "./match.js";
import { nameOf, type Network, type Place } from "./network.js";
import type { Decision, Doubt, Drop, PredictionEnd, Stage, Step } from "./prediction.js";
import { refusedBy } from "./prediction.js";
import { quoteRule } from "./quote.js";
import { fromInterface } from "./source-address.js";

/** What comes next on a packet's way. */
export type Next =
  | {
      readonly at: "send";
      readonly node: NodeSnapshot;
      readonly header: Header;
      readonly unbound: "once" | "twice" | undefined;
    }
  | {
      readonly at: "frame";
      readonly place: Place;
      readonly direction: "in" | "out";
      readonly header: Header;
      readonly toward: Place | undefined;
      /** Of what the node's own loopback carries: conntrack knows it already. */
      readonly connection?: Connection | undefined;
    }
  | {
      readonly at: "receive";
      readonly place: Place;
      readonly header: Header;
      readonly received: boolean;
      /** The rules before routing were asked already: what the packet was before them, and its connection. */
      readonly prerouted?: { readonly before: Header; readonly connection: Connection };
      readonly connection?: Connection | undefined;
    }
  | { readonly at: "end"; readonly end: PredictionEnd };

export function ended(end: PredictionEnd): Next {
  return { at: "end", end };
}

export interface WayOptions {
  readonly translate: Translate;
  /** Goes on as if no rule dropped or rejected it. */
  readonly pastRules: boolean;
  /** `translate` knows every connection. */
  readonly complete: boolean;
}

/** Longest way that is followed: a routing loop ends here at the latest (TTLs are at most 255). */
const MAXIMUM_STEPS = 256;

export class Way {
  readonly bridging: Bridging;
  readonly trail: (Step | Decision)[] = [];
  readonly doubts: Doubt[] = [];
  readonly passages: Passage[] = [];
  #hops = 0;

  constructor(
    readonly network: Network,
    readonly options: WayOptions,
  ) {
    this.bridging = new Bridging(network);
  }

  step(place: Place, direction: "in" | "out", header: Header, implied = false): boolean {
    this.trail.push({ kind: "hop", hop: nameOf(place), place, direction, header, implied });
    return ++this.#hops < MAXIMUM_STEPS;
  }

  note(node: string, stage: Stage, by: Decision["by"], text: string): void {
    this.trail.push({ kind: "decision", node, stage, by, text });
  }

  doubt(node: string, text: string, assumed: boolean): void {
    if (!this.doubts.some((known) => known.node === node && known.text === text))
      this.doubts.push({ node, text, assumed });
  }

  tooLong(node: string): Next {
    return ended({ kind: "unknown", node, reason: `the way is longer than ${MAXIMUM_STEPS} hops: a loop` });
  }

  connection(node: string, header: Header): Connection {
    // It may come by a node twice: then it is known there.
    const translate = remembering(this.passages, this.options.translate);
    return connectionOf(node, header, translate, this.options.complete);
  }

  /** Remembers how a node has changed a packet so far: its answer, and an error about it, is changed back. */
  passed(node: string, connection: Connection | undefined, before: Header, after: Header): void {
    if (connection?.translated !== undefined) return;
    if (connection?.state === "invalid" || connection?.state === "untracked") return;
    const known = this.passages.findIndex((one) => one.node === node && one.before === before);
    if (known < 0) this.passages.push({ node, before, after });
    else this.passages[known] = { node, before, after };
  }

  /** What a hook would make of a packet: nothing is noted. */
  try(hook: Hook, asked: Asked): HookResult {
    const { node, header, connection, tracked = true } = asked;
    return askHook(node.nftables, hook, header, this.#context(asked), connection, tracked);
  }

  /** @returns what the hook makes of the packet, and its end where it refuses it */
  ask(hook: Hook, asked: Asked): HookResult & { readonly end?: Drop } {
    const { node, role, header, because } = asked;
    const result = this.try(hook, asked);
    for (const { by, text } of result.decisions) this.note(node.name, hook, by, text);
    for (const { quote, text, assumed } of result.doubts)
      this.doubt(
        node.name,
        assumed ? `${text} of ${quoteRule(quote)} is not exceeded` : `${quoteRule(quote)}: '${text}' cannot be judged`,
        assumed,
      );
    if (result.refusal === undefined) return result;
    if (this.options.pastRules) return { ...result, header };
    const { kind, quote } = result.refusal;
    return { ...result, end: refusedBy(node.name, role, result.header, kind, quote, because) };
  }

  #context({ node, header, input, output, near }: Asked): Omit<RuleContext, "connection"> {
    const name = output ?? input;
    const own = name === undefined ? undefined : fromInterface(node, name, near ?? header.destination);
    return {
      ...(input === undefined ? {} : { input }),
      ...(output === undefined ? {} : { output }),
      destinationType: this.typeOf(node.name, header),
      ...(own === undefined ? {} : { ownAddress: addressText(own.address) }),
    };
  }

  typeOf(node: string, { destination }: Header): "local" | "broadcast" | "multicast" | "unicast" {
    if (this.network.localPlace(node, destination) !== undefined) return "local";
    if (this.network.isBroadcast(node, destination)) return "broadcast";
    return isMulticast(destination) ? "multicast" : "unicast";
  }
}

export interface Asked {
  readonly node: NodeSnapshot;
  readonly role: Drop["role"];
  readonly header: Header;
  readonly connection: Connection;
  /** Conntrack has looked at the packet in an earlier hook. Default: yes. */
  readonly tracked?: boolean;
  readonly input?: string | undefined;
  readonly output?: string | undefined;
  /** The next hop: masquerade takes an address of its network. */
  readonly near?: Header["destination"];
  /** Why the rules are asked at all. */
  readonly because?: string;
}
