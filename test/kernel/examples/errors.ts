import {
  NETLINK_ROUTE,
  NetlinkClient,
  NetlinkError,
  UnsupportedError,
  links,
  qdiscs,
} from "../../../src/kernel/index.js";

using client = NetlinkClient.open(NETLINK_ROUTE, { node: "web", onWarning: ({ text }) => console.warn(text) });
try {
  client.execute(links.add({ kind: "bridge", name: "a-name-that-is-too-long" }));
} catch (error) {
  if (!(error instanceof NetlinkError)) throw error;
  console.log(error.message);
  console.log(error.code, error.attribute, error.policy?.maximumLength);
}

// Of a pipeline each request has an outcome of its own: it is no transaction.
const outcomes = client.pipeline([
  links.add({ kind: "bridge", name: "br0" }),
  links.add({ kind: "bridge", name: "br0" }),
  qdiscs.set(1, { kind: "netem", delay: 5_000_000 }),
]);
for (const outcome of outcomes) {
  if (outcome.ok) console.log("done");
  else if (outcome.error instanceof UnsupportedError) console.log("this kernel lacks", outcome.error.feature.symbol);
  else console.log(outcome.error.message);
}
