/**
 * Fuzz: no input makes a decoder or the exchange crash, hang, or read past its end. A seeded sample here; a million with
 * YAPC_NET_SOAK=1 (`npm run soak`).
 */
import test from "ava";
import { NLM_F_MULTI, frame } from "../../src/kernel/framing.js";
import { feed, mutate, random } from "./fuzz.js";
import { goldenRequests } from "./golden-requests.js";

const soak = process.env.YAPC_NET_SOAK === "1";
const count = soak ? 1_000_000 : 20_000;
const seed = soak ? Date.now() >>> 0 : 1;

/** Our own requests are what the kernel echoes: the same schemas. */
const corpus = goldenRequests.flatMap(({ request }) =>
  [request].flat().map(({ type, body }) => frame(type, NLM_F_MULTI, 1, body)),
);

test(`${count} random and mutated messages`, (t) => {
  t.timeout(30 * 60_000);
  t.log(`seed ${seed}`);
  const next = random(seed);
  for (let i = 0; i < count; i++) {
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
