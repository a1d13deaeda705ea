/** `link`: what each end is and does. */
import { hopName } from "../model/hop.js";
import { type DrawnShaping, shapingText } from "./graph/graph-of-topology.js";
import { noInk, type Ink } from "./ink.js";
import { visible } from "./width.js";

export interface LinkEndState {
  readonly node: string;
  readonly interface: string;
  readonly up: boolean;
  readonly shaping?: DrawnShaping;
}

/** `web:eth0: up, sends at 1 Mbit/s, 20.00 ms` */
export function linkLines(ends: readonly LinkEndState[], ink: Ink = noInk): string[] {
  return ends.map((end) => {
    const state = end.up ? ink("good", "up") : ink("bad", "down");
    const shaping = shapingText(end.shaping);
    return `${visible(hopName(end))}: ${state}${shaping === undefined ? "" : `, what it sends: ${shaping}`}`;
  });
}
