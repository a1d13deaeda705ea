import { NETLINK_NETFILTER, NetlinkClient, nftables } from "../../../src/kernel/index.js";

using client = NetlinkClient.open(NETLINK_NETFILTER);
nftables.replaceTables(client, [
  {
    family: "inet",
    name: "web",
    chains: [
      {
        name: "input",
        hook: { type: "filter", hook: "input", priority: 0, policy: "drop" },
        rules: [
          {
            statements: [
              { kind: "match", field: "ct state", op: "==", value: ["established", "related"] },
              { kind: "accept" },
            ],
          },
          {
            statements: [
              { kind: "match", field: "l4proto", op: "==", value: 6 },
              { kind: "match", field: "th dport", op: "==", value: [80, 443] },
              { kind: "counter", packets: 0, bytes: 0 },
              { kind: "accept" },
            ],
            comment: "the web",
          },
        ],
      },
    ],
  },
]);
for (const { family, name, chains } of nftables.readTables(client)) {
  for (const chain of chains) {
    for (const { handle, comment, statements } of chain.rules) {
      console.log(family, name, chain.name, handle, comment ?? "-", statements.map(({ kind }) => kind).join(" "));
    }
  }
}
