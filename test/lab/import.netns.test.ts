/** A lab that runs, written down by `import` and built from that file again, reads the same. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { Snapshot } from "../../src/model/snapshot.js";
import { down } from "../../src/session/down.js";
import { importTopology } from "../../src/session/import.js";
import { inspect } from "../../src/session/inspect.js";
import { up, type UpResult } from "../../src/session/up.js";
import { validate } from "../../src/session/validate.js";
import { anyTopology } from "../plan/any-topology.js";
import { type KernelPart, lacking, without } from "./kernel-parts.js";
import { reading } from "./reading.js";
import { seededRandom } from "../e2e/random.js";

const soak = process.env.YAPC_NET_SOAK === "1";
const seed = Number(process.env.YAPC_NET_SEED ?? 20262);
const folder = mkdtempSync(path.join(os.tmpdir(), "yapc-import-test-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const topologies = path.resolve(import.meta.dirname, "../../../topologies");
const shipped = readdirSync(topologies).filter((file) => file.endsWith(".json") && file !== "schema.json");
const quiet = { onWarning: () => undefined };
let labs = 0;

function start(name: string, file: string): Promise<UpResult> {
  return up({
    ...{ file, name, dryRun: false, strict: false, real: false },
    assignments: file.endsWith("web-farm.json") ? ["count=4"] : [],
    signal: new AbortController().signal,
    ...quiet,
  });
}

const read = async (name: string): Promise<Snapshot> =>
  (await inspect({ lab: name, nodes: [], machine: false, all: false, ...quiet })).snapshot;

/** Built, imported, built from the import: the same, and `up` of the import over the first has nothing to do. */
async function survives(t: ExecutionContext, file: string, story: string): Promise<void> {
  // The name is short enough, and of letters that a file may hold.
  const name = `i${process.pid.toString(36)}-${++labs}`;
  t.teardown(() => down({ lab: name, ...quiet }).catch(() => undefined));
  await start(name, file);
  const before = await read(name);
  const { text, problems, notes } = await importTopology({
    lab: name,
    live: false,
    all: false,
    name: undefined,
    ...quiet,
  });
  t.is(problems, "", story);
  t.deepEqual(notes, [], `${story}: all of a lab's own can be said`);
  const written = path.join(folder, `${name}.json`);
  writeFileSync(written, text);
  t.true(validate({ files: [written], strict: false, assignments: [] }).valid, story);

  // The order of the names in /etc/hosts is that of the file's interfaces.
  const over = (await start(name, written)).operations.filter((operation) => !operation.text.includes("/etc/hosts"));
  t.deepEqual(
    over.map((operation) => operation.text),
    [],
    `${story}: nothing to change\n${text}`,
  );
  await down({ lab: name, ...quiet });
  await start(name, written);
  t.deepEqual(reading(await read(name)), reading(before), `${story}\n${text}`);
  await down({ lab: name, ...quiet });
}

test.serial("shipped labs survive an import", async (t) => {
  t.timeout(shipped.length * 60_000);
  const random = seededRandom(seed);
  const chosen = soak ? shipped : shipped.toSorted(() => random() - 0.5).slice(0, 5);
  for (const file of chosen) await survives(t, path.join(topologies, file), file);
  t.log(`seed ${seed}: ${chosen.join(", ")}`);
});

test.serial("generated labs survive an import", async (t) => {
  const count = soak ? 60 : 4;
  t.timeout(count * 60_000);
  const texts = fc
    .sample(anyTopology, { numRuns: count, seed })
    // Containers that run on, and no wait for a spanning tree.
    .map((text) => text.replaceAll('["sh"]', '["sleep","998"]').replaceAll('"9"]', '"999"]'))
    .map((text) => text.replaceAll('"stp":true', '"stp":false'));
  const missing = new Set<KernelPart>();
  for (const [index, text] of texts.entries()) {
    for (;;) {
      const topology = without(text, missing);
      const file = path.join(folder, `generated-${index}.json`);
      writeFileSync(file, topology);
      try {
        await survives(t, file, topology);
        break;
      } catch (error) {
        const part = lacking(error);
        if (part === undefined || missing.has(part)) throw error;
        missing.add(part);
      }
    }
  }
  t.log(`seed ${seed}: ${count} labs`);
  for (const part of missing) t.log(`this kernel has no ${part}: without it`);
});
