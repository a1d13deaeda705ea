/** Quantities as the file writes them: `5ms`, `100mbit`, `0.5%`, `100M`, `10/second`. Undefined where the text is none. */

function scaled(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, number, unit] = /^([0-9]+(?:\.[0-9]+)?)([a-zA-Z]*)$/.exec(text) ?? [];
  const factor = units[unit ?? ""];
  return number === undefined || factor === undefined ? undefined : Math.round(Number(number) * factor);
}

/** `5ms`, `200us`, `1.5s` in nanoseconds. */
export function parseDuration(text: string): number | undefined {
  return scaled(text, { ns: 1, us: 1e3, ms: 1e6, s: 1e9 });
}

/** `100mbit`, as tc(8) writes it (powers of ten), in bits a second. */
export function parseRate(text: string): number | undefined {
  const rate = scaled(text.toLowerCase(), { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9, tbit: 1e12 });
  return rate === 0 ? undefined : rate;
}

/** `100M` as Docker counts it (powers of two), in bytes; a number alone is bytes. */
export function parseSize(text: string): number | undefined {
  const units = { "": 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, kb: 2 ** 10, mb: 2 ** 20, gb: 2 ** 30 };
  return scaled(text.toLowerCase(), units);
}

/** `0.5%` as a probability from 0 to 1. */
export function parsePercentage(text: string): number | undefined {
  const [, number] = /^([0-9]+(?:\.[0-9]+)?)%$/.exec(text) ?? [];
  const share = Number(number) / 100;
  return number !== undefined && share <= 1 ? share : undefined;
}

const limitPeriods = ["second", "minute", "hour", "day"] as const;

/** `10/second`, as nft(8) writes a limit. */
export function parseLimit(text: string): { rate: number; per: (typeof limitPeriods)[number] } | undefined {
  const [, number, unit] = /^([1-9][0-9]*)\/([a-z]+)$/.exec(text) ?? [];
  const per = limitPeriods.find((period) => period === unit);
  return number === undefined || per === undefined ? undefined : { rate: Number(number), per };
}

/** A port, or a range of them: `80`, `"80"`, `"8000-8010"`. */
export function parsePorts(value: string | number): { from: number; to: number } | undefined {
  const [, first, last = first] = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(String(value)) ?? [];
  const from = Number(first);
  const to = Number(last);
  return first !== undefined && from >= 1 && to <= 65535 && from <= to ? { from, to } : undefined;
}
