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
import { abandonLab, buildLab } from "../../src/session/build-lab.js";
import { observeExchanges } from "../../src/session/observe-exchange.js";
import { parseService } from "../../src/topology/notation.js";
import { readTopology } from "../../src/topology/read.js";
import type { ResolvedTopology } from "../../src/topology/resolved.js";
import { loadTopology } from "../../src/session/topology-file.js";
import { explainLines } from "../../src/view/explain.js";
import { seededRandom } from "../e2e/random.js";
import { anyNetwork } from "../path/any-network.js";

const soak = process.env.YAPC_NET_SOAK === "1";
// Root and an ordinary user draw different samples.
const seed = Number(process.env.YAPC_NET_SEED ?? 20266 + (process.getuid?.() ?? 0));
const signal = new AbortController().signal;
const quiet = { onWarning: () => undefined };
let labs = 0;

/** Builds a lab, sends, and ends it. @returns what was predicted beside what was seen */
async function beside(topology: ResolvedTopology, sent: readonly ExchangeStart[]): Promise<Explanation[]> {
  const name = `g${process.pid.toString(36)}-${++labs}`;
  const folder = new LabFolder(name);
  const { lab, snapshot } = await buildLab({ ...topology, name }, undefined, folder, {
    strict: false,
    signal,
    ...quiet,
  });
  try {
    const predicted = sent.map((start) => narrate(snapshot, start, predictExchange(snapshot, start)));
    const filter = { ports: [], hosts: [], protocols: [] };
    return await observeExchanges(predicted, { line: lab.line, snapshot, filter, concurrency: 16, signal, ...quiet });
  } finally {
    await abandonLab(lab);
  }
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
    const { topology: text, sent, quirks } = anyNetwork(random);
    const read = readTopology(text, { path: "any.json" });
    if (!read.ok) {
      tally.unbuildable++;
      t.true(tally.unbuildable <= count, read.problems.map(({ message }) => message).join("\n"));
      continue;
    }
    let explanations: Explanation[];
    try {
      explanations = await beside(read.topology, sent);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return t.fail(`${error.message}\n${text}`);
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
