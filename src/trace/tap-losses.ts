/** What the taps did not see: there, that a packet was not seen proves nothing. */
export class TapLosses {
  /** Whether any tap missed anything. */
  any = false;
  /** By hop: records that its tap lost. */
  readonly #lost: number[];
  readonly #died = new Set<number>();

  constructor(hops: number) {
    this.#lost = new Array<number>(hops).fill(0);
  }

  /** Another text with every change. */
  get state(): string {
    return `${this.#lost.join(" ")} / ${[...this.#died].join(" ")}`;
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

  lost(hop: number): number {
    return this.#lost[hop] ?? 0;
  }

  died(hop: number): boolean {
    return this.#died.has(hop);
  }

  /** Why a packet may have passed a hop unseen; undefined where it cannot have. @param name of the hop */
  doubt(hop: number, name: string): string | undefined {
    if (this.died(hop)) return `the tap of ${name} ended before the trace`;
    return this.lost(hop) > 0 ? `the tap of ${name} lost ${this.lost(hop)} records` : undefined;
  }
}
