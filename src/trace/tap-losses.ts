/** What the taps did not see, or not in time: there, that a packet was not seen proves nothing. */

/** Nanoseconds. */
interface Silence {
  readonly from: number;
  /** Infinity while it lasts. */
  readonly until: number;
}

/** Of one hop; more of them become one. */
const SILENCES = 16;

export class TapLosses {
  /** Whether any tap missed anything. */
  any = false;
  /** By hop: records that its tap lost. */
  readonly #lost: number[];
  readonly #died = new Set<number>();
  readonly #silences = new Map<number, Silence[]>();
  /** Nanoseconds. */
  #listening = Number.NEGATIVE_INFINITY;
  readonly #patience: number;

  /** @param patience nanoseconds that a packet may take to a hop */
  constructor(hops: number, patience: number) {
    this.#lost = new Array<number>(hops).fill(0);
    this.#patience = patience;
  }

  /** Another text wherever `doubt` may say something else of a packet that was seen last at this time. */
  state(time: number): string {
    const early = time < this.#listening ? "early" : "";
    if (!this.any) return early;
    const silent = [...this.#silences.keys()].filter((hop) => this.#mayMiss(hop, time));
    return [[early], this.#lost, [...this.#died], silent].map((list) => list.join(" ")).join(" / ");
  }

  /** Before this time not every tap had begun. */
  listen(time: number): void {
    this.#listening = time;
  }

  lose(hop: number, records: number): void {
    this.#lost[hop] = this.lost(hop) + records;
    this.any = true;
  }

  /** The tap ended before the trace. */
  die(hop: number): void {
    this.#died.add(hop);
    this.any = true;
  }

  /** The tap has not answered: what it saw from `since` on has not been delivered. */
  silence(hop: number, since: number): void {
    const all = this.#silences.get(hop) ?? [];
    const [first, second, ...rest] = all;
    const kept = first && second && all.length >= SILENCES ? [{ from: first.from, until: second.until }, ...rest] : all;
    this.#silences.set(hop, [...kept, { from: since, until: Infinity }]);
    this.any = true;
  }

  /** The tap has answered: what it saw before `time` has been delivered. */
  answer(hop: number, time: number): void {
    const all = this.#silences.get(hop) ?? [];
    this.#silences.set(
      hop,
      all.map((silence) => (silence.until === Infinity ? { ...silence, until: time } : silence)),
    );
  }

  lost(hop: number): number {
    return this.#lost[hop] ?? 0;
  }

  died(hop: number): boolean {
    return this.#died.has(hop);
  }

  /** For how long the tap did not answer, in all. @param now until when, where it still does not */
  silent(hop: number, now: number): number {
    const all = this.#silences.get(hop) ?? [];
    return all.reduce((sum, { from, until }) => sum + Math.max(0, Math.min(until, now) - from), 0);
  }

  /**
   * Why a packet may have passed a hop unseen; undefined where it cannot have.
   * @param name of the hop
   * @param time when the packet was seen last
   */
  doubt(hop: number, name: string, time: number): string | undefined {
    if (this.died(hop)) return `the tap of ${name} ended before the trace`;
    if (this.lost(hop) > 0) return `the tap of ${name} lost ${this.lost(hop)} records`;
    if (this.#mayMiss(hop, time)) return `the tap of ${name} did not answer then`;
    return time < this.#listening ? "not every tap had begun then" : undefined;
  }

  /** Whether what a hop saw at this time came when others had been told already. */
  isBelated(hop: number, time: number): boolean {
    return (this.#silences.get(hop) ?? []).some(({ from, until }) => from <= time && time <= until);
  }

  #mayMiss(hop: number, time: number): boolean {
    const all = this.#silences.get(hop) ?? [];
    return all.some(({ from, until }) => from <= time + this.#patience && time <= until);
  }
}
