/** Where a trace listens: on each interface, or on all interfaces of a node at once. */
import { hasStrings, isListOf, isObject } from "./shape.js";

/** `interface`: a tap a hop. `namespace`: one a node. `auto`: the first while packets are few, then the second. */
export const tapModes = ["interface", "namespace", "auto"] as const;
export type TapMode = (typeof tapModes)[number];

/** A tap on all interfaces of a node. */
export interface NamespaceTap {
  readonly node: string;
  /** Index of an interface, and number of the hop that it is. */
  readonly interfaces: readonly (readonly [index: number, hop: number])[];
}

export function isNamespaceTap(value: unknown): value is NamespaceTap {
  const isPair = (pair: unknown): boolean => isListOf(pair, (each) => typeof each === "number");
  return isObject(value) && hasStrings(value, "node") && isListOf(value.interfaces, isPair);
}

/** Other taps took over: records of those before count where they are older than `time`, those of the new ones from it on. */
export interface HandOver {
  /** Nanoseconds since the epoch of the trace. */
  readonly time: number;
  /** Each takes the next number. */
  readonly taps: readonly NamespaceTap[];
}
