/** Worlds to try: every property alone and with others, from one seed. */
import type { RouterKind } from "./chain.js";
import type { WorldOptions } from "./index.js";
import { between, pick, random } from "./random.js";

/** @param packets of each world */
export function optionsOf(seed: number, packets: number): WorldOptions {
  const next = random(seed);
  const place = next() < 0.6 ? "chain" : "docker";
  const routers = Array.from({ length: between(next, 1, 4) }, () =>
    pick(next, ["plain", "dnat", "snat", "both"] as RouterKind[]),
  );
  return {
    seed,
    place,
    routers,
    bridged: next() < 0.5,
    family: pick(next, [4, 4, 6] as const),
    packets,
    flows: pick(next, [1, 2, 3, 6, 12, 40]),
    unnumbered: next() < 0.15,
    twins: next() < 0.2,
    again: pick(next, [0, 0.005, 0.02]),
    large: pick(next, [0, 0.02, 0.1, 0.3]),
    reuse: next() < 0.15,
    loss: pick(next, [0, 0, 0.002, 0.02]),
    duplicate: pick(next, [0, 0, 0, 0, 0.0003]),
    tapLoss: pick(next, [0, 0, 0, 0, 0.001, 0.01]),
    jitter: pick(next, [0, 1000, 10_000, 40_000]),
    delay: pick(next, [0, 0, 0, 5_000_000]),
    segmentation: next() < 0.4,
    tagged: next() < 0.2,
    conntrack: pick(next, ["none", "late", "late"] as const),
  };
}
