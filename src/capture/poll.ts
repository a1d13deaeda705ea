/** Looks for a condition every now and then, until it holds. */
export class Poll {
  readonly done: Promise<undefined>;
  #timer: NodeJS.Timeout | undefined;

  constructor(condition: () => boolean, interval: number) {
    this.done = new Promise((resolve) => {
      this.#timer = setInterval(() => {
        if (!condition()) return;
        this.end();
        resolve(undefined);
      }, interval);
    });
  }

  /** It is no longer asked for. */
  end(): void {
    clearInterval(this.#timer);
  }
}
