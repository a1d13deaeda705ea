/**
 * Fuzz: no input makes a decoder or the exchange crash, hang, or read past its end. A seeded sample here; a million with
 * YAPC_NET_SOAK=1 (`npm run soak`), in parts, each with a seed of its own.
 */
import test from "ava";
import { NLM_F_MULTI, frame } from "../../src/kernel/framing.js";
import { feed, mutate, random } from "./fuzz.js";
import { goldenRequests } from "./golden-requests.js";

const soak = process.env.YAPC_NET_SOAK === "1";
const parts = soak ? 50 : 1;
const inputs = 20_000;
const firstSeed = soak ? Date.now() >>> 0 : 1;

/** Our own requests are what the kernel echoes: the same schemas. */
const corpus = goldenRequests.flatMap(({ request }) =>
  [request].flat().map(({ type, body }) => frame(type, NLM_F_MULTI, 1, body)),
);

for (let part = 0; part < parts; part++) {
  const seed = firstSeed + part;
  test.serial(`${inputs} random and mutated messages, seed ${seed}`, async (t) => {
    // Lets the result of the part before be reported.
    await new Promise((resolve) => setImmediate(resolve));
    const next = random(seed);
    for (let i = 0; i < inputs; i++) {
      const bytes = mutate(corpus, next);
      try {
        feed(bytes);
      } catch (error) {
        t.fail(`input ${i} (${Buffer.from(bytes).toString("hex")}): ${String(error)}`);
        return;
      }
    }
    t.pass();
  });
}
