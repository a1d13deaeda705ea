/**
 * nf_tables in the words of nft(8). The semantic form: `kernel/` compiles it to the kernel's expressions and back,
 * `plan/` compares it, a snapshot holds it, a verdict quotes it.
 */
export type NftFamily = "ip" | "ip6" | "inet" | "arp" | "bridge" | "netdev";

export interface NftTable {
  readonly family: NftFamily;
  readonly name: string;
  readonly comment?: string;
  readonly chains: readonly NftChain[];
}

export interface NftChain {
  readonly name: string;
  /** Present on base chains. */
  readonly hook?: NftHook;
  readonly rules: readonly NftRule[];
}

export interface NftHook {
  readonly type: "filter" | "nat" | "route";
  readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting" | "ingress";
  /** Number: dstnat -100, filter 0, srcnat 100, … */
  readonly priority: number;
  readonly policy: "accept" | "drop";
}

export interface NftRule {
  /** Given by the kernel; absent in a rule that is yet to be made. */
  readonly handle?: number;
  readonly statements: readonly NftStatement[];
  readonly comment?: string;
}

/** A left side of a match, named as in nft(8). */
export type NftField =
  | "iifname"
  | "oifname"
  | "nfproto"
  | "l4proto"
  | "mark"
  | "ip saddr"
  | "ip daddr"
  | "ip6 saddr"
  | "ip6 daddr"
  | "th sport"
  | "th dport"
  | "tcp flags"
  | "icmp type"
  | "icmpv6 type"
  | "ct state"
  | "ct status"
  | "ct direction"
  | "ct mark"
  | "fib daddr type"
  | "pkttype";

/**
 * A value of a match. Addresses `10.0.0.1` or `10.0.0.0/24`; ports and protocols as numbers; interface names with an
 * optional trailing `*`; ct states and fib types by their nft words; ICMP types as numbers. An array is an anonymous set:
 * elements of it that overlap are merged when it is written, as nft(8) does.
 */
export type NftValue = string | number | readonly (string | number | NftRange)[] | NftRange;

export interface NftRange {
  readonly from: string | number;
  readonly to: string | number;
}

export type NftStatement =
  | {
      readonly kind: "match";
      readonly field: NftField;
      readonly op: "==" | "!=" | "<" | ">" | "<=" | ">=";
      readonly value: NftValue;
    }
  | { readonly kind: "accept" | "drop" | "return" | "continue" }
  | { readonly kind: "jump" | "goto"; readonly chain: string }
  | {
      readonly kind: "dnat" | "snat";
      readonly family: 4 | 6;
      readonly address?: string;
      readonly port?: number;
      readonly toPort?: number;
    }
  | { readonly kind: "masquerade"; readonly random?: boolean }
  | { readonly kind: "redirect"; readonly port?: number }
  | { readonly kind: "counter"; readonly packets: number; readonly bytes: number }
  | { readonly kind: "log"; readonly prefix?: string; readonly group?: number; readonly level?: number }
  | { readonly kind: "reject"; readonly with: "tcp reset" | "icmpx" | "icmp" | "icmpv6"; readonly code?: number }
  | {
      readonly kind: "limit";
      readonly rate: number;
      readonly per: "second" | "minute" | "hour" | "day";
      readonly burst?: number;
    }
  | { readonly kind: "meta set"; readonly key: "mark" | "nftrace"; readonly value: number }
  /** An expression that we cannot read (iptables-nft's compat ones among them): shown, never lost. */
  | { readonly kind: "unknown"; readonly name: string; readonly text: string };
