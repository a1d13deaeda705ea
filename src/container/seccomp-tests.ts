/** What a rule of a seccomp profile asks of an argument, in BPF: 64 bits, which BPF sees as two halves. */
import { type Instruction, instruction, operation } from "./bpf.js";

export const comparisons = [
  "SCMP_CMP_EQ",
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
] as const;

export interface ArgumentTest {
  /** 0 to 5 */
  readonly index: number;
  readonly comparison: (typeof comparisons)[number];
  readonly value: bigint;
  /** Of MASKED_EQ: `argument & value == masked`. */
  readonly masked: bigint;
}

const low = (value: bigint) => Number(value & 0xffffffffn);
const high = (value: bigint) => Number((value >> 32n) & 0xffffffffn);

/** Goes on behind itself where the argument is as asked, and `miss` instructions further where it is not. */
export function argumentTest({ index, comparison, value, masked }: ArgumentTest, miss: number): readonly Instruction[] {
  const upper = instruction(operation.load, 16 + 8 * index + 4);
  const lower = instruction(operation.load, 16 + 8 * index);
  const is = (code: number, half: number, then: number, otherwise: number) => instruction(code, half, then, otherwise);
  const { ifEqual, ifGreater, ifGreaterOrEqual, and } = operation;
  switch (comparison) {
    case "SCMP_CMP_EQ":
      return [upper, is(ifEqual, high(value), 0, miss + 2), lower, is(ifEqual, low(value), 0, miss)];
    case "SCMP_CMP_NE":
      return [upper, is(ifEqual, high(value), 0, 2), lower, is(ifEqual, low(value), miss, 0)];
    case "SCMP_CMP_MASKED_EQ":
      return [
        upper,
        instruction(and, high(value)),
        is(ifEqual, high(masked), 0, miss + 3),
        lower,
        instruction(and, low(value)),
        is(ifEqual, low(masked), 0, miss),
      ];
    case "SCMP_CMP_GE":
    case "SCMP_CMP_GT":
      return [
        upper,
        is(ifGreater, high(value), 3, 0),
        is(ifEqual, high(value), 0, miss + 2),
        lower,
        is(comparison === "SCMP_CMP_GE" ? ifGreaterOrEqual : ifGreater, low(value), 0, miss),
      ];
    case "SCMP_CMP_LT":
    case "SCMP_CMP_LE":
      return [
        upper,
        is(ifGreater, high(value), miss + 3, 0),
        is(ifEqual, high(value), 0, 2),
        lower,
        is(comparison === "SCMP_CMP_LT" ? ifGreaterOrEqual : ifGreater, low(value), miss, 0),
      ];
  }
}
