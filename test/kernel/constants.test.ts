/**
 * Our numbers against the machine's kernel headers (linux-libc-dev), as its C compiler reads them. Ours may be more: what
 * the headers do not have yet is listed, and not compared.
 */
import test from "ava";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import * as framing from "../../src/kernel/framing.js";
import { constants as system } from "../../src/kernel/syscalls.js";
import * as nft from "../../src/kernel/nftables/constants.js";
import * as route from "../../src/kernel/rtnetlink/constants.js";
import * as linkMessages from "../../src/kernel/rtnetlink/link-messages.js";
import * as routeMessages from "../../src/kernel/rtnetlink/messages.js";
import * as trafficControl from "../../src/kernel/rtnetlink/traffic-control-messages.js";
import { conntrackMessage } from "../../src/kernel/conntrack/messages.js";
import { expressionSchemas } from "../../src/kernel/nftables/expressions.js";
import * as nftMessages from "../../src/kernel/nftables/messages.js";
import * as flows from "../../src/kernel/conntrack/flows.js";
import { skip } from "../tools.js";

const headers = [
  "linux/netlink.h", "linux/rtnetlink.h", "linux/if_link.h", "linux/if_addr.h", "linux/neighbour.h", "linux/fib_rules.h",
  "linux/net_namespace.h", "linux/pkt_sched.h", "linux/if_bridge.h", "linux/veth.h", "linux/netfilter.h",
  "linux/netfilter/nfnetlink.h", "linux/netfilter/nf_tables.h", "linux/netfilter/nf_nat.h",
  "linux/netfilter/nfnetlink_conntrack.h", "linux/inet_diag.h", "linux/sock_diag.h", "linux/ethtool.h", "linux/sockios.h",
  "linux/fcntl.h", "linux/memfd.h", "linux/sched.h",
]; // prettier-ignore

/** What the compiler makes of each name; undefined where the headers do not have it. */
function valuesOf(names: readonly string[]): Map<string, number> {
  const program = (known: readonly string[]) =>
    [
      "#define _GNU_SOURCE",
      "#include <stdio.h>",
      "#include <sys/socket.h>",
      "#include <fcntl.h>",
      "#include <poll.h>",
      "#include <time.h>",
      "#include <net/if.h>",
      ...headers
        .filter((header) => !/fcntl|memfd|sched.h$/.test(header) || header.includes("pkt"))
        .map((header) => `#include <${header}>`),
      "#include <linux/nsfs.h>",
      "#include <sys/mman.h>",
      "#include <sched.h>",
      "#include <sys/ioctl.h>",
      "int main(void) {",
      ...known.map((name) => `printf("%s %lld\\n", "${name}", (long long)(${name}));`),
      "}",
    ].join("\n");
  const compile = (known: readonly string[], output: string) =>
    execFileSync("cc", ["-x", "c", "-w", "-fmax-errors=0", "-o", output, "-"], {
      input: program(known),
      stdio: ["pipe", "pipe", "pipe"],
    });
  let known = names;
  try {
    compile(known, "/dev/null");
  } catch (error) {
    const complaints = String((error as { stderr: Buffer }).stderr);
    const absent = new Set([...complaints.matchAll(/[‘'](\w+)[’'] undeclared/g)].map(([, name]) => name!));
    known = names.filter((name) => !absent.has(name));
  }
  const directory = execFileSync("mktemp", ["-d"], { encoding: "utf8" }).trim();
  try {
    compile(known, `${directory}/values`);
    const lines = execFileSync(`${directory}/values`, { encoding: "utf8" }).trim().split("\n");
    return new Map(lines.map((line) => [line.split(" ")[0]!, Number(line.split(" ")[1])]));
  } finally {
    execFileSync("rm", ["-r", directory]);
  }
}

/** Names of the kernel in our own tables. */
function* constants(): Generator<[string, number]> {
  for (const source of [framing, nft, route, route.groups, system, flows]) {
    for (const [name, value] of Object.entries(source)) {
      if (typeof value === "number" && /^[A-Z][A-Z0-9_]+$/.test(name)) yield [name, value];
    }
  }
}

/** Words of ours for attributes, with those of the kernel where the plain rule (camelCase -> CAMEL_CASE) does not give them. */
const schemas: readonly (readonly [prefix: string, types: readonly (readonly [string, number])[], words: Record<string, string>])[] = [
  ["IFLA_", linkMessages.linkAttributes.types, {
    name: "IFNAME", mac: "ADDRESS", protocolInfo: "PROTINFO", txQueueLength: "TXQLEN", operationalState: "OPERSTATE", linkMode: "LINKMODE",
    alias: "IFALIAS", statistics: "STATS64", netnsPid: "NET_NS_PID", netnsFd: "NET_NS_FD", extendedMask: "EXT_MASK", txQueues: "NUM_TX_QUEUES",
    rxQueues: "NUM_RX_QUEUES", gsoMaximumSegments: "GSO_MAX_SEGS", gsoMaximumSize: "GSO_MAX_SIZE", newIndex: "NEW_IFINDEX",
    minimumMtu: "MIN_MTU", maximumMtu: "MAX_MTU", properties: "PROP_LIST", altname: "ALT_IFNAME", permanentMac: "PERM_ADDRESS",
    groMaximumSize: "GRO_MAX_SIZE", info: "LINKINFO",
  }],
  ["IFLA_INFO_", linkMessages.linkInfo.types, {}],
  ["IFLA_BR_", linkMessages.bridgeAttributes.types, {
    maximumAge: "MAX_AGE", groupForwardMask: "GROUP_FWD_MASK", multicastRouter: "MCAST_ROUTER", multicastSnooping: "MCAST_SNOOPING",
    multicastQuerier: "MCAST_QUERIER", callIptables: "NF_CALL_IPTABLES", callIp6tables: "NF_CALL_IP6TABLES", callArptables: "NF_CALL_ARPTABLES",
  }],
  ["IFLA_BRPORT_", linkMessages.bridgePortAttributes.types, {
    hairpin: "MODE", unicastFlood: "UNICAST_FLOOD", proxyArp: "PROXYARP", number: "NO", multicastFlood: "MCAST_FLOOD",
    broadcastFlood: "BCAST_FLOOD", neighbourSuppress: "NEIGH_SUPPRESS",
  }],
  ["IFLA_MACVLAN_", linkMessages.macvlanAttributes.types, {}],
  ["IFLA_VLAN_", linkMessages.vlanAttributes.types, {}],
  ["IFLA_VRF_", linkMessages.vrfAttributes.types, {}],
  ["IFLA_VRF_PORT_", linkMessages.vrfPortAttributes.types, {}],
  ["IFLA_VXLAN_", linkMessages.vxlanAttributes.types, { udpChecksum: "UDP_CSUM" }],
  ["IFA_", routeMessages.addressAttributes.types, { cacheInfo: "CACHEINFO", routePriority: "RT_PRIORITY", protocol: "PROTO" }],
  ["RTA_", routeMessages.routeAttributes.types, {
    destination: "DST", source: "SRC", inputIndex: "IIF", outputIndex: "OIF", preferredSource: "PREFSRC", cacheInfo: "CACHEINFO",
    preference: "PREF", ipProtocol: "IP_PROTO", sourcePort: "SPORT", destinationPort: "DPORT", nexthopId: "NH_ID",
  }],
  ["RTAX_", routeMessages.metricAttributes.types, { rtoMinimum: "RTO_MIN", congestionControl: "CC_ALGO" }],
  ["NDA_", routeMessages.neighbourAttributes.types, {
    destination: "DST", mac: "LLADDR", cacheInfo: "CACHEINFO", index: "IFINDEX",
  }],
  ["FRA_", routeMessages.ruleAttributes.types, {
    destination: "DST", source: "SRC", inputInterface: "IIFNAME", outputInterface: "OIFNAME", mark: "FWMARK", mask: "FWMASK",
    suppressPrefixLength: "SUPPRESS_PREFIXLEN", ipProtocol: "IP_PROTO",
  }],
  ["NETNSA_", routeMessages.nsidAttributes.types, { }],
  ["TCA_TBF_", trafficControl.tbfOptions.types, { parameters: "PARMS" }],
  ["TCA_HTB_", trafficControl.htbOptions.types, { parameters: "PARMS" }],
  ["TCA_NETEM_", trafficControl.netemOptions.body.types, { correlation: "CORR", seed: "PRNG_SEED" }],
  ["TCA_", trafficControl.trafficControlMessage.body.types, { statistics: "STATS2", hardwareOffload: "HW_OFFLOAD" }],
  ["NFTA_TABLE_", nftMessages.tableMessage.body.types, {}],
  ["NFTA_CHAIN_", nftMessages.chainMessage.body.types, {}],
  ["NFTA_RULE_", nftMessages.ruleMessage.body.types, {}],
  ["NFTA_SET_", nftMessages.setMessage.body.types, { keyLength: "KEY_LEN", dataLength: "DATA_LEN", description: "DESC" }],
  ["NFTA_SET_ELEM_", nftMessages.setElement.types, {}],
  ["NFTA_SET_ELEM_LIST_", nftMessages.setElementsMessage.body.types, {}],
  ["NFTA_GEN_", nftMessages.generationMessage.body.types, { processId: "PROC_PID", processName: "PROC_NAME" }],
  ["NFTA_TRACE_", nftMessages.traceMessage.body.types, {
    linkHeader: "LL_HEADER", networkHeader: "NETWORK_HEADER", inputIndex: "IIF", inputType: "IIFTYPE", outputIndex: "OIF",
    outputType: "OIFTYPE", protocolFamily: "NFPROTO", conntrackId: "CT_ID", conntrackDirection: "CT_DIRECTION",
    conntrackStatus: "CT_STATUS", conntrackState: "CT_STATE",
  }],
  ["NFTA_META_", expressionSchemas.meta.types, {}],
  ["NFTA_PAYLOAD_", expressionSchemas.payload.types, {
    length: "LEN", checksumType: "CSUM_TYPE", checksumOffset: "CSUM_OFFSET", checksumFlags: "CSUM_FLAGS",
  }],
  ["NFTA_CMP_", expressionSchemas.cmp.types, {}],
  ["NFTA_RANGE_", expressionSchemas.range.types, { from: "FROM_DATA", to: "TO_DATA" }],
  ["NFTA_BITWISE_", expressionSchemas.bitwise.types, { length: "LEN" }],
  ["NFTA_CT_", expressionSchemas.ct.types, {}],
  ["NFTA_FIB_", expressionSchemas.fib.types, {}],
  ["NFTA_IMMEDIATE_", expressionSchemas.immediate.types, {}],
  ["NFTA_COUNTER_", expressionSchemas.counter.types, {}],
  ["NFTA_LOOKUP_", expressionSchemas.lookup.types, {}],
  ["NFTA_NAT_", expressionSchemas.nat.types, {
    addressMinimum: "REG_ADDR_MIN", addressMaximum: "REG_ADDR_MAX", portMinimum: "REG_PROTO_MIN", portMaximum: "REG_PROTO_MAX",
  }],
  ["NFTA_MASQ_", expressionSchemas.masq.types, { portMinimum: "REG_PROTO_MIN", portMaximum: "REG_PROTO_MAX" }],
  ["NFTA_REDIR_", expressionSchemas.redir.types, { portMinimum: "REG_PROTO_MIN", portMaximum: "REG_PROTO_MAX" }],
  ["NFTA_LOG_", expressionSchemas.log.types, { snapshotLength: "SNAPLEN", queueThreshold: "QTHRESHOLD" }],
  ["NFTA_LIMIT_", expressionSchemas.limit.types, {}],
  ["NFTA_REJECT_", expressionSchemas.reject.types, { code: "ICMP_CODE" }],
  ["CTA_", conntrackMessage.body.types, {
    original: "TUPLE_ORIG", reply: "TUPLE_REPLY", protocolInfo: "PROTOINFO", countersOriginal: "COUNTERS_ORIG",
    countersReply: "COUNTERS_REPLY", master: "TUPLE_MASTER",
  }],
]; // prettier-ignore

const kernelWord = (name: string) => name.replace(/([a-z])([A-Z])|([a-z])(\d+)$/g, "$1$3_$2$4").toUpperCase();

function* attributeTypes(): Generator<[string, number]> {
  for (const [prefix, types, words] of schemas) {
    for (const [name, type] of types) {
      const plain = kernelWord(name)
        .replace(/(GROUP|LOCAL)_6$/, "$16")
        .replace(/(RATE|CEIL|LATENCY|JITTER)_64$/, "$164");
      yield [prefix + (words[name] ?? plain), type];
    }
  }
}

/** Not in any header: ours, of the design of the protocol. */
const ours = new Set(["NLMSG_HEADER", "IPCTNL_MSG_CT_NEW", "IPCTNL_MSG_CT_GET", "IPCTNL_MSG_CT_DELETE"]);

test("our numbers are those of the kernel's headers", (t) => {
  if (!existsSync("/usr/include/linux/netlink.h") || spawnSync("cc", ["--version"]).status !== 0) {
    t.true([...constants()].length > 100);
    skip(t, "needs the kernel's headers (linux-libc-dev) and a C compiler");
    return;
  }
  const own = new Map([...constants(), ...attributeTypes()].filter(([name]) => !ours.has(name)));
  const theirs = valuesOf([...own.keys()]);
  const absent: string[] = [];
  let compared = 0;
  for (const [name, value] of own) {
    const expected = theirs.get(name);
    if (expected === undefined) {
      absent.push(name);
      continue;
    }
    compared++;
    const subsystem = name.startsWith("NFT_MSG_") ? nft.NFNL_SUBSYS_NFTABLES << 8 : 0;
    t.is(value >>> 0, (expected | subsystem) >>> 0, name);
  }
  t.log(`${compared} numbers compared; not in these headers: ${absent.join(", ") || "none"}`);
  t.true(compared > 250);
  t.deepEqual(
    absent.filter((name) => !allowedAbsent.has(name)),
    [],
    "a name that no header has is a name that we made up",
  );
});

/** Younger than the oldest headers that we meet, or internal to the kernel or to glibc. */
const allowedAbsent = new Set([
  "MFD_EXEC",
  "IFF_LOWER_UP",
  "TCA_NETEM_PRNG_SEED",
  "NFTA_TRACE_CT_ID",
  "NFTA_TRACE_CT_DIRECTION",
  "NFTA_TRACE_CT_STATUS",
  "NFTA_TRACE_CT_STATE",
]);
