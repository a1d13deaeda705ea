/** What the self-check of a trace found: how far its joins agree with the kernel's own packet buffers. */
import { count } from "./quantity.js";

interface Joins {
  readonly agree: number;
  readonly differ: number;
}

export interface SelfCheckReport {
  readonly classes: Readonly<Record<string, Joins>>;
  readonly unchecked: { readonly divided: number; readonly replaced: number; readonly unclear: number };
  readonly differences: readonly { readonly packet: number; readonly from: string; readonly to: string }[];
  readonly incomplete: boolean;
}

/** Share of the checked joins of class exact or strong that must agree. */
const required = 0.9999;
const sure = ["exact", "strong"];

/** @returns false where joins that are called sure are wrong: more of them than one in ten thousand */
export function selfCheckHolds({ classes }: SelfCheckReport): boolean {
  const { agree, differ } = sumOf(sure.map((name) => classes[name]));
  return agree + differ === 0 || agree / (agree + differ) >= required;
}

export function selfCheckLines({ classes, unchecked, differences, incomplete }: SelfCheckReport): string[] {
  const told = (name: string, joins: Joins): string => `${name} ${shareOf(joins)}`;
  const all = sumOf(sure.map((name) => classes[name]));
  const others = Object.entries(classes).filter(
    ([name, joins]) => !sure.includes(name) && joins.agree + joins.differ > 0,
  );
  const reasons = [
    [unchecked.divided, "divided or merged on the way"],
    [unchecked.replaced, "in another buffer after the hop"],
    [unchecked.unclear, "without an event that stands out"],
  ] as const;
  const left = reasons.filter(([number]) => number > 0).map(([number, reason]) => `${number} ${reason}`);
  return [
    `self-check: ${[told("exact or strong", all), ...others.map(([name, joins]) => told(name, joins))].join("; ")}`,
    ...(left.length === 0 ? [] : [`  not checkable: ${left.join(", ")}`]),
    ...(incomplete ? ["  the kernel's ring was full at times: some of its events are missing"] : []),
    ...differences.map(({ packet, from, to }) => `  packet ${packet}: not the same buffer at ${from} and ${to}`),
  ];
}

function shareOf({ agree, differ }: Joins): string {
  const total = agree + differ;
  if (total === 0) return "0 joins checked";
  // Never rounded up: 100 % is said of all.
  const share = Math.floor((agree / total) * 1e6) / 1e4;
  return `${agree} of ${count(total, "join")} agree with the kernel (${share} %)`;
}

function sumOf(all: readonly (Joins | undefined)[]): Joins {
  return all.reduce<Joins>(
    (sum, joins) => ({ agree: sum.agree + (joins?.agree ?? 0), differ: sum.differ + (joins?.differ ?? 0) }),
    { agree: 0, differ: 0 },
  );
}
