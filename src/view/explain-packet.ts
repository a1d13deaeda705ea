/** One packet's path, drawn from top to bottom: what it looked like at each hop, what happened between, how it ended. */
import type { PacketEvent } from "../model/trace.js";
import { noInk, type Ink } from "./ink.js";
import { addressesOf, marksOf, pathOf, rewritesOf, type Gap, type Station, stationName, titleOf } from "./path.js";
import { duration, elapsedWithUnit, milliseconds } from "./quantity.js";
import { doubt, endMark, verdictSentence, verdictTone } from "./verdict.js";
import { displayWidth, padEnd, visibleDeep } from "./width.js";

/** Lines without line ends. */
export function explainPacket(raw: PacketEvent, ink: Ink = noInk): string[] {
  const packet = visibleDeep(raw);
  const path = pathOf(packet);
  const first = packet.sightings[0];
  const title = titleOf(packet);
  const lines = [
    `${ink("strong", title)}${first === undefined ? "" : `  ${addressesOf(first)}`}  ${ink("dim", `packet ${packet.id}, exchange ${packet.exchange}, at ${milliseconds(packet.time)} ms`)}`,
    "",
  ];
  const names = [...path.stations.map(stationName), ...(path.missing === undefined ? [] : [path.missing])];
  const width = Math.max(...names.map(displayWidth), 12);
  let before: string | undefined;
  for (const station of path.stations) {
    if (station.gap !== undefined) lines.push(gapLine(station.gap, width, ink));
    const looks = appearance(station);
    // What did not change since the last hop is not said again.
    const news = station.sighting === undefined || looks !== before ? looks : "";
    lines.push(`  ${padEnd(stationName(station), width)}  ${ink("dim", news)}`.trimEnd());
    if (station.sighting !== undefined) before = looks;
  }
  lines.push(...ending(packet, path.missing, width, ink));
  return lines;
}

function appearance({ sighting }: Station): string {
  if (sighting === undefined) return "(passes here unseen)";
  const ttl = sighting.ttl === undefined ? "" : `  ttl ${sighting.ttl}`;
  return `${addressesOf(sighting)}${ttl}`;
}

function gapLine(gap: Gap, width: number, ink: Ink): string {
  const time = gap.elapsed === undefined ? "" : elapsedWithUnit(gap.elapsed);
  const marked = marksOf(gap).length > 0;
  const rewrites = rewritesOf(gap).join(", ");
  return `    ${ink("dim", "│")} ${padEnd(time, width - 2)}${ink(marked ? "accent" : "dim", rewrites)}`.trimEnd();
}

function ending(packet: PacketEvent, missing: string | undefined, width: number, ink: Ink): string[] {
  const { verdict } = packet;
  const tone = verdictTone[verdict.kind];
  const doubtful = doubt(packet.match) === "" ? "" : ink("odd", ` (join ${packet.match})`);
  if (verdict.kind === "delivered") {
    const { total } = pathOf(packet);
    const time = packet.sightings.length > 1 ? ` in ${duration(total)}` : "";
    return [`    ${ink(tone, `✓ delivered${time}`)}${doubtful}`];
  }
  const lines = [`    ${ink(tone, `${endMark[verdict.kind]} ${verdictSentence(verdict)}`)}${doubtful}`];
  if (verdict.kind === "dropped") {
    for (const { source, strength, text } of verdict.cause?.evidence ?? []) {
      lines.push(`      ${ink("dim", `${strength} (${source}): ${text}`)}`);
    }
  }
  if (missing !== undefined) lines.push(`  ${ink("dim", `${padEnd(missing, width)}  never seen here`)}`);
  return lines;
}
