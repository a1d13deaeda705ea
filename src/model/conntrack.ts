/** Connection tracking, as ctnetlink tells it (linux/netfilter/nfnetlink_conntrack.h). */

/** One direction of a connection. For ICMP the ports are absent and `icmp` is set. */
export interface Tuple {
  readonly source: string;
  readonly destination: string;
  /** IP protocol number: 6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6. */
  readonly protocol: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly icmp?: { readonly type: number; readonly code: number; readonly id: number };
}

export interface ConntrackFlow {
  /** CTA_ID: names the entry within its namespace. */
  readonly id: number;
  readonly zone: number;
  readonly family: 4 | 6;
  /** As the first packet was before NAT. */
  readonly original: Tuple;
  /** As an answer looks when it arrives: NAT happened where it is not the mirror image of `original`. */
  readonly reply: Tuple;
  /** IPS_* bits. */
  readonly status: number;
  /** `established`, `time_wait`, … for TCP. */
  readonly tcpState?: string;
  /** Seconds. */
  readonly timeout?: number;
  readonly mark?: number;
}

export interface ConntrackEvent {
  readonly kind: "new" | "update" | "destroy";
  /** The node in whose namespace the entry lives. */
  readonly node: string;
  readonly flow: ConntrackFlow;
}
