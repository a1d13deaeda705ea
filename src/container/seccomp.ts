/**
 * The system call filter of a container, compiled to classic BPF (seccomp(2)): the policy becomes a list of ranges of
 * call numbers with one action each, and the list a binary search.
 */
import { Failure } from "../model/failure.js";
import { type Instruction, assemble, instruction, operation } from "./bpf.js";
import { allowed, allowedFamilies, allowedPersonalities, allowedWith, namespaceFlags } from "./seccomp-policy.js";
import { type Architecture, architectures } from "./system-calls.js";

/** SECCOMP_RET_* (linux/seccomp.h). */
const killProcess = 0x80000000;
const allow = 0x7fff0000;
export const errno = (number: number) => 0x00050000 | number;
const EPERM = 1;
const ENOSYS = 38;

/** Offsets in struct seccomp_data: number, architecture, and the low half of an argument. */
const numberAt = 0;
const architectureAt = 4;
const argumentAt = (index: number) => 16 + 8 * index;

/** Bit that the x32 calls of an x86-64 kernel carry. */
const x32Bit = 0x40000000;

export type Code = readonly Instruction[];

const returns = (value: number): Code => [instruction(operation.return, value)];

/** Looks at the low half: these arguments are of 32 bits, and the kernel looks at no more. */
const loadArgument = (index: number) => instruction(operation.load, argumentAt(index));

/** Calls that depend on an argument. */
const examined: ReadonlyMap<string, Code> = new Map<string, Code>([
  [
    "clone",
    [loadArgument(0), instruction(operation.ifAny, namespaceFlags, 0, 1), ...returns(errno(EPERM)), ...returns(allow)],
  ],
  // Its flags lie in memory, where a filter cannot look: the C library then takes clone.
  ["clone3", returns(errno(ENOSYS))],
  ["socket", argumentIn(allowedFamilies, allow, errno(EPERM))],
  ["personality", argumentIn(allowedPersonalities, allow, errno(EPERM))],
]);

function argumentIn(values: readonly number[], found: number, otherwise: number): Code {
  const tests = values.map((value, index) => instruction(operation.ifEqual, value, values.length - index, 0));
  return [loadArgument(0), ...tests, ...returns(otherwise), ...returns(found)];
}

/** From this number on, up to the next range. */
interface Range {
  readonly start: number;
  readonly code: Code;
}

/** What is done about a call, by its name. Equal codes are one value: neighbours with it are one range. */
export interface Policy {
  /** Undefined: `otherwise`. */
  readonly codeOf: (name: string) => Code | undefined;
  readonly otherwise: Code;
  /** For numbers above those that we know. */
  readonly unknown: Code;
}

function rangesOf({ numbers, last }: Architecture, { codeOf, otherwise, unknown }: Policy): Range[] {
  const codes = new Map<number, Code | undefined>([...numbers].map(([name, number]) => [number, codeOf(name)]));
  const ranges: Range[] = [];
  for (let number = 0; number <= last + 1; number++) {
    const code = number > last ? unknown : (codes.get(number) ?? otherwise);
    if (ranges.at(-1)?.code !== code) ranges.push({ start: number, code });
  }
  return ranges;
}

/** The number is in the accumulator. */
function search(ranges: readonly Range[]): Code {
  const [first] = ranges;
  if (first === undefined) throw new RangeError("a search over no ranges");
  if (ranges.length === 1) return first.code;
  const middle = ranges.length >> 1;
  const lower = search(ranges.slice(0, middle));
  const upper = search(ranges.slice(middle));
  const start = ranges[middle]?.start ?? 0;
  if (lower.length <= 255) return [instruction(operation.ifGreaterOrEqual, start, lower.length, 0), ...lower, ...upper];
  return [
    instruction(operation.ifGreaterOrEqual, start, 0, 1),
    instruction(operation.jump, lower.length),
    ...lower,
    ...upper,
  ];
}

/** @param name architecture as Node names it; throws a machine Failure for one that has no table here */
export function machineOf(name: string): Architecture {
  const architecture = architectures.get(name);
  if (architecture !== undefined) return architecture;
  throw new Failure("machine", `there is no system call filter for ${name}`, {
    code: "NO_FILTER",
    hint: 'turn it off with "seccomp": false, or --seccomp none',
  });
}

/** The filter for a set of capabilities, on an architecture as Node names it. */
export function defaultFilter(name: string, capabilities: readonly string[]): Uint8Array {
  const names = new Set([...allowed, ...capabilities.flatMap((capability) => allowedWith.get(capability) ?? [])]);
  const pass = returns(allow);
  return filterOf(machineOf(name), {
    codeOf: (call) => (names.has(call) ? pass : examined.get(call)),
    otherwise: returns(errno(EPERM)),
    // What is newer than this list does not exist, so that programs fall back to what they know.
    unknown: returns(errno(ENOSYS)),
  });
}

/** Calls of another architecture end the process, those of x32 do not exist. */
export function filterOf(architecture: Architecture, policy: Policy): Uint8Array {
  return assemble([
    instruction(operation.load, architectureAt),
    instruction(operation.ifEqual, architecture.audit, 1, 0),
    ...returns(killProcess),
    instruction(operation.load, numberAt),
    instruction(operation.ifGreaterOrEqual, x32Bit, 0, 1),
    ...returns(errno(ENOSYS)),
    ...search(rangesOf(architecture, policy)),
  ]);
}
