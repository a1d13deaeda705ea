/** Numbers of linux/netfilter/nf_tables.h and nfnetlink.h, by their kernel names. */
export const NFNL_SUBSYS_CTNETLINK = 1;
export const NFNL_SUBSYS_NFTABLES = 10;
export const NFNL_MSG_BATCH_BEGIN = 16;
export const NFNL_MSG_BATCH_END = 17;

export const NFNLGRP_CONNTRACK_NEW = 1;
export const NFNLGRP_CONNTRACK_UPDATE = 2;
export const NFNLGRP_CONNTRACK_DESTROY = 3;
export const NFNLGRP_NFTABLES = 7;
export const NFNLGRP_NFTRACE = 9;

const nftables = (message: number) => (NFNL_SUBSYS_NFTABLES << 8) | message;
export const NFT_MSG_NEWTABLE = nftables(0);
export const NFT_MSG_GETTABLE = nftables(1);
export const NFT_MSG_DELTABLE = nftables(2);
export const NFT_MSG_NEWCHAIN = nftables(3);
export const NFT_MSG_GETCHAIN = nftables(4);
export const NFT_MSG_DELCHAIN = nftables(5);
export const NFT_MSG_NEWRULE = nftables(6);
export const NFT_MSG_GETRULE = nftables(7);
export const NFT_MSG_DELRULE = nftables(8);
export const NFT_MSG_NEWSET = nftables(9);
export const NFT_MSG_GETSET = nftables(10);
export const NFT_MSG_NEWSETELEM = nftables(12);
export const NFT_MSG_GETSETELEM = nftables(13);
export const NFT_MSG_NEWGEN = nftables(15);
export const NFT_MSG_GETGEN = nftables(16);
export const NFT_MSG_TRACE = nftables(17);

/** NFPROTO_*, by the words of nft(8). */
export const families = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const;
export const NFPROTO_IPV4 = 2;
export const NFPROTO_IPV6 = 10;

/** NF_INET_*, by the words of nft(8). `ingress` is 5 in the family inet and 0 in netdev. */
export const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4, ingress: 5 } as const;

export const NFT_TABLE_F_OWNER = 2;
export const NFT_SET_ANONYMOUS = 1;
export const NFT_SET_CONSTANT = 2;
export const NFT_SET_INTERVAL = 4;
export const NFT_SET_ELEM_INTERVAL_END = 1;

export const NF_DROP = 0;
export const NF_ACCEPT = 1;
export const NFT_CONTINUE = -1;
export const NFT_JUMP = -3;
export const NFT_GOTO = -4;
export const NFT_RETURN = -5;

export const NFT_REG_VERDICT = 0;
export const NFT_REG_1 = 1;

export const NFT_META_PROTOCOL = 1;
export const NFT_META_MARK = 3;
export const NFT_META_IIFNAME = 6;
export const NFT_META_OIFNAME = 7;
export const NFT_META_NFTRACE = 12;
export const NFT_META_NFPROTO = 15;
export const NFT_META_L4PROTO = 16;
export const NFT_META_PKTTYPE = 19;

export const NFT_CT_STATE = 0;
export const NFT_CT_DIRECTION = 1;
export const NFT_CT_STATUS = 2;
export const NFT_CT_MARK = 3;

export const NFT_PAYLOAD_NETWORK_HEADER = 1;
export const NFT_PAYLOAD_TRANSPORT_HEADER = 2;

export const comparisons = { "==": 0, "!=": 1, "<": 2, "<=": 3, ">": 4, ">=": 5 } as const;
export const NFT_CMP_EQ = 0;
export const NFT_CMP_NEQ = 1;
export const NFT_CMP_LTE = 3;
export const NFT_CMP_GTE = 5;

export const NFT_LOOKUP_F_INV = 1;

export const NFT_FIB_RESULT_ADDRTYPE = 3;
export const NFTA_FIB_F_DADDR = 2;

export const NFT_NAT_SNAT = 0;
export const NFT_NAT_DNAT = 1;
export const NF_NAT_RANGE_PROTO_SPECIFIED = 2;
export const NF_NAT_RANGE_PROTO_RANDOM = 4;

export const NFT_REJECT_ICMP_UNREACH = 0;
export const NFT_REJECT_TCP_RST = 1;
export const NFT_REJECT_ICMPX_UNREACH = 2;
