/** What happens to parcels between two stations: loss, delay, reordering, duplication, division and merging. */
import { flag } from "../frames.js";
import type { Parcel, Part } from "./parcel.js";
import { between, type Random } from "./random.js";

export interface Gap {
  /** Probability that a parcel dies; that the link makes two of one. */
  readonly loss: number;
  readonly duplicate: number;
  /** Nanoseconds: least, and at random on top of it. */
  readonly base: number;
  readonly jitter: number;
  /** Stamps stay as they are (a bridge passes up what came in at its port). TCP is stamped anew. */
  readonly tie: boolean;
  /** Segments leave one by one: the payload of each; 0 where large ones pass. */
  readonly cut: number;
  /** Neighbouring segments become one (GRO). */
  readonly merge: boolean;
  /** A router that reassembles fragments, and sends them on with so many bytes each; 0 where it does not. */
  readonly refragment: number;
}

/** GRO keeps no more than this together. */
const MAXIMUM_MERGED = 17;
/** And waits for no longer (nanoseconds). */
const MERGE_WAIT = 20_000;

/** @param parcels in order of time @returns likewise */
export function cross(parcels: readonly Parcel[], gap: Gap, next: Random): Parcel[] {
  let moved: Parcel[] = [];
  for (const parcel of parcels) {
    if (next() < gap.loss) continue;
    moved.push(parcel);
    if (next() < gap.duplicate) moved.push({ ...parcel, time: parcel.time + 400 });
  }
  if (gap.refragment > 0) moved = refragmented(moved, gap.refragment);
  if (gap.cut > 0) moved = moved.flatMap((parcel) => segments(parcel, gap.cut));
  moved = moved.map((parcel) =>
    gap.tie && parcel.kind !== "tcp"
      ? parcel
      : { ...parcel, time: parcel.time + gap.base + Math.floor(next() * gap.jitter) },
  );
  moved.sort((a, b) => a.time - b.time);
  return gap.merge ? merged(moved, next) : moved;
}

/** Bytes [from, from + length) of what `parts` carry. */
function slice(parts: readonly Part[], from: number, length: number): Part[] {
  const out: Part[] = [];
  let at = 0;
  for (const part of parts) {
    const start = Math.max(from, at);
    const end = Math.min(from + length, at + part.length);
    if (end > start) out.push({ truth: part.truth, from: part.from + (start - at), length: end - start });
    at += part.length;
  }
  return out;
}

/** As tcp_gso_segment cuts: PSH and FIN on the last one only, identifications counted on. */
function segments(parcel: Parcel, size: number): Parcel[] {
  if (parcel.kind !== "tcp" || parcel.payload <= size) return [parcel];
  const pieces: Parcel[] = [];
  for (let at = 0, number = 0; at < parcel.payload; at += size, number++) {
    const payload = Math.min(size, parcel.payload - at);
    const last = at + payload === parcel.payload;
    pieces.push({
      ...parcel,
      time: parcel.time + number * 600,
      parts: slice(parcel.parts, at, payload),
      payload,
      id: parcel.id === 0 ? 0 : ((parcel.id - 1 + number) % 0xffff) + 1,
      sequence: (parcel.sequence + at) >>> 0,
      flags: last ? parcel.flags : parcel.flags & ~(flag.psh | flag.fin),
    });
  }
  return pieces;
}

/** As tcp_gro_receive merges: what follows without a gap, with the same acknowledgement, window and options. */
function merged(parcels: readonly Parcel[], next: Random): Parcel[] {
  const out: Parcel[] = [];
  const open = new Map<string, { parcel: Parcel; count: number; size: number; limit: number; at: number }>();
  for (const parcel of parcels) {
    const plain = parcel.kind === "tcp" && (parcel.flags & (flag.syn | flag.rst | flag.fin)) === 0;
    const key = `${parcel.connection.number} ${parcel.reply}`;
    const held = open.get(key);
    const id = held && (held.parcel.id === 0 ? 0 : ((held.parcel.id - 1 + held.count) % 0xffff) + 1);
    if (
      held &&
      plain &&
      parcel.payload > 0 &&
      parcel.payload <= held.size &&
      held.count < held.limit &&
      parcel.time - held.parcel.time < MERGE_WAIT &&
      parcel.sequence === (held.parcel.sequence + held.parcel.payload) >>> 0 &&
      parcel.acknowledgement === held.parcel.acknowledgement &&
      parcel.window === held.parcel.window &&
      parcel.stamps[0] === held.parcel.stamps[0] &&
      parcel.stamps[1] === held.parcel.stamps[1] &&
      parcel.id === id
    ) {
      held.parcel = {
        ...held.parcel,
        time: parcel.time,
        parts: [...held.parcel.parts, ...parcel.parts],
        payload: held.parcel.payload + parcel.payload,
        flags: held.parcel.flags | parcel.flags,
      };
      held.count++;
      out[held.at] = held.parcel;
      if (parcel.flags & flag.psh || parcel.payload < held.size) open.delete(key);
      continue;
    }
    open.delete(key);
    out.push(parcel);
    // What is large already is passed on as it is.
    if (plain && parcel.payload > 0 && parcel.payload <= 1448 && (parcel.flags & flag.psh) === 0)
      open.set(key, {
        parcel,
        count: 1,
        size: parcel.payload,
        limit: between(next, 2, MAXIMUM_MERGED),
        at: out.length - 1,
      });
  }
  return out.sort((a, b) => a.time - b.time);
}

/** As conntrack does: nothing leaves before the last fragment has come, and then in pieces of `size` bytes. */
function refragmented(parcels: readonly Parcel[], size: number): Parcel[] {
  const out: Parcel[] = [];
  const waiting = new Map<string, Parcel[]>();
  for (const parcel of parcels) {
    if (!parcel.fragment) {
      out.push(...(parcel.kind === "udp" ? fragments(parcel, size) : [parcel]));
      continue;
    }
    const key = `${parcel.connection.number} ${parcel.reply} ${parcel.id}`;
    const have = waiting.get(key) ?? [];
    if (have.some((one) => one.fragment?.offset === parcel.fragment?.offset)) continue; // a duplicate
    have.push(parcel);
    waiting.set(key, have);
    have.sort((a, b) => (a.fragment?.offset ?? 0) - (b.fragment?.offset ?? 0));
    let end = 0;
    for (const one of have) if (one.fragment?.offset === end) end += one.payload;
    const last = have.at(-1);
    if (!last?.fragment || last.fragment.more || end !== last.fragment.offset + last.payload) continue;
    waiting.delete(key);
    const { fragment: _, ...first } = have[0]!;
    const parts = have.flatMap((one) => one.parts);
    out.push(...fragments({ ...first, time: parcel.time, parts, payload: end - 8 }, size));
  }
  return out;
}

/** A datagram as the frames it leaves in: itself where it fits. Parts count the UDP header too. */
export function fragments(parcel: Parcel, size: number): Parcel[] {
  const bytes = parcel.payload + 8;
  if (bytes <= size) return [parcel];
  const pieces: Parcel[] = [];
  for (let at = 0, number = 0; at < bytes; at += size, number++) {
    const payload = Math.min(size, bytes - at);
    pieces.push({
      ...parcel,
      time: parcel.time + number * 500,
      parts: slice(parcel.parts, at, payload),
      payload,
      fragment: { offset: at, more: at + payload < bytes },
    });
  }
  return pieces;
}
