/** A program as the bytes that yapc-init reads (helper/program.h, parse_program). */
import type { ContainerProgram, ProgramOperation } from "./program.js";

const magic = 0x43504159; // "YAPC", little-endian
const version = 1;

const kinds: Record<ProgramOperation["kind"], number> = {
  base: 1,
  mkdir: 2,
  write: 3,
  symlink: 4,
  mount: 5,
  bind: 6,
  makeDevice: 7,
  bindDevice: 8,
  mask: 9,
  readOnly: 10,
  hostname: 11,
  copy: 12,
  pivot: 13,
};

const encoder = new TextEncoder();

class ProgramWriter {
  readonly #parts: Uint8Array[] = [];

  u8(value: number): this {
    this.#parts.push(Uint8Array.of(value));
    return this;
  }

  u32(value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    this.#parts.push(bytes);
    return this;
  }

  u64(value: bigint): this {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.#parts.push(bytes);
    return this;
  }

  blob(bytes: Uint8Array): this {
    this.u32(bytes.length).#parts.push(bytes);
    return this;
  }

  /** With a NUL behind it, which the length does not count. */
  content(text: string): this {
    return this.blob(encoder.encode(text)).u8(0);
  }

  string(text: string): this {
    if (text.includes("\0")) throw new RangeError(`a NUL in ${JSON.stringify(text)}`);
    return this.content(text);
  }

  strings(texts: readonly string[]): this {
    this.u32(texts.length);
    for (const text of texts) this.string(text);
    return this;
  }

  join(): Uint8Array {
    const whole = new Uint8Array(this.#parts.reduce((total, { length }) => total + length, 0));
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }
}

/** The fields that an operation uses; all the others are zero and empty on the wire. */
interface Fields {
  readonly mode?: number;
  readonly mountFlags?: number;
  readonly device?: { readonly major: number; readonly minor: number };
  readonly source?: string;
  readonly data?: string;
}

function fieldsOf(operation: ProgramOperation): Fields {
  switch (operation.kind) {
    case "mkdir":
      return { mode: operation.mode, ...(operation.like === undefined ? {} : { source: operation.like }) };
    case "write":
      return { mode: operation.mode, data: operation.content };
    case "symlink":
      return { source: operation.text };
    case "mount":
      return { source: operation.type, mountFlags: operation.flags, data: operation.options };
    case "copy":
      return { source: operation.source };
    case "bind":
      return { source: operation.source, mountFlags: operation.flags };
    case "makeDevice":
      return { mode: operation.mode, device: operation.device };
    case "bindDevice":
      return { source: operation.source, device: operation.device };
    case "hostname":
      return { data: operation.name };
    case "base":
    case "mask":
    case "readOnly":
    case "pivot":
      return {};
  }
}

function putOperation(writer: ProgramWriter, operation: ProgramOperation): void {
  const { mode = 0, mountFlags = 0, device, source = "", data = "" } = fieldsOf(operation);
  const inside = "inside" in operation && operation.inside ? 1 : 0;
  const optional = "optional" in operation && operation.optional ? 2 : 0;
  writer
    .u8(kinds[operation.kind])
    .u8(inside | optional)
    .u32(mode)
    .u32(mountFlags)
    .u32(device === undefined ? 0 : (device.major << 8) | device.minor)
    .string(source)
    .string("target" in operation ? operation.target : "");
  if (operation.kind === "write") writer.content(data);
  else writer.string(data);
}

export function encodeProgram(program: ContainerProgram): Uint8Array {
  const { user } = program;
  const writer = new ProgramWriter()
    .u32(magic)
    .u32(version)
    .strings(program.command)
    .strings(program.environment.map(([name, value]) => `${name}=${value}`))
    .string(program.workingDirectory)
    .u32(user.uid)
    .u32(user.gid)
    .u32(user.groups.length);
  for (const group of user.groups) writer.u32(group);
  writer.u64(program.capabilities).blob(program.filter).u32(program.limits.length);
  for (const { resource, soft, hard } of program.limits) writer.u32(resource).u64(soft).u64(hard);
  writer
    .u32(program.cgroupCount)
    .u8(program.countsOom ? 1 : 0)
    .u32(program.operations.length);
  for (const operation of program.operations) putOperation(writer, operation);
  return writer.join();
}
