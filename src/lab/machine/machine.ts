/** The machine as this process sees it: sockets in its own network namespace, and whether that is the one that is meant. */
import { statSync } from "node:fs";
import { type Link, links, NETLINK_NETFILTER, NETLINK_ROUTE, NetlinkClient, nftables } from "../../kernel/index.js";
import { Failure } from "../../model/failure.js";
import type { NftTable } from "../../model/nft.js";
import { bootId } from "../state.js";
import type { JournalHeader } from "./journal.js";

/** The namespace of this process, for `adoptNode` and for IFLA_NET_NS_FD. */
export const ownNamespace = "/proc/self/ns/net";

/** Codes of a kernel that has no nf_tables: then it has no tables. */
const withoutNftables = new Set(["EPROTONOSUPPORT", "EOPNOTSUPP", "EINVAL"]);

export class Machine implements Disposable {
  readonly route = NetlinkClient.open(NETLINK_ROUTE, { node: "the machine" });
  #netfilter: NetlinkClient | undefined;

  get netfilter(): NetlinkClient {
    this.#netfilter ??= NetlinkClient.open(NETLINK_NETFILTER, { node: "the machine" });
    return this.#netfilter;
  }

  /** All links, without their counters. */
  links(): Link[] {
    return this.route.execute(links.list({ statistics: false }));
  }

  tables(): NftTable[] {
    try {
      return nftables.readTables(this.netfilter);
    } catch (error) {
      if (error instanceof Error && "code" in error && withoutNftables.has(String(error.code))) return [];
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.route[Symbol.dispose]();
    this.#netfilter?.[Symbol.dispose]();
  }
}

/** Inode of the network namespace of this process. */
export function ownNetns(): string {
  return statSync(ownNamespace, { bigint: true }).ino.toString();
}

/** Whether anything that a journal tells of can still be there. */
export function isThisBoot(header: Pick<JournalHeader, "bootId">): boolean {
  return header.bootId === bootId();
}

/** @throws Failure (usage) where the lab was built in another network namespace than this process is in */
export function checkPlace({ lab, netns }: Pick<JournalHeader, "lab" | "netns">): void {
  if (netns === ownNetns()) return;
  throw new Failure(
    "usage",
    `lab '${lab}' is built in another network namespace (${netns}) than this command runs in`,
    {
      hint: "run it where `up` ran",
      code: "OTHER_NAMESPACE",
    },
  );
}
