/** Looks for a condition every now and then. */
export class Poll {
  readonly done: Promise<undefined>;
  #timer: NodeJS.Timeout | undefined;

  constructor(condition: () => boolean, interval: number) {
    this.done = new Promise((resolve) => {
      this.#timer = setInterval(() => {
        if (condition()) resolve(undefined);
      }, interval);
    });
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
