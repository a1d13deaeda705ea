/**
 * Many taps, one order: by time, then tap, then place in the tap. A record is released once no tap can bring an older
 * one: each empty tap must have a watermark past it. Only `tick` moves the watermark of a tap that is idle.
 *
 * Within one tap the order of the capture stands, whatever its stamps say.
 */
import { grown } from "../packet/grown.js";

interface Tap {
  /** A ring, as long as a power of two: an array that is filled and emptied again is allocated anew each time. */
  rows: Int32Array;
  /** Nanoseconds of each: read next to each other, and not from where the rows lie. */
  times: Float64Array;
  /** Rows that were taken, and rows that came: their positions in the ring, beyond its length counted on. */
  head: number;
  tail: number;
  /** Key of the last row that was taken: the next one is not ordered before it. */
  floor: number;
  /** The tap has promised to bring nothing older. Decides when others may go, never how its own rows are ordered. */
  watermark: number;
  ended: boolean;
  /** Nothing waits for it. */
  passedOver: boolean;
}

export class Merge {
  readonly #taps: Tap[] = [];
  /** By tap: time by which its next row is ordered, never before the row that went ahead of it. */
  #keys = new Float64Array(8);
  /** Taps with rows, as a heap by (key, tap). */
  readonly #heap: number[] = [];
  #waiting = 0;
  /** Order of the last row that was released. */
  #lastKey = Number.NEGATIVE_INFINITY;
  #lastTap = -1;

  /** @returns number of the tap: ties go to the lower one */
  add(): number {
    if (this.#taps.length === this.#keys.length) {
      this.#keys = grown(Float64Array, this.#keys, this.#keys.length * 2);
    }
    this.#taps.push({
      rows: new Int32Array(64),
      times: new Float64Array(64),
      head: 0,
      tail: 0,
      floor: Number.NEGATIVE_INFINITY,
      watermark: Number.NEGATIVE_INFINITY,
      ended: false,
      passedOver: false,
    });
    return this.#taps.length - 1;
  }

  /** Rows that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Rows of one tap that wait. */
  waitingOf(number: number): number {
    const { head, tail } = this.#tap(number);
    return tail - head;
  }

  /** Taps that must deliver before anything more can be released. */
  starving(): number[] {
    return this.#taps.flatMap((tap, number) => (tap.head === tap.tail && !tap.ended ? [number] : []));
  }

  /** @param time nanoseconds of the row */
  push(number: number, row: number, time: number): void {
    const tap = this.#tap(number);
    if (tap.tail - tap.head === tap.rows.length) widen(tap);
    const at = tap.tail & (tap.rows.length - 1);
    tap.rows[at] = row;
    tap.times[at] = time;
    this.#waiting++;
    if (tap.tail++ !== tap.head) return;
    this.#keys[number] = Math.max(tap.floor, time);
    this.#up(number);
  }

  /** Nothing older than `time` will come from this tap. */
  advance(number: number, time: number): void {
    const tap = this.#tap(number);
    if (time > tap.watermark) tap.watermark = time;
  }

  /** Whether others wait for this tap. What one that they did not wait for brings after its turn is late. */
  await(number: number, waited: boolean): void {
    this.#tap(number).passedOver = !waited;
  }

  /** Nothing older than this will come from this tap. */
  watermark(number: number): number {
    return this.#tap(number).watermark;
  }

  /** Nothing older than this will come from any tap that is waited for, Infinity where there is none. */
  get low(): number {
    let low = Infinity;
    for (const [number, { head, tail, watermark, ended, passedOver }] of this.#taps.entries()) {
      if (head !== tail) low = Math.min(low, this.#keys[number] ?? 0);
      else if (!ended && !passedOver) low = Math.min(low, watermark);
    }
    return low;
  }

  end(number: number): void {
    this.#tap(number).ended = true;
  }

  /** Next row of a tap, -1 where it has none. */
  headOf(number: number): number {
    const tap = this.#tap(number);
    return tap.head === tap.tail ? -1 : (tap.rows[tap.head & (tap.rows.length - 1)] ?? -1);
  }

  /** Next row of one tap out of turn, -1 where it has none. */
  takeFrom(number: number): number {
    const at = this.#heap.indexOf(number);
    if (at < 0) return -1;
    return this.#take(at);
  }

  /**
   * Next row if its turn has come, else -1.
   * @param force release it although a tap might still bring an older one
   * @param late called with the tap before a row that comes after its turn
   */
  next(force: boolean, blocked?: (tap: number) => boolean, late?: (tap: number) => void): number {
    let at = 0;
    if (blocked) {
      at = this.#firstFree(blocked);
      if (at < 0) return -1;
    }
    const number = this.#heap[at];
    if (number === undefined) return -1;
    const key = this.#keys[number] ?? 0;
    if (!force && !this.#ripe(key, number)) return -1;
    if (key < this.#lastKey || (key === this.#lastKey && number < this.#lastTap)) late?.(number);
    else {
      this.#lastKey = key;
      this.#lastTap = number;
    }
    return this.#take(at);
  }

  #firstFree(blocked: (tap: number) => boolean): number {
    let best = -1;
    for (let at = 0; at < this.#heap.length; at++) {
      if (blocked(this.#heap[at] ?? 0)) continue;
      if (best < 0 || this.#before(this.#heap[at] ?? 0, this.#heap[best] ?? 0)) best = at;
      if (at === 0) break;
    }
    return best;
  }

  /** Whether no empty tap can bring a row that is ordered before (key, tap). */
  #ripe(key: number, number: number): boolean {
    if (this.#heap.length === this.#taps.length) return true;
    for (let other = 0; other < this.#taps.length; other++) {
      const tap = this.#tap(other);
      if (tap.head !== tap.tail || tap.ended || tap.passedOver) continue;
      if (tap.watermark < key || (tap.watermark === key && other < number)) return false;
    }
    return true;
  }

  #take(at: number): number {
    const number = this.#heap[at] ?? 0;
    const tap = this.#tap(number);
    const { rows } = tap;
    const row = rows[tap.head++ & (rows.length - 1)] ?? -1;
    this.#waiting--;
    const key = this.#keys[number] ?? 0;
    tap.floor = key;
    if (key > tap.watermark) tap.watermark = key;
    if (tap.head === tap.tail) {
      tap.head = 0;
      tap.tail = 0;
      this.#remove(at);
    } else {
      this.#keys[number] = Math.max(key, tap.times[tap.head & (rows.length - 1)] ?? 0);
      this.#down(at);
    }
    return row;
  }

  #remove(at: number): void {
    const last = this.#heap.pop();
    if (last === undefined || at === this.#heap.length) return;
    this.#heap[at] = last;
    this.#down(at);
    this.#rise(at);
  }

  #up(number: number): void {
    this.#heap.push(number);
    this.#rise(this.#heap.length - 1);
  }

  #rise(from: number): void {
    const heap = this.#heap;
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#before(heap[at] ?? 0, heap[parent] ?? 0)) return;
      [heap[at], heap[parent]] = [heap[parent] ?? 0, heap[at] ?? 0];
      at = parent;
    }
  }

  #down(from: number): void {
    const heap = this.#heap;
    const number = heap[from] ?? 0;
    let at = from;
    for (let child = at * 2 + 1; child < heap.length; child = at * 2 + 1) {
      if (child + 1 < heap.length && this.#before(heap[child + 1] ?? 0, heap[child] ?? 0)) child++;
      const other = heap[child] ?? 0;
      if (!this.#before(other, number)) break;
      heap[at] = other;
      at = child;
    }
    heap[at] = number;
  }

  #before(a: number, b: number): boolean {
    const keyA = this.#keys[a] ?? 0;
    const keyB = this.#keys[b] ?? 0;
    return keyA < keyB || (keyA === keyB && a < b);
  }

  #tap(number: number): Tap {
    const tap = this.#taps[number];
    if (!tap) throw new RangeError(`there is no tap ${number}`);
    return tap;
  }
}

/** Twice the room for the rows of a tap, whose ring is full. */
function widen(tap: Tap): void {
  const { rows, times, head } = tap;
  const wide = new Int32Array(rows.length * 2);
  const wideTimes = new Float64Array(rows.length * 2);
  for (let at = 0; at < rows.length; at++) {
    wide[at] = rows[(head + at) & (rows.length - 1)] ?? 0;
    wideTimes[at] = times[(head + at) & (rows.length - 1)] ?? 0;
  }
  tap.rows = wide;
  tap.times = wideTimes;
  tap.head = 0;
  tap.tail = rows.length;
}
