/** Times on the command line: `500ms`, `10s`, `2m`, `1h`. */
import { Failure } from "../../src/model/failure.js";

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** @returns milliseconds @throws Failure (usage) */
export function parseMilliseconds(text: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  if (number === undefined) throw new Failure("usage", `'${text}' is no time: write 500ms, 10s, 2m or 1h`);
  return Number(number) * (units[unit] ?? 1);
}
