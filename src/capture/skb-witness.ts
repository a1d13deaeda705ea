/**
 * The kernel's own word on which records are one packet: where each of its packet buffers (skb) was received and sent, by
 * the address of the buffer, which stays the same over links, bridges, routers and NAT (trace events of `net`).
 */
import { readSync } from "node:fs";
import { clockTime, constants } from "../kernel/syscalls.js";
import {
  type EventFormat,
  readTracePage,
  removeInstances,
  staleInstances,
  TraceInstance,
} from "../kernel/tracefs/index.js";
import { SkbEvents } from "../model/skb-events.js";

/** A packet enters an interface, and leaves one. */
const received = "net/netif_receive_skb";
const sent = "net/net_dev_start_xmit";

/** KiB of all rings together, and the least of one. */
const rings = { together: 65_536, least: 1024 } as const;
/** Milliseconds between two readings. */
const interval = 20;
/** So many are kept: 27 bytes each. */
const mostEvents = 8_000_000;
/** A filter of the kernel's holds no more than a page (kernel/trace/trace_events_filter.c). */
const longestFilter = 3500;
const pageSize = 65_536;

interface Layout {
  readonly id: number;
  readonly address: number;
  readonly length: number;
  readonly name: number;
}

export class SkbWitness implements Disposable {
  readonly #events = new SkbEvents();
  readonly #instance: TraceInstance;
  readonly #rings: readonly number[];
  readonly #received: Layout;
  readonly #sent: Layout;
  readonly #base: bigint;
  readonly #page = Buffer.alloc(pageSize);
  #timer: NodeJS.Timeout | undefined;

  /**
   * Begins to listen.
   * @param devices names of interfaces, in whichever namespace
   * @param epoch nanoseconds since 1970 that are time 0
   * @throws Failure (machine)
   */
  constructor(devices: readonly string[], epoch: bigint) {
    removeInstances(staleInstances());
    this.#instance = new TraceInstance();
    try {
      // TAI runs as CLOCK_REALTIME does, whole seconds before it: so the stamps can be told beside those of taps.
      const seconds = Number(clockTime(constants.CLOCK_TAI) - clockTime(constants.CLOCK_REALTIME)) / 1e9;
      this.#base = epoch + BigInt(Math.round(seconds)) * 1_000_000_000n;
      this.#instance.write("trace_clock", "tai");
      this.#received = layoutOf(this.#instance.format(received));
      this.#sent = layoutOf(this.#instance.format(sent));
      this.#rings = this.#instance.openRings();
      const size = Math.max(rings.least, Math.floor(rings.together / Math.max(1, this.#rings.length)));
      this.#instance.write("buffer_size_kb", String(size));
      const filter = [...new Set(devices)].map((name) => `name == "${name}"`).join(" || ");
      for (const event of [received, sent]) {
        if (filter.length <= longestFilter) this.#instance.write(`events/${event}/filter`, filter);
        this.#instance.write(`events/${event}/enable`, "1");
      }
    } catch (error) {
      this.#instance[Symbol.dispose]();
      throw error;
    }
    this.#timer = setInterval(() => this.#read(), interval).unref();
  }

  /** Ends it. @returns what it has seen, in the order of time */
  finish(): SkbEvents {
    this.#read();
    this[Symbol.dispose]();
    return this.#events.sorted();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#instance[Symbol.dispose]();
  }

  #read(): void {
    for (const ring of this.#rings)
      for (let size = this.#readPage(ring); size > 0; size = this.#readPage(ring))
        if (readTracePage(this.#page.subarray(0, size), this.#base, this.#take)) this.#events.incomplete = true;
  }

  #readPage(ring: number): number {
    try {
      return readSync(ring, this.#page);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EAGAIN") return 0; // Node gives every system error its code
      throw error;
    }
  }

  readonly #take = (time: number, at: number): void => {
    const page = this.#page;
    const type = page.readUInt16LE(at);
    const outgoing = type === this.#sent.id;
    if (!outgoing && type !== this.#received.id) return;
    const { address, length, name } = outgoing ? this.#sent : this.#received;
    if (this.#events.count >= mostEvents) {
      this.#events.incomplete = true;
      return;
    }
    // __data_loc: its offset in the record, and above it its length with the closing zero.
    const place = page.readUInt32LE(at + name);
    const start = at + (place & 0xffff);
    // The upper 16 bits of every kernel address are the same.
    const skb = page.readUInt32LE(at + address) + page.readUInt16LE(at + address + 4) * 2 ** 32;
    this.#events.add(
      time,
      outgoing,
      page.toString("latin1", start, start + (place >>> 16) - 1),
      skb,
      page.readUInt32LE(at + length),
    );
  };
}

function layoutOf({ id, fields }: EventFormat): Layout {
  const offset = (name: string): number => {
    const field = fields.get(name);
    if (field === undefined) throw new RangeError(`this kernel's event ${id} has no field ${name}`);
    return field.offset;
  };
  return { id, address: offset("skbaddr"), length: offset("len"), name: offset("name") };
}
