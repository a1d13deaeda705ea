/** A link as the kernel shows it. */
import { type Infer, headed } from "../codec/index.js";
import * as k from "./constants.js";
import { type bridgePortAttributes, ifinfomsg, linkAttributes, type linkStats } from "./link-messages.js";

export type LinkStatistics = Infer<typeof linkStats>;
export type BridgePort = Infer<typeof bridgePortAttributes>;

/** Settings of a bridge as the kernel holds them: times in 1/100 s. */
type KernelInfo = NonNullable<Infer<typeof linkAttributes>["info"]>;
type KindSettings = NonNullable<KernelInfo["data"]>;

export interface Link {
  readonly index: number;
  readonly name: string;
  /** `veth`, `bridge`, …; `loopback` for lo, undefined where the kernel names none (hardware). */
  readonly kind: string | undefined;
  readonly mac: string | undefined;
  readonly mtu: number;
  /** IFF_UP: set by the administrator. */
  readonly up: boolean;
  /** IFF_LOWER_UP: carrier. */
  readonly carrier: boolean;
  /** `up`, `down`, `lowerlayerdown`, … (RFC 2863). */
  readonly operationalState: string;
  /** IFF_*. */
  readonly flags: number;
  readonly alias: string | undefined;
  readonly altnames: readonly string[];
  readonly group: number;
  /** Index of the bridge that it is a port of, or of the vrf (or other master) that it belongs to. */
  readonly master: number | undefined;
  /** IFLA_LINK: the other end of a veth pair, the parent of a macvlan. In the namespace `linkNetnsid`, if there is one. */
  readonly link: number | undefined;
  readonly linkNetnsid: number | undefined;
  readonly qdisc: string | undefined;
  readonly txQueueLength: number | undefined;
  /** Settings of its kind: `settings.bridge`, `settings.vxlan`, … Times of a bridge in 1/100 s. */
  readonly settings: KindSettings | undefined;
  /** Settings and state as a port of a bridge. */
  readonly port: BridgePort | undefined;
  readonly statistics: LinkStatistics | undefined;
}

const shown = [
  "name",
  "mac",
  "mtu",
  "operationalState",
  "alias",
  "properties",
  "group",
  "master",
  "link",
  "linkNetnsid",
  "qdisc",
  "txQueueLength",
  "info",
] as const;

/** Of a link message, what `Link` shows. */
export const linkReply = headed(ifinfomsg, linkAttributes.only(...shown, "statistics"));

/** The same without the counters. */
export const uncountedLinkReply = headed(ifinfomsg, linkAttributes.only(...shown));

export type LinkReply = Infer<typeof linkReply>;

export function toLink({ header, attributes: a }: LinkReply): Link {
  const loopback = (header.flags & k.IFF_LOOPBACK) !== 0;
  return {
    index: header.index,
    name: a.name ?? "",
    kind: a.info?.kind ?? (loopback ? "loopback" : undefined),
    mac: a.mac,
    mtu: a.mtu ?? 0,
    up: (header.flags & k.IFF_UP) !== 0,
    carrier: (header.flags & k.IFF_LOWER_UP) !== 0,
    operationalState: k.operationalStates[a.operationalState ?? 0] ?? "unknown",
    flags: header.flags,
    alias: a.alias,
    altnames: a.properties?.altnames ?? [],
    group: a.group ?? 0,
    master: a.master,
    link: a.link,
    linkNetnsid: a.linkNetnsid,
    qdisc: a.qdisc,
    txQueueLength: a.txQueueLength,
    settings: a.info?.data,
    port: a.info?.slaveData?.bridge,
    statistics: a.statistics,
  };
}
