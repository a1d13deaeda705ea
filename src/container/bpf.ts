/** Instructions of classic BPF (linux/bpf_common.h, linux/filter.h), as far as a system call filter needs them. */

export const operation = {
  /** A = the 32 bits at offset k of seccomp_data. */
  load: 0x20,
  /** pc += k */
  jump: 0x05,
  ifEqual: 0x15,
  ifGreater: 0x25,
  ifGreaterOrEqual: 0x35,
  /** A & k */
  ifAny: 0x45,
  /** A &= k */
  and: 0x54,
  return: 0x06,
} as const;

/** One `struct sock_filter`. A jump counts from the next instruction; conditional ones reach 255. */
export interface Instruction {
  readonly code: number;
  readonly then: number;
  readonly otherwise: number;
  readonly k: number;
}

export function instruction(code: number, k: number, then = 0, otherwise = 0): Instruction {
  if (then > 255 || otherwise > 255) throw new RangeError("a conditional jump of BPF reaches 255 instructions");
  return { code, then, otherwise, k: k >>> 0 };
}

/** The kernel's own form, in the byte order of the machines that we know (all little-endian). */
export function assemble(instructions: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(instructions.length * 8);
  const view = new DataView(bytes.buffer);
  instructions.forEach(({ code, then, otherwise, k }, index) => {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, then);
    view.setUint8(index * 8 + 3, otherwise);
    view.setUint32(index * 8 + 4, k, true);
  });
  return bytes;
}
