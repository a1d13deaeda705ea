/** A packet's path in one line: `client:eth0 +3.0 host:eth0 +4.1 DNAT host:yapc0 ✗`. */
import type { Verdict } from "../model/trace.js";
import type { Ink } from "./ink.js";
import { marksOf, type PacketPath, stationName } from "./path.js";
import { elapsed } from "./quantity.js";
import { endMark, verdictTone } from "./verdict.js";

/** Pieces that a line may break between. Time in microseconds; an implied hop in brackets, without a time. */
export function pathPieces(path: PacketPath, verdict: Verdict, ink: Ink): string[] {
  const pieces: string[] = [];
  for (const station of path.stations) {
    const { hop, sighting, gap } = station;
    const marks = gap === undefined ? [] : marksOf(gap);
    const crossing = [
      ...(gap?.elapsed === undefined ? [] : [ink("dim", elapsed(gap.elapsed))]),
      ...marks.map((mark) => ink("accent", mark)),
    ];
    if (crossing.length > 0) pieces.push(crossing.join(" "));
    pieces.push(sighting === undefined ? ink("dim", `(${hop})`) : stationName(station));
  }
  if (verdict.kind !== "delivered") pieces.push(ink(verdictTone[verdict.kind], endMark[verdict.kind]));
  return pieces;
}
