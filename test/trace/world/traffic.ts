/** What the ends of a made-up network say to each other: connections, retransmissions, echoes, errors. */
import { flag } from "../frames.js";
import { fragments } from "./gap.js";
import type { Connection, Parcel } from "./parcel.js";
import type { Way } from "./place.js";
import { between, pick, type Random } from "./random.js";

export interface TrafficOptions {
  readonly family: 4 | 6;
  /** Packets to send, about. */
  readonly packets: number;
  /** Connections at once. */
  readonly flows: number;
  /** IPv4 packets without an identification. */
  readonly unnumbered: boolean;
  /** All connections count their identifications, and their contents, from the same number. */
  readonly twins: boolean;
  /** Probability that a segment is sent again, a datagram has the content of the one before. */
  readonly again: number;
  /** Probability of large sends (segmentation offload), and of datagrams in fragments. */
  readonly large: number;
  /** Connections that end, and begin anew with the same ports. */
  readonly reuse: boolean;
}

/** A connection and what it sends, by the way it takes. */
export interface Talk {
  readonly way: Way;
  readonly connection: Connection;
  readonly requests: readonly Parcel[];
  readonly replies: readonly Parcel[];
  /** Time of its first packet. */
  readonly start: number;
  /** It has the ports of this one, which has ended. */
  readonly after?: Connection;
}

/** Numbers true packets, with the bytes that each has. */
export class Truths {
  readonly sizes: number[] = [];
  add(size: number): number {
    return this.sizes.push(size) - 1;
  }
}

export function talks(ways: readonly Way[], options: TrafficOptions, truths: Truths, next: Random): Talk[] {
  const out: Talk[] = [];
  const share = Math.ceil(options.packets / options.flows);
  let number = 0;
  for (let flow = 0; flow < options.flows; flow++) {
    const way = pick(next, ways);
    let start = 1_000_000 + between(next, 0, 200_000);
    let last: Connection | undefined;
    for (let left = share; left > 0;) {
      const twice = new Set(way.stations.map(({ hop }) => hop)).size < way.stations.length;
      const roll = options.reuse ? 0.2 * next() : next();
      const protocol = roll < 0.65 ? 6 : roll < 0.92 || twice ? 17 : options.family === 4 ? 1 : 58;
      const tuples = way.tuples(next, flow, protocol === 1 || protocol === 58);
      const connection: Connection = { number: number++, family: options.family, protocol, tuples };
      const teller = new Teller(connection, options, truths, next, start);
      teller.tell(options.reuse ? Math.min(left, between(next, 8, 40)) : left);
      left -= teller.sent;
      out.push({
        way,
        connection,
        requests: teller.requests,
        replies: teller.replies,
        start,
        ...(last?.protocol === protocol ? { after: last } : {}),
      });
      last = connection;
      start = teller.clock + between(next, 20_000_000, 1_000_000_000);
      if (!options.reuse) break;
    }
  }
  return out;
}

const MSS = 1428;

class Teller {
  readonly requests: Parcel[] = [];
  readonly replies: Parcel[] = [];
  clock: number;
  sent = 0;
  readonly #connection: Connection;
  readonly #options: TrafficOptions;
  readonly #truths: Truths;
  readonly #next: Random;
  readonly #id: [number, number];
  readonly #sequence: [number, number];
  readonly #window: [number, number] = [501, 509];
  /** What each side has acknowledged last. */
  readonly #acknowledged: [number, number] = [0, 0];
  readonly #stamp: number;
  #content: number;

  constructor(connection: Connection, options: TrafficOptions, truths: Truths, next: Random, start: number) {
    this.#connection = connection;
    this.#options = options;
    this.#truths = truths;
    this.#next = next;
    this.clock = start;
    this.#id = options.twins ? [100, 200] : [between(next, 1, 65_535), between(next, 1, 65_535)];
    this.#sequence = [Math.floor(next() * 2 ** 32), Math.floor(next() * 2 ** 32)];
    this.#stamp = Math.floor(next() * 1e9) + 1;
    this.#content = options.twins ? 77 : Math.floor(next() * 2 ** 31);
  }

  tell(packets: number): void {
    switch (this.#connection.protocol) {
      case 6:
        this.#stream(packets);
        return;
      case 17:
        this.#datagrams(packets);
        return;
      default:
        this.#echoes(packets);
    }
  }

  #stream(packets: number): void {
    const next = this.#next;
    this.#segment(0, 0, flag.syn);
    if (next() < 0.02) {
      this.clock += 1_000_000_000;
      this.#segment(0, 0, flag.syn); // again
    }
    this.#sequence[0] += 1;
    this.clock += 100_000;
    this.#segment(1, 0, flag.syn | flag.ack);
    this.#sequence[1] += 1;
    this.clock += 100_000;
    this.#segment(0, 0, flag.ack);
    while (this.sent < packets) {
      this.clock += between(next, 5_000, 45_000);
      const side = next() < 0.5 ? 1 : 0;
      const roll = next();
      if (roll < this.#options.large) this.#bulk(side);
      // An acknowledgement says something new, or it is one that `again` has sent.
      else if (roll < 0.55 && this.#acknowledged[side] !== this.#sequence[side === 0 ? 1 : 0])
        this.#segment(side, 0, flag.ack);
      else {
        const size = between(next, 1, 1 + Math.floor(next() * MSS));
        this.#segment(side, size, next() < 0.5 ? flag.ack : flag.ack | flag.psh);
        if (next() < this.#options.again) {
          this.clock += between(next, 200_000, 2_000_000);
          this.#segment(side, size, flag.ack); // sent again, with another number
        }
        this.#sequence[side] += size;
      }
      if (next() < this.#options.again / 10) {
        this.clock += between(next, 1_000, 80_000);
        this.#segment(side, 0, flag.ack); // a duplicate acknowledgement
      }
      if (next() < 0.02) this.#window[side] += between(next, -5, 5);
    }
    for (const side of [0, 1] as const) {
      this.clock += 50_000;
      this.#segment(side, 0, flag.fin | flag.ack);
      this.#sequence[side] += 1;
    }
    this.clock += 50_000;
    this.#segment(0, 0, flag.ack);
  }

  /** Large segments, acknowledged by the other side, and one of their parts sent again now and then. */
  #bulk(side: 0 | 1): void {
    const next = this.#next;
    const other = side === 0 ? 1 : 0;
    for (let count = between(next, 1, 4); count > 0; count--) {
      const segments = between(next, 2, 44);
      const size = segments * MSS - (next() < 0.3 ? between(next, 1, MSS - 1) : 0);
      const start = this.#sequence[side];
      this.#segment(side, size, next() < 0.5 ? flag.ack : flag.ack | flag.psh);
      this.#sequence[side] += size;
      if (next() < this.#options.again) {
        // One segment of it again, as fast retransmit does; its stamp may be the same.
        const end = this.#sequence[side];
        this.clock += between(next, 300_000, 3_000_000);
        this.#sequence[side] = start + between(next, 0, segments - 2) * MSS;
        this.#segment(side, MSS, flag.ack);
        this.#sequence[side] = end;
      }
      this.clock += between(next, 2_000, 60_000);
      this.#segment(other, 0, flag.ack);
      if (next() < this.#options.again) {
        this.clock += between(next, 1_000, 80_000);
        this.#segment(other, 0, flag.ack); // a duplicate acknowledgement
      }
    }
  }

  #datagrams(packets: number): void {
    const next = this.#next;
    if (next() < 0.05) {
      this.#refused();
      return;
    }
    while (this.sent < packets) {
      this.clock += between(next, 5_000, 60_000);
      const side = this.sent > 0 && next() < 0.5 ? 1 : 0;
      if (next() >= this.#options.again)
        this.#content = this.#options.twins ? this.#content + 1 : Math.floor(next() * 2 ** 31);
      if (!this.#options.twins && next() < this.#options.large) {
        const whole = this.#parcel(side, "udp", between(next, 1600, 5000), {});
        // Of two datagrams between the same hosts no fragments have one number (RFC 6864).
        const id = 1 + (this.#truths.sizes.length % 0xfffe);
        for (const piece of fragments({ ...whole, id }, this.#connection.family === 4 ? 1480 : 1448))
          this.#send(side, {
            ...piece,
            parts: [{ truth: this.#truths.add(piece.payload), from: 0, length: piece.payload }],
          });
        continue;
      }
      this.#send(side, this.#parcel(side, "udp", between(next, 4, 64), {}));
    }
  }

  /** A datagram to a closed port, and what the other end says. */
  #refused(): void {
    const inner = this.#parcel(0, "udp", 20, {});
    this.#send(0, inner);
    this.clock += 100_000;
    this.#send(1, { ...this.#parcel(1, "error", 0, {}), inner });
  }

  #echoes(packets: number): void {
    for (let number = 1; this.sent < packets; number++) {
      this.#content++;
      this.#sequence[0] = number;
      this.#send(0, this.#parcel(0, "echo", 56, {}));
      this.clock += between(this.#next, 50_000, 150_000);
      this.#send(1, { ...this.#parcel(1, "echo", 56, {}), sequence: number });
      this.clock += between(this.#next, 5_000, 1_000_000);
    }
  }

  #segment(side: 0 | 1, size: number, flags: number): void {
    const other = side === 0 ? 1 : 0;
    // A clock of a millisecond, as Linux has it: neighbours share a stamp.
    const tick = this.#stamp + Math.floor(this.clock / 1e6);
    this.#acknowledged[side] = this.#sequence[other];
    const answer = (flags & (flag.syn | flag.ack)) === (flag.syn | flag.ack);
    const parcel = this.#parcel(side, "tcp", size, {
      flags,
      sequence: this.#sequence[side] >>> 0,
      acknowledgement: flags & flag.ack ? this.#sequence[other] >>> 0 : 0,
      window: this.#window[side],
      stamps: [tick >>> 0, 5],
    });
    const numbered =
      this.#options.unnumbered || this.#connection.family === 6 || answer ? 0 : Math.ceil(size / MSS) || 1;
    this.#id[side] = ((this.#id[side] - 1 + numbered) % 0xffff) + 1;
    this.#send(side, answer ? { ...parcel, id: 0 } : parcel);
  }

  #parcel(side: 0 | 1, kind: Parcel["kind"], payload: number, more: Partial<Parcel>): Parcel {
    const plain = this.#options.unnumbered || this.#connection.family === 6;
    const id = plain ? 0 : this.#id[side];
    if (!plain && kind !== "tcp") this.#id[side] = (this.#id[side] % 0xffff) + 1;
    const length = kind === "udp" ? payload + 8 : payload;
    return {
      connection: this.#connection,
      reply: side === 1,
      time: this.clock,
      kind,
      parts: [{ truth: -1, from: 0, length }],
      id,
      payload,
      sequence: kind === "echo" ? this.#sequence[0] & 0xffff : 0,
      acknowledgement: 0,
      flags: 0,
      window: 0,
      stamps: [0, 0],
      content: this.#content,
      ...more,
    };
  }

  #send(side: 0 | 1, parcel: Parcel): void {
    const [part] = parcel.parts;
    const numbered =
      part && part.truth < 0 ? { ...parcel, parts: [{ ...part, truth: this.#truths.add(part.length) }] } : parcel;
    (side === 0 ? this.requests : this.replies).push(numbered);
    this.sent++;
  }
}
