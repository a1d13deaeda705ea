/** Link settings that act on the egress of one end, in the units of the kernel layer. */
import type { Document } from "./document.js";
import type { DraftInterface } from "./draft.js";
import { parseDuration, parsePercentage, parseRate, parseSize } from "./quantity.js";
import type { ResolvedShaping } from "./resolved.js";

const shares = ["loss", "duplicate", "reorder", "corrupt"] as const;

/** Undefined for an end that is left as it is. */
export function resolveShaping(document: Document, end: DraftInterface): ResolvedShaping | undefined {
  const { settings, at, endAt = at } = end;
  const needs = (key: keyof typeof settings, other: "rate" | "delay"): void => {
    if (settings[key] === undefined || settings[other] !== undefined) return;
    document.error(
      document.placed([...at, key], [...endAt, key], [...(end.link?.at ?? at), key], endAt),
      `"${key}" needs "${other}"`,
      {
        code: "missing",
      },
    );
  };
  needs("burst", "rate");
  needs("jitter", "delay");
  // sch_netem reorders by letting some packets pass the delay of the others.
  needs("reorder", "delay");
  const rate = settings.rate === undefined ? undefined : parseRate(settings.rate);
  const shaping: { -readonly [Key in keyof ResolvedShaping]: ResolvedShaping[Key] } = {};
  if (rate !== undefined) {
    shaping.rate = rate;
    shaping.burst = settings.burst === undefined ? defaultBurst(rate, settings.mtu) : (parseSize(settings.burst) ?? 0);
  }
  for (const key of ["delay", "jitter"] as const) {
    const time = settings[key] === undefined ? 0 : (parseDuration(settings[key]) ?? 0);
    if (time > 0) shaping[key] = time;
  }
  for (const key of shares) {
    const share = settings[key] === undefined ? 0 : (parsePercentage(settings[key]) ?? 0);
    if (share > 0) shaping[key] = share;
  }
  return Object.keys(shaping).length === 0 ? undefined : shaping;
}

/**
 * A bucket that holds what the rate lets through in 10 ms (a timer tick at HZ=100), and a whole frame in any case:
 * a frame larger than the bucket would never leave (tc-tbf(8)).
 */
function defaultBurst(rate: number, mtu = 1500): number {
  return Math.max(Math.ceil(rate / 8 / 100), mtu + 18, 4096);
}
