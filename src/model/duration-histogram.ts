/**
 * How long something took, many times over, in a memory that does not grow: counts in buckets of a 64th of an octave, so that
 * a quantile is right to 0.8 % (half a bucket), and a bucket of its own for all that took less than a nanosecond.
 */

/** Nanoseconds, whole. */
export interface Durations {
  /** How many were timed. */
  readonly packets: number;
  readonly least: number;
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

/** Bits of the mantissa of a double that tell a bucket: 64 of them in each octave. */
const fraction = 6;
/** Durations from 2^38 ns on (275 s) are one bucket: nothing waits that long. */
const octaves = 38;
const buckets = (octaves << fraction) + 2;
/** Exponent of 1 in a double (IEEE 754). */
const bias = 1023;
const double = new DataView(new ArrayBuffer(8));

export class DurationHistogram {
  readonly #counts = new Uint32Array(buckets);
  #packets = 0;
  #least = Infinity;
  #most = -Infinity;

  /** @param nanoseconds also less than none: two processors gave the stamps in the wrong order */
  add(nanoseconds: number): void {
    this.#packets++;
    if (nanoseconds < this.#least) this.#least = nanoseconds;
    if (nanoseconds > this.#most) this.#most = nanoseconds;
    const bucket = bucketOf(nanoseconds);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
  }

  /** @returns undefined where nothing was timed */
  summary(): Durations | undefined {
    if (this.#packets === 0) return undefined;
    return {
      packets: this.#packets,
      least: Math.round(this.#least),
      p50: this.#quantile(0.5),
      p99: this.#quantile(0.99),
      most: Math.round(this.#most),
    };
  }

  /** The middle of the bucket in which the one of that rank lies, within what was seen. */
  #quantile(share: number): number {
    const rank = Math.ceil(this.#packets * share);
    let bucket = 0;
    for (let passed = this.#counts[0] ?? 0; passed < rank; passed += this.#counts[bucket] ?? 0) bucket++;
    return Math.round(Math.max(this.#least, Math.min(this.#most, middleOf(bucket))));
  }
}

/** The exponent and the first bits of the mantissa, read as one number: they grow with the duration. */
function bucketOf(nanoseconds: number): number {
  if (nanoseconds < 1) return 0;
  double.setFloat64(0, nanoseconds);
  return Math.min(buckets - 1, (double.getUint32(0) >>> (20 - fraction)) - (bias << fraction) + 1);
}

function middleOf(bucket: number): number {
  if (bucket === 0) return 0;
  const steps = 1 << fraction;
  const octave = (bucket - 1) >> fraction;
  return 2 ** octave * (1 + (((bucket - 1) % steps) + 0.5) / steps);
}
