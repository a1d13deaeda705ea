import test from "ava";
import fc from "fast-check";
import { DurationHistogram } from "../../src/model/duration-histogram.js";

test("quantiles are right to 0.8 %, least and most to the nanosecond", (t) => {
  const duration = fc.oneof(fc.nat(100), fc.nat(1e6), fc.nat({ max: 250e9 }));
  fc.assert(
    fc.property(fc.array(duration, { minLength: 1, maxLength: 300 }), (durations) => {
      const histogram = new DurationHistogram();
      for (const each of durations) histogram.add(each);
      const sorted = durations.toSorted((a, b) => a - b);
      const summary = histogram.summary();
      if (summary === undefined) return false;
      const near = (told: number, share: number): boolean => {
        const right = sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
        // Whole nanoseconds: half of one more.
        return Math.abs(told - right) <= right / 128 + 0.5;
      };
      return (
        summary.packets === durations.length &&
        summary.least === sorted[0] &&
        summary.most === sorted.at(-1) &&
        near(summary.p50, 0.5) &&
        near(summary.p99, 0.99)
      );
    }),
  );
  t.pass();
});

test("nothing timed tells nothing; stamps in the wrong order and waits without end have a place", (t) => {
  const histogram = new DurationHistogram();
  t.is(histogram.summary(), undefined);
  for (const each of [-3000, -2000, 1e15]) histogram.add(each);
  t.deepEqual(histogram.summary(), { packets: 3, least: -3000, p50: 0, p99: 2 ** 38 * (1 + 1 / 128), most: 1e15 });
});
