/** Numbers with units, as every view writes them. Times come in nanoseconds. */

/** `0.000`: milliseconds to the microsecond. */
export function milliseconds(nanoseconds: number): string {
  return (nanoseconds / 1e6).toFixed(3);
}

/** Most times are those of gaps, below a millisecond: their texts are kept, by tenths of a microsecond. */
const tenths = new Array<string | undefined>(10_000);

/** `3.0`: microseconds to a tenth. */
export function microseconds(nanoseconds: number): string {
  const tenth = Math.round(nanoseconds / 100);
  // Of half a tenth it depends on the quotient which way it is rounded.
  const kept = Number.isInteger(nanoseconds) && nanoseconds >= 0 && tenth < tenths.length && nanoseconds % 100 !== 50;
  return kept ? (tenths[tenth] ??= (nanoseconds / 1e3).toFixed(1)) : (nanoseconds / 1e3).toFixed(1);
}

/** `+3.0`, or `same stamp` where two hops carry one stamp: the kernel stamped the packet once, which is no duration of 0. */
export function elapsed(nanoseconds: number): string {
  if (nanoseconds === 0) return "same stamp";
  return `${nanoseconds > 0 ? "+" : ""}${microseconds(nanoseconds)}`;
}

/** `+3.0 µs`, or `same stamp`. */
export function elapsedWithUnit(nanoseconds: number): string {
  return nanoseconds === 0 ? elapsed(0) : `${elapsed(nanoseconds)} µs`;
}

/** `10.8 µs`, `1.95 ms`, `3.02 s`: for sentences. */
export function duration(nanoseconds: number): string {
  const size = Math.abs(nanoseconds);
  if (size < 999_950) return `${microseconds(nanoseconds)} µs`;
  if (size < 999_995_000) return `${(nanoseconds / 1e6).toFixed(2)} ms`;
  return `${(nanoseconds / 1e9).toFixed(2)} s`;
}

/** `1 packet`, `2 packets`. */
export function count(number: number, singular: string, plural = `${singular}s`): string {
  return `${number} ${number === 1 ? singular : plural}`;
}

/** `1.4 kB`, decimal as in `ip -h -s`. */
export function bytes(number: number): string {
  return scaled(number, ["B", "kB", "MB", "GB", "TB"]);
}

/** `100 Mbit/s`, as tc and topology files say it. @param bytesPerSecond as the kernel counts */
export function bits(bytesPerSecond: number): string {
  return scaled(bytesPerSecond * 8, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]);
}

function scaled(number: number, units: readonly string[]): string {
  let size = number;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || size >= 9.95 || Number.isInteger(size) ? 0 : 1;
  return `${size.toFixed(digits)} ${units[unit] ?? ""}`;
}
