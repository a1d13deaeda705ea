/**
 * Equal packets at two hops: which is which. Min-cost monotone matching: order is kept, and of the ways to leave some
 * out the one is taken whose gaps come closest to the usual one.
 */
import type { Usual } from "./latency.js";

export interface Alignment {
  /** For each later sighting the position of the earlier one it came from, -1 for none. */
  readonly from: readonly number[];
  /** False: another matching is as good, so which of the earlier ones is missing cannot be said. */
  readonly certain: boolean;
}

/** Sightings may be this much older than the one they came from (nanoseconds), see `SLACK` of the core. */
const SLACK = 50_000;
/** More copies than this are matched in order, and called ambiguous where their counts differ. */
const MAXIMUM = 64;

/** @param before and @param after stamps, ascending */
export function align(before: readonly number[], after: readonly number[], usual: Usual | undefined): Alignment {
  const inOrder = after.map((_, index) => (index < before.length ? index : -1));
  if (before.length === after.length && after.every((time, index) => time + SLACK >= (before[index] ?? 0))) {
    return { from: inOrder, certain: true };
  }
  if (before.length > MAXIMUM || after.length > MAXIMUM) return { from: inOrder, certain: false };
  if (before.length === 1 && after.length === 0) return { from: [], certain: true };
  if (after.length === 0 || before.length === 0) return { from: after.map(() => -1), certain: true };
  const gap = usual?.gap ?? 0;
  const best = match(before, after, gap, -1, -1);
  if (usual === undefined) return { from: best.from, certain: false };
  // The runner-up must do without one of the joins of the best; it has to be clearly worse.
  const tolerance = 4 * usual.spread + 0.25 * usual.gap + 500;
  let certain = true;
  for (const [index, from] of best.from.entries()) {
    if (from < 0 || !certain) continue;
    const other = match(before, after, gap, from, index);
    if (other.matched === best.matched && other.cost - best.cost < tolerance) certain = false;
  }
  return { from: best.from, certain };
}

/**
 * As many joins as causality allows, then the least sum of distances from the usual gap.
 * @param barred and @param barredAfter a join that must not be made
 */
function match(
  before: readonly number[],
  after: readonly number[],
  gap: number,
  barred: number,
  barredAfter: number,
): { from: number[]; matched: number; cost: number } {
  const width = after.length + 1;
  const matched = new Int32Array((before.length + 1) * width);
  const cost = new Float64Array((before.length + 1) * width);
  const choice = new Uint8Array((before.length + 1) * width); // 0 leave out before, 1 leave out after, 2 join
  for (let i = 0; i <= before.length; i++) {
    for (let j = 0; j <= after.length; j++) {
      if (i === 0 && j === 0) continue;
      const at = i * width + j;
      matched[at] = -1;
      const take = (from: number, how: number, more: number, price: number): void => {
        const count = (matched[from] ?? 0) + more;
        const sum = (cost[from] ?? 0) + price;
        if (count > (matched[at] ?? -1) || (count === matched[at] && sum < (cost[at] ?? 0))) {
          matched[at] = count;
          cost[at] = sum;
          choice[at] = how;
        }
      };
      if (i > 0 && j > 0 && !(i - 1 === barred && j - 1 === barredAfter)) {
        const difference = (after[j - 1] ?? 0) - (before[i - 1] ?? 0);
        if (difference + SLACK >= 0) take((i - 1) * width + j - 1, 2, 1, Math.abs(difference - gap));
      }
      if (i > 0) take((i - 1) * width + j, 0, 0, 0);
      if (j > 0) take(i * width + j - 1, 1, 0, 0);
    }
  }
  const from = after.map(() => -1);
  for (let i = before.length, j = after.length; i > 0 && j > 0;) {
    const how = choice[i * width + j];
    if (how === 2) {
      from[j - 1] = i - 1;
      i--;
      j--;
    } else if (how === 0) i--;
    else j--;
  }
  const end = before.length * width + after.length;
  return { from, matched: matched[end] ?? 0, cost: cost[end] ?? 0 };
}
