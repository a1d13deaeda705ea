/** A line of a container's log, and how its time is written. */

export interface LogLine {
  /** RFC 3339 with nanoseconds, UTC. */
  readonly time: string;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

/** Nanoseconds since 1970 of `2026-11-29T20:15:01.123456789Z`; undefined for what is no such stamp. */
export function stampOf(time: string): bigint | undefined {
  const [, seconds, fraction = ""] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(time) ?? [];
  if (seconds === undefined) return undefined;
  const milliseconds = Date.parse(`${seconds}Z`);
  return Number.isNaN(milliseconds) ? undefined : BigInt(milliseconds) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}
