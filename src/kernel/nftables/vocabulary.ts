/** Words of nft(8) for numbers of the kernel: what both directions, compiling and decompiling, go by. */
import type { NftStatement } from "../../model/nft.js";
import * as k from "./constants.js";
import type { Dependency } from "./fields.js";

/** nft's own, where a limit names none. */
export const DEFAULT_BURST = 5;

/** Seconds. */
export const limitUnits = { second: 1, minute: 60, hour: 3600, day: 86400 } as const;

/** Codes: port unreachable, where none is given. */
export const rejections: Readonly<
  Record<
    Extract<NftStatement, { kind: "reject" }>["with"],
    { readonly type: number; readonly code: number; readonly needs?: Dependency }
  >
> = {
  "tcp reset": { type: k.NFT_REJECT_TCP_RST, code: 0, needs: { field: "l4proto", value: 6 } },
  icmpx: { type: k.NFT_REJECT_ICMPX_UNREACH, code: 1 },
  icmp: { type: k.NFT_REJECT_ICMP_UNREACH, code: 3, needs: { field: "nfproto", value: k.NFPROTO_IPV4 } },
  icmpv6: { type: k.NFT_REJECT_ICMP_UNREACH, code: 4, needs: { field: "nfproto", value: k.NFPROTO_IPV6 } },
};
