/** A packet's path in one line: `client:eth0 +3.0 host:eth0 +4.1 DNAT host:yapc0 ✗`. */
import type { PacketEvent } from "../model/trace.js";
import type { Ink } from "./ink.js";
import { marksOf, pathOf, stationName } from "./path.js";
import { elapsed } from "./quantity.js";
import { endMark, verdictTone } from "./verdict.js";
import { measured, type Measured } from "./width.js";

/** A time that is still to be written: from one sighting to another, by their indexes. */
interface Crossing {
  readonly from: number;
  readonly to: number;
  /** What stands behind it: ` DNAT`. */
  readonly marks: Measured;
}

/** The line of all packets that went one way; only their times differ. */
export class PathLine {
  /** How many stations there are on the way. */
  readonly stations: number;
  readonly #ink: Ink;
  readonly #pieces: (Measured | Crossing)[] = [];

  /** @param packet one that went this way, without control characters */
  constructor(packet: PacketEvent, ink: Ink) {
    this.#ink = ink;
    const { sightings, verdict } = packet;
    const { stations } = pathOf(packet);
    this.stations = stations.length;
    let from = -1;
    for (const station of stations) {
      const { hop, sighting, gap } = station;
      const marks =
        gap === undefined
          ? ""
          : marksOf(gap)
              .map((mark) => ink("accent", mark))
              .join(" ");
      if (sighting === undefined) {
        if (marks !== "") this.#pieces.push(measured(marks));
        this.#pieces.push(measured(ink("dim", `(${hop})`)));
        continue;
      }
      const to = sightings.indexOf(sighting);
      if (gap !== undefined) this.#pieces.push({ from, to, marks: measured(marks === "" ? "" : ` ${marks}`) });
      this.#pieces.push(measured(stationName(station)));
      from = to;
    }
    if (verdict.kind !== "delivered")
      this.#pieces.push(measured(ink(verdictTone[verdict.kind], endMark[verdict.kind])));
  }

  /** Pieces that a line may break between. Time in microseconds; an implied hop in brackets, without a time. */
  pieces({ sightings }: PacketEvent): Measured[] {
    return this.#pieces.map((piece) => {
      if ("text" in piece) return piece;
      const { from, to, marks } = piece;
      const time = elapsed((sightings[to]?.time ?? 0) - (sightings[from]?.time ?? 0));
      return { text: this.#ink("dim", time) + marks.text, width: time.length + marks.width };
    });
  }

  text(packet: PacketEvent): string {
    return this.pieces(packet)
      .map(({ text }) => text)
      .join(" ");
  }
}
