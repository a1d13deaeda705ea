/** What `explain` predicts is what is seen: on every topology that ships, and on generated ones. */
import { readdirSync } from "node:fs";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { LabFolder } from "../../src/lab/state.js";
import { parseAddress } from "../../src/model/address.js";
import type { Explanation } from "../../src/model/explanation.js";
import { Failure } from "../../src/model/failure.js";
import { type ExchangeStart, predictExchange } from "../../src/path/exchange.js";
import { narrate } from "../../src/path/narrate.js";
import { links } from "../../src/kernel/index.js";
import { abandonLab, buildLab } from "../../src/session/build-lab.js";
import { observeExchanges } from "../../src/session/observe-exchange.js";
import type { OpenLab } from "../../src/session/open-lab.js";
import { parseService } from "../../src/topology/notation.js";
import { readTopology } from "../../src/topology/read.js";
import type { ResolvedTopology } from "../../src/topology/resolved.js";
import { loadTopology } from "../../src/session/topology-file.js";
import { explainLines } from "../../src/view/explain.js";
import { seededRandom } from "../e2e/random.js";
import { type AnyNetwork, anyNetwork } from "../path/any-network.js";

const soak = process.env.YAPC_NET_SOAK === "1";
// Root and an ordinary user draw different samples.
const seed = Number(process.env.YAPC_NET_SEED ?? 20266 + (process.getuid?.() ?? 0));
const signal = new AbortController().signal;
const quiet = { onWarning: () => undefined };
let labs = 0;

/**
 * Builds a lab, sends, and ends it. What differs is predicted and sent once more by itself: many at once teach each other
 * neighbours, and share a limit of ICMP errors, which no snapshot from before can know.
 * @returns what was predicted beside what was seen
 */
async function beside(
  topology: ResolvedTopology,
  sent: readonly ExchangeStart[],
  down: AnyNetwork["down"] = [],
): Promise<Explanation[]> {
  const name = `g${process.pid.toString(36)}-${++labs}`;
  const { lab } = await buildLab({ ...topology, name }, undefined, new LabFolder(name), {
    strict: false,
    signal,
    ...quiet,
  });
  try {
    for (const end of down) lab.sockets.route(end.node).execute(links.set(end.interface, { up: false }));
    const explanations = await predictAndSend(lab, sent);
    for (const [index, { difference }] of explanations.entries())
      if (difference !== undefined) explanations[index] = (await predictAndSend(lab, [sent[index]!]))[0]!;
    return explanations;
  } finally {
    await abandonLab(lab);
  }
}

async function predictAndSend(lab: OpenLab, sent: readonly ExchangeStart[]): Promise<Explanation[]> {
  const snapshot = await lab.snapshot();
  const predicted = sent.map((start) => narrate(snapshot, start, predictExchange(snapshot, start)));
  const filter = { ports: [], hosts: [], protocols: [] };
  return observeExchanges(predicted, { line: lab.line, snapshot, filter, concurrency: 16, signal, ...quiet });
}

function disagreements(t: ExecutionContext, explanations: readonly Explanation[], story: string): number {
  const wrong = explanations.filter(({ difference }) => difference !== undefined);
  for (const each of wrong) t.log(`${story}\n${explainLines(each).join("\n")}`);
  return wrong.length;
}

test.serial("on every topology that ships, for each pair that it has an expectation of", async (t) => {
  t.timeout(600_000);
  const folder = path.resolve(import.meta.dirname, "../../../topologies");
  const files = readdirSync(folder).filter((file) => file.endsWith(".json") && file !== "schema.json");
  let count = 0;
  for (const file of files) {
    const { topology } = loadTopology({
      file: path.join(folder, file),
      strict: false,
      assignments: file === "web-farm.json" ? ["count=4"] : [],
      ...quiet,
    });
    const explanations = await beside(topology, topology.expectations.map(startOf));
    t.is(disagreements(t, explanations, file), 0, file);
    for (const [index, { verdict }] of topology.expectations.entries()) {
      const predicted = explanations[index]!;
      t.is(predicted.otherwise ?? predicted.verdict, verdict, `${file}: ${explainLines(predicted).join("\n")}`);
      count++;
    }
  }
  t.true(count > 20);
});

function startOf({ from, to }: { readonly from: string; readonly to: string }): ExchangeStart {
  const { protocol, host, port } = parseService(to)!;
  return { node: from, protocol, destination: parseAddress(host)!, ...(port === undefined ? {} : { port }) };
}

test.serial("on generated networks", async (t) => {
  const count = soak ? 200 : 3;
  t.timeout(count * 60_000);
  const random = seededRandom(seed);
  const tally = { networks: 0, packets: 0, agreed: 0, unbuildable: 0 };
  const verdicts: Record<string, number> = {};
  while (tally.networks < count) {
    const { topology: text, sent, down, quirks } = anyNetwork(random);
    const read = readTopology(text, { path: "any.json" });
    if (!read.ok) {
      tally.unbuildable++;
      t.true(tally.unbuildable <= count, read.problems.map(({ message }) => message).join("\n"));
      continue;
    }
    let explanations: Explanation[];
    try {
      explanations = await beside(read.topology, sent, down);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      t.log(`not built: ${error.message}\n${text}`);
      t.true(++tally.unbuildable <= count, error.message);
      continue;
    }
    tally.networks++;
    tally.packets += explanations.length;
    const wrong = disagreements(t, explanations, `network ${tally.networks}: ${quirks.join(", ")}\n${text}`);
    tally.agreed += explanations.length - wrong;
    for (const { verdict } of explanations) verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
  }
  t.log(`seed ${seed}: ${JSON.stringify(tally)} ${JSON.stringify(verdicts)}`);
  t.is(tally.agreed, tally.packets);
});
