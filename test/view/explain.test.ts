/** What `explain` prints: the path with its reasons, and beside it what was seen. */
import test from "ava";
import type { Explanation } from "../../src/model/explanation.js";
import type { PacketEvent } from "../../src/model/trace.js";
import { parseAddress } from "../../src/model/address.js";
import { differenceOf } from "../../src/path/compare.js";
import { type ExchangeStart, predictExchange } from "../../src/path/exchange.js";
import { narrate } from "../../src/path/narrate.js";
import { explainLines } from "../../src/view/explain.js";
import { dockerBridge } from "../path/docker-bridge.js";
import { golden } from "./golden.js";

function explained(port: number): Explanation {
  const start: ExchangeStart = { node: "client", protocol: "tcp", destination: parseAddress("203.0.113.1")!, port };
  return narrate(dockerBridge, start, predictExchange(dockerBridge, start));
}

/** A request that was seen at these hops, unchanged. */
function seen(port: number, hops: readonly string[], verdict: PacketEvent["verdict"]): PacketEvent {
  return {
    ...{ type: "packet", id: 1, exchange: 1, direction: "request", time: 0, protocol: "tcp", summary: "SYN" },
    ...{ rewrites: [], implied: [], match: "exact", verdict },
    sightings: hops.map((hop, index) => ({
      ...{ hop, time: index, record: 0, length: 74, source: "203.0.113.2", destination: "203.0.113.1" },
      ...{ sourcePort: 40000, destinationPort: port },
    })),
  }; // the spread loses the literal types
}

const tapped = () => true;

test("a published port: the way there and back, with what decides", (t) => {
  golden(t, "explain", explainLines(explained(8080)).join("\n"));
});

test("the first difference is marked, with what the prediction went by there", (t) => {
  const dropped = { kind: "dropped", after: "host:eth0", before: "host:yapc0" } as const;
  const observed = {
    verdict: "dropped",
    reason: "the request was dropped between host:eth0 and host:yapc0",
    packets: [seen(8080, ["client:eth0", "host:eth0"], dropped)],
  } as const;
  const predicted = explained(8080);
  const difference = differenceOf(predicted, observed, tapped);
  t.like(difference, { in: "request", at: "host:yapc0", observed: "dropped after host:eth0" });
  golden(
    t,
    "explain-difference",
    explainLines({ ...predicted, observed, ...(difference && { difference }) }).join("\n"),
  );
});

test("where both end at one place they agree; hops without a tap do not count", (t) => {
  const dropped = { kind: "dropped", after: "host:eth0", before: "host:yapc0" } as const;
  const observed = { verdict: "dropped", packets: [seen(8081, ["client:eth0", "host:eth0"], dropped)] } as const;
  t.is(differenceOf(explained(8081), observed, tapped), undefined);
  const blind = { verdict: "dropped", packets: [seen(8081, ["host:eth0"], dropped)] } as const;
  t.is(
    differenceOf(explained(8081), blind, (hop) => hop !== "client:eth0"),
    undefined,
  );
  t.like(differenceOf(explained(8081), blind, tapped), { in: "request", at: "client:eth0", observed: "host:eth0" });
  t.like(differenceOf(explained(8081), { verdict: "unsent", packets: [] }, tapped), { observed: "no hop saw it" });
});

test("another port at a hop is a difference, too", (t) => {
  const [packet] = [seen(8082, ["client:eth0", "host:eth0"], { kind: "delivered" })];
  const difference = differenceOf(explained(8081), { verdict: "dropped", packets: [packet] }, tapped);
  t.like(difference, {
    predicted: "203.0.113.2:40000 -> 203.0.113.1:8081",
    observed: "203.0.113.2:40000 -> 203.0.113.1:8082",
  });
});
