/**
 * pcapng (draft-ietf-opsawg-pcapng): a reader for what people bring, and a writer for what a trace becomes in
 * Wireshark: one interface a hop, nanosecond stamps, `epb_packetid` for one packet over all of them.
 */
import { CaptureError } from "./error.js";
import { type CaptureHeader, type CaptureReader, joined, MAXIMUM_RECORD, type RecordSink } from "./pcap.js";

const Block = { section: 0x0a0d0d0a, interface: 1, packet: 2, simple: 3, statistics: 5, enhanced: 6 } as const;
const ByteOrderMagic = 0x1a2b3c4d;
const Option = { end: 0, comment: 1, name: 2, description: 3, packetId: 5, resolution: 9, offset: 14 } as const;
/** `shb_userappl`, option 4 of a section header. */
const Application = 4;
/** `epb_flags`, option 2 of a packet: its lowest two bits are the direction. */
const Flags = 2;
const directions = { in: 1, out: 2 } as const;
/** `isb_ifrecv` and `isb_ifdrop`, options of interface statistics. */
const Received = 4;
const Dropped = 5;
/** Blocks may carry records and options; no more than this is believed. */
const MAXIMUM_BLOCK = MAXIMUM_RECORD + 65_536;
const NOTHING = new Uint8Array(0);

export interface CapturedInterface {
  readonly linkType: number;
  readonly snapshotLength: number;
  readonly name?: string;
  readonly description?: string;
  /** Stamps a second. */
  readonly unitsPerSecond: bigint;
  /** Seconds to add to each stamp. */
  readonly offset: bigint;
}

export class PcapngReader implements CaptureReader {
  header: CaptureHeader | undefined;
  records = 0;
  /** Interfaces of all sections, in the order in which they are described; `link` of a record is their number. */
  readonly interfaces: CapturedInterface[] = [];
  readonly #sink: RecordSink;
  readonly #epoch: bigint;
  #rest: Uint8Array = NOTHING;
  #consumed = 0;
  #littleEndian = true;
  #sections = 0;
  /** Number of the section's first interface. */
  #firstInterface = 0;

  constructor(epoch: bigint, sink: RecordSink) {
    this.#epoch = epoch;
    this.#sink = sink;
  }

  linkType(link: number): number {
    return this.interfaces[link]?.linkType ?? 0;
  }

  push(chunk: Uint8Array): void {
    // Blocks carry their length in front: nothing is parsed before it is whole, and no block is larger than the bound.
    let bytes = this.#rest.length === 0 ? chunk : joined(this.#rest, chunk);
    let used = 0;
    for (;;) {
      const length = this.#blockLength(bytes, used);
      if (length === 0 || bytes.length - used < length) break;
      this.#block(bytes, used, length);
      used += length;
      this.#consumed += length;
    }
    bytes = bytes.subarray(used);
    this.#rest = bytes.length === 0 ? NOTHING : bytes.slice();
  }

  end(): void {
    if (this.#sections === 0) {
      if (this.#rest.length === 0) throw new CaptureError("EMPTY", "the capture is empty", 0);
      throw new CaptureError("TRUNCATED", "the capture ends inside its section header", this.#rest.length);
    }
    if (this.#rest.length > 0) {
      throw new CaptureError("TRUNCATED", "the capture ends inside a block", this.#consumed + this.#rest.length);
    }
  }

  /** @returns 0 where that cannot be told yet */
  #blockLength(bytes: Uint8Array, at: number): number {
    if (bytes.length - at < 12) return 0;
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, 12);
    if (view.getUint32(0) === Block.section) {
      this.#littleEndian = view.getUint32(8, true) === ByteOrderMagic;
      if (!this.#littleEndian && view.getUint32(8) !== ByteOrderMagic) {
        throw new CaptureError("NOT_PCAPNG", "the section header has no byte order magic", this.#consumed + 8);
      }
    } else if (this.#sections === 0) {
      throw new CaptureError("NOT_PCAPNG", "this is no pcapng file: it does not begin with a section header", 0);
    }
    const length = view.getUint32(4, this.#littleEndian);
    if (length < 12 || length % 4 !== 0 || length > MAXIMUM_BLOCK) {
      throw new CaptureError("CORRUPT", `a block claims a length of ${length} bytes`, this.#consumed + 4);
    }
    return length;
  }

  #block(bytes: Uint8Array, at: number, length: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, length);
    const little = this.#littleEndian;
    if (view.getUint32(length - 4, little) !== length) {
      throw new CaptureError("CORRUPT", "a block's lengths differ", this.#consumed + length - 4);
    }
    switch (view.getUint32(0, little)) {
      case Block.section:
        this.#sections++;
        this.#firstInterface = this.interfaces.length;
        this.#need(length, 28);
        break;
      case Block.interface:
        this.#need(length, 20);
        this.#interface(view, length);
        break;
      case Block.enhanced:
      case Block.packet: {
        this.#need(length, 32);
        const old = view.getUint32(0, little) === Block.packet;
        const link = old ? view.getUint16(8, little) : view.getUint32(8, little);
        const units = (BigInt(view.getUint32(12, little)) << 32n) | BigInt(view.getUint32(16, little));
        const captured = view.getUint32(20, little);
        if (captured > length - 32) {
          throw new CaptureError(
            "CORRUPT",
            `a packet of ${captured} bytes is larger than its block`,
            this.#consumed + 20,
          );
        }
        this.#record(link, units, bytes, at + 28, captured, view.getUint32(24, little));
        break;
      }
      case Block.simple: {
        this.#need(length, 16);
        const original = view.getUint32(8, little);
        const limit = this.interfaces[this.#firstInterface]?.snapshotLength ?? 0;
        const captured = Math.min(original, length - 16, limit === 0 ? original : limit);
        this.#record(0, undefined, bytes, at + 12, captured, original);
        break;
      }
      default: // name resolution, statistics, custom blocks: nothing for us
    }
  }

  #record(
    link: number,
    units: bigint | undefined,
    bytes: Uint8Array,
    at: number,
    captured: number,
    length: number,
  ): void {
    const number = this.#firstInterface + link;
    const source = this.interfaces[number];
    if (!source) {
      throw new CaptureError(
        "CORRUPT",
        `a packet names interface ${link}, which was not described`,
        this.#consumed + 8,
      );
    }
    // A simple packet block has no stamp (RFC draft, 4.4): it stands at time 0.
    const nanoseconds =
      units === undefined
        ? this.#epoch
        : (units * 1_000_000_000n) / source.unitsPerSecond + source.offset * 1_000_000_000n;
    this.records++;
    this.#sink(Number(nanoseconds - this.#epoch), bytes, at, captured, Math.max(length, captured), number);
  }

  #interface(view: DataView, length: number): void {
    const little = this.#littleEndian;
    let name: string | undefined;
    let description: string | undefined;
    let unitsPerSecond = 1_000_000n;
    let offset = 0n;
    for (let at = 16; at + 4 <= length - 4;) {
      const code = view.getUint16(at, little);
      const size = view.getUint16(at + 2, little);
      if (code === Option.end || at + 4 + size > length - 4) break;
      const value = new Uint8Array(view.buffer, view.byteOffset + at + 4, size);
      if (code === Option.name) name = new TextDecoder().decode(value);
      if (code === Option.description) description = new TextDecoder().decode(value);
      if (code === Option.resolution && size > 0) {
        const resolution = value[0] ?? 6;
        unitsPerSecond = resolution & 0x80 ? 1n << BigInt(resolution & 0x7f) : 10n ** BigInt(resolution);
      }
      if (code === Option.offset && size === 8) offset = view.getBigInt64(at + 4, little);
      at += 4 + size + ((4 - (size % 4)) % 4);
    }
    const linkType = view.getUint16(8, little);
    const snapshotLength = view.getUint32(12, little);
    this.interfaces.push({
      linkType,
      snapshotLength,
      unitsPerSecond,
      offset,
      ...(name === undefined ? {} : { name }),
      ...(description === undefined ? {} : { description }),
    });
    this.header ??= { format: "pcapng", linkType, snapshotLength, nanoseconds: unitsPerSecond >= 1_000_000_000n };
  }

  #need(length: number, least: number): void {
    if (length < least) throw new CaptureError("CORRUPT", `a block of ${length} bytes is too short`, this.#consumed);
  }
}

export interface PcapngInterface {
  /** `host:eth0`: what Wireshark shows as the interface. */
  readonly name: string;
  readonly linkType: number;
  readonly snapshotLength?: number;
  readonly description?: string;
}

export interface PcapngPacket {
  /** Position of its interface in the header. */
  readonly interface: number;
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly bytes: Uint8Array;
  /** Bytes on the wire; as many as captured where absent. */
  readonly length?: number;
  /** `epb_packetid`: the same for one packet at all interfaces. */
  readonly packetId?: number | bigint;
  /** `epb_flags`: into the interface, or out of it. */
  readonly direction?: "in" | "out";
  readonly comment?: string;
}

export interface PcapngStatistics {
  /** Position of its interface in the header. */
  readonly interface: number;
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly received: number;
  /** Packets that the tap had no room for. */
  readonly dropped: number;
}

/** Section header, little-endian. */
export function pcapngSection(comment?: string): Uint8Array {
  return block(Block.section, [
    u32(ByteOrderMagic),
    u16(1),
    u16(0),
    new Uint8Array(8).fill(255), // length of the section: not known
    ...(comment === undefined ? [] : [option(Option.comment, text(comment))]),
    option(Application, text("yapc-net")),
    option(Option.end, NOTHING),
  ]);
}

/** Interface description, nanosecond stamps. Interfaces count from 0 in the order in which they are described. */
export function pcapngInterface(one: PcapngInterface): Uint8Array {
  return block(Block.interface, [
    u16(one.linkType),
    u16(0),
    u32(one.snapshotLength ?? 262_144),
    option(Option.name, text(one.name)),
    ...(one.description === undefined ? [] : [option(Option.description, text(one.description))]),
    option(Option.resolution, Uint8Array.of(9)),
    option(Option.end, NOTHING),
  ]);
}

/** Section header and one interface description a hop. */
export function pcapngHeader(interfaces: readonly PcapngInterface[], comment?: string): Uint8Array {
  return concatenated([pcapngSection(comment), ...interfaces.map(pcapngInterface)]);
}

/** Interface statistics block. */
export function pcapngStatistics({ interface: number, time, received, dropped }: PcapngStatistics): Uint8Array {
  return block(Block.statistics, [
    u32(number),
    u32(Number(time >> 32n)),
    u32(Number(time & 0xffff_ffffn)),
    option(Received, u64(BigInt(received))),
    option(Dropped, u64(BigInt(dropped))),
    option(Option.end, NOTHING),
  ]);
}

/** Enhanced packet block. */
export function pcapngPacket(packet: PcapngPacket): Uint8Array {
  const options = [
    ...(packet.comment === undefined ? [] : [option(Option.comment, text(packet.comment))]),
    ...(packet.direction === undefined ? [] : [option(Flags, u32(directions[packet.direction]))]),
    ...(packet.packetId === undefined ? [] : [option(Option.packetId, u64(BigInt(packet.packetId)))]),
  ];
  if (options.length > 0) options.push(option(Option.end, NOTHING));
  return block(Block.enhanced, [
    u32(packet.interface),
    u32(Number(packet.time >> 32n)),
    u32(Number(packet.time & 0xffff_ffffn)),
    u32(packet.bytes.length),
    u32(packet.length ?? packet.bytes.length),
    padded(packet.bytes),
    ...options,
  ]);
}

function block(type: number, parts: readonly Uint8Array[]): Uint8Array {
  const body = concatenated(parts);
  const length = u32(body.length + 12);
  return concatenated([u32(type), length, body, length]);
}

function option(code: number, value: Uint8Array): Uint8Array {
  return concatenated([u16(code), u16(value.length), padded(value)]);
}

function padded(bytes: Uint8Array): Uint8Array {
  const missing = (4 - (bytes.length % 4)) % 4;
  return missing === 0 ? bytes : joined(bytes, new Uint8Array(missing));
}

function text(value: string): Uint8Array {
  // An option's length has 16 bits.
  return new TextEncoder().encode(value).subarray(0, 65_000);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 255, value >>> 8);
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24);
}

function u64(value: bigint): Uint8Array {
  return joined(u32(Number(value & 0xffff_ffffn)), u32(Number((value >> 32n) & 0xffff_ffffn)));
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
