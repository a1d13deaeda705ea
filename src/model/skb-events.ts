/** What the kernel says of its packet buffers: one row an event, in typed arrays. */

const firstCapacity = 1024;

export class SkbEvents {
  /** Nanoseconds since the epoch of the trace. */
  time = new Float64Array(firstCapacity);
  /** Address of the buffer, its lower 48 bits. */
  skb = new Float64Array(firstCapacity);
  /** Bytes: of a packet that is sent with its link-layer header, else without. */
  length = new Uint32Array(firstCapacity);
  /** Position in `devices`. */
  device = new Uint16Array(firstCapacity);
  /** 1: sent, 0: received. */
  outgoing = new Uint8Array(firstCapacity);
  count = 0;
  /** Events were lost: that there is none of a packet proves nothing. */
  incomplete = false;
  readonly devices: string[] = [];
  readonly #numbers = new Map<string, number>();

  add(time: number, outgoing: boolean, device: string, skb: number, length: number): void {
    if (this.count === this.time.length) this.#grow();
    const row = this.count++;
    this.time[row] = time;
    this.skb[row] = skb;
    this.length[row] = length;
    this.outgoing[row] = outgoing ? 1 : 0;
    let number = this.#numbers.get(device);
    if (number === undefined) {
      number = this.devices.push(device) - 1;
      this.#numbers.set(device, number);
    }
    this.device[row] = number;
  }

  /** In the order of time: each processor has told its own. */
  sorted(): SkbEvents {
    const { time } = this;
    const order = Uint32Array.from({ length: this.count }, (_, row) => row).sort(
      (a, b) => (time[a] ?? 0) - (time[b] ?? 0) || a - b,
    );
    const sorted = new SkbEvents();
    sorted.incomplete = this.incomplete;
    for (const row of order)
      sorted.add(
        time[row] ?? 0,
        this.outgoing[row] === 1,
        this.devices[this.device[row] ?? 0] ?? "",
        this.skb[row] ?? 0,
        this.length[row] ?? 0,
      );
    return sorted;
  }

  #grow(): void {
    const capacity = this.time.length * 2;
    this.time = longer(Float64Array, this.time, capacity);
    this.skb = longer(Float64Array, this.skb, capacity);
    this.length = longer(Uint32Array, this.length, capacity);
    this.device = longer(Uint16Array, this.device, capacity);
    this.outgoing = longer(Uint8Array, this.outgoing, capacity);
  }
}

function longer<T extends { set(from: T): void }>(make: new (length: number) => T, from: T, length: number): T {
  const to = new make(length);
  to.set(from);
  return to;
}
