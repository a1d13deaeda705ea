/**
 * Trace events: what the trace core tells every view, and what JSON Lines carry, one a line, in this order:
 * one `trace`, then `packet` and `exchange` as they close and `log` as containers write, then one `hop` for each hop, then
 * one `end`.
 *
 * Times are nanoseconds since the trace began, as numbers (exact below 2^53 ns = 104 days). Live views also get
 * `provisional` packets, which never reach JSON Lines.
 */
import type { Durations } from "./duration-histogram.js";
import type { Hop } from "./hop.js";

export type TraceEvent = TraceStarted | PacketEvent | ExchangeEvent | LogEvent | HopEvent | TraceEnded;

export interface TraceStarted {
  readonly type: "trace";
  readonly version: 1;
  readonly lab?: string;
  /** Wall clock of time 0: nanoseconds since 1970, a decimal string (does not fit a double). */
  readonly epoch: string;
  readonly hops: readonly Hop[];
  readonly filter: TraceFilter;
}

/** What `--port`, `--host`, `--proto` asked for. Matches if any sighting of the packet matches. */
export interface TraceFilter {
  readonly ports: readonly number[];
  readonly hosts: readonly string[];
  readonly protocols: readonly string[];
  /** A literal pcap filter, given to each tap as it is. */
  readonly raw?: string;
}

/** How sure a join is (docs/tracing.md). `single`: one sighting only, there was nothing to join. */
export type MatchClass = "exact" | "strong" | "ordered" | "ambiguous" | "single";

export interface PacketEvent {
  readonly type: "packet";
  /** Counts from 1 in the order of first sightings; stable between the provisional and the closed form. */
  readonly id: number;
  /** True while more sightings may come (live views only). */
  readonly provisional?: true;
  /** Id of the exchange (connection) it belongs to. */
  readonly exchange: number;
  readonly direction: "request" | "reply";
  /** Time of the first sighting. */
  readonly time: number;
  /** `tcp`, `udp`, `icmp`, `icmpv6`, `arp`, `ip-47`, … */
  readonly protocol: string;
  /** In a few words: `SYN`, `ACK`, `PSH ACK 73 B`, `echo request 1`, `who-has 10.0.0.1`. */
  readonly summary: string;
  /** In path order. */
  readonly sightings: readonly Sighting[];
  readonly rewrites: readonly Rewrite[];
  /** Hops on its way that cannot show it (a bridge does not see what it passes on between ports). */
  readonly implied: readonly { readonly hop: string; readonly after: string }[];
  readonly match: MatchClass;
  readonly verdict: Verdict;
}

/** Which packets have events. All of them are counted, whatever is told. */
export type PacketsTold = "all" | "undelivered" | "none";

/** One captured record at one hop. */
export interface Sighting {
  readonly hop: string;
  readonly time: number;
  /** Number of the record in the capture of its hop, from 0: finds the bytes again in a saved trace. */
  readonly record: number;
  /** Number of that capture, where it is not that of the hop: taps on whole nodes see many hops. */
  readonly capture?: number;
  /** Bytes on the wire, link layer included. */
  readonly length: number;
  readonly source: string;
  readonly destination: string;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly ttl?: number;
  readonly sourceMac?: string;
  readonly destinationMac?: string;
}

/** What changed between two neighbouring sightings. */
export interface Rewrite {
  readonly kind: "dnat" | "snat" | "ttl" | "mac" | "segmentation" | "mss" | "dscp";
  /** Hop before and after the change. */
  readonly between: readonly [string, string];
  /** `203.0.113.1:8080` -> `10.0.0.10:80`. */
  readonly from: string;
  readonly to: string;
}

export type Verdict =
  | { readonly kind: "delivered" }
  /** A RST or an ICMP error came back for it. */
  | { readonly kind: "refused"; readonly by: string; readonly reason: string }
  | {
      readonly kind: "dropped";
      /** The last hop that saw it. */
      readonly after: string;
      /** The next hop on its way, which did not. Absent: inside the node of `after` (its own stack). */
      readonly before?: string;
      readonly cause?: Cause;
    }
  | { readonly kind: "unknown"; readonly reason: string };

/** Why a packet died. The list of codes grows with the collectors; `evidence` says what was seen. */
export interface Cause {
  /** `nft-drop`, `no-route`, `rp-filter`, … (docs/causes.md). */
  readonly code: string;
  /** In words of the topology: `nft rule 'no 81' (inet yapc, forward, handle 7)`. */
  readonly text: string;
  readonly evidence: readonly Evidence[];
}

export interface Evidence {
  readonly source: "nft-trace" | "kfree-skb" | "fib" | "neighbour" | "icmp" | "reset" | "counter" | "configuration";
  /** `proof` was seen for this packet; `sign` fits it. */
  readonly strength: "proof" | "sign";
  readonly text: string;
  readonly time?: number;
}

/** Both directions of one connection. Sent when it ends or the trace does. */
export interface ExchangeEvent {
  readonly type: "exchange";
  readonly id: number;
  readonly protocol: string;
  /** As the client wrote it: `203.0.113.2:43210`. */
  readonly client: string;
  /** As the client addressed it: `203.0.113.1:8080`. */
  readonly server: string;
  /** As it looked behind NAT, where that differs: `10.0.0.10:80`. */
  readonly translated?: { readonly client: string; readonly server: string };
  readonly packets: number;
  readonly verdict: "answered" | "refused" | "unanswered" | "unknown";
  readonly reason?: string;
  readonly start: number;
  readonly end: number;
}

/** A line that the application of a container wrote: the last hop of what reaches it. */
export interface LogEvent {
  readonly type: "log";
  /** Node of the container. */
  readonly node: string;
  /** When its init read the line. */
  readonly time: number;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

export interface HopEvent {
  readonly type: "hop";
  readonly hop: string;
  readonly seen: number;
  /** Records the tap lost (kernel buffer full): a missing sighting here proves nothing. */
  readonly dropped: number;
  /** Packets that are told as `dropped` with this hop as `before`: it was the next on their way, and did not see them. */
  readonly missing: number;
  /**
   * How long the packets that are told took to the hop that saw them next, for each such hop. Left out where both sightings
   * carry one and the same stamp; of a packet that was divided, its first part counts.
   */
  readonly next: readonly NextHop[];
  /** For how long the tap did not answer, in nanoseconds: of what passed meanwhile, a missing sighting here proves nothing. */
  readonly silent?: number;
  /** The tap ended before the trace did (its interface disappeared, somebody killed it): later it saw nothing. */
  readonly died?: true;
}

/** Quantiles are right to 0.8 %. Less than no time: two processors gave the stamps. */
export interface NextHop extends Durations {
  readonly hop: string;
}

export interface TraceEnded {
  readonly type: "end";
  readonly time: number;
  readonly packets: number;
  readonly exchanges: number;
  readonly matches: Readonly<Record<MatchClass, number>>;
  readonly verdicts: Readonly<Record<Verdict["kind"], number>>;
  /** Sightings that left the window before their packet closed. */
  readonly evicted: number;
}
