/** One packet of the HTML page: a line that opens to its path, its rewrites and its fields. */
import type { LogEvent, PacketEvent } from "../../model/trace.js";
import { markup } from "../html-text.js";
import { logTitle } from "../log-title.js";
import type { FieldTree, PacketSource } from "../packet-source.js";
import {
  addressesOf,
  marksOf,
  pathOf,
  rewritesOf,
  type PacketPath,
  type Station,
  stationName,
  titleOf,
} from "../path.js";
import { duration, elapsedWithUnit, milliseconds } from "../quantity.js";
import { doubt, endMark, verdictSentence } from "../verdict.js";
import { visible } from "../width.js";

export function packetRow(packet: PacketEvent, source: PacketSource): string {
  const path = pathOf(packet);
  const { verdict } = packet;
  const first = packet.sightings[0];
  const total = path.stations.length > 1 ? duration(path.total) : "";
  const doubtful = doubt(packet.match);
  return `<details class="packet"><summary><span class="id">${packet.id}</span><span class="time">${milliseconds(packet.time)}</span><span class="what">${markup(titleOf(packet))}</span><span class="total">${total}</span><b class="${verdict.kind}">${verdict.kind}</b><span class="from">${first === undefined ? "" : markup(addressesOf(first))}</span></summary>
${pathPicture(packet, path)}
<p class="${verdict.kind}">${markup(verdictSentence(verdict))}${doubtful === "" ? "" : `, join ${doubtful}`}</p>
${evidence(packet)}${list(rewritesOf(packet), "rewrites")}
<p class="quiet">exchange ${packet.exchange}</p>
${path.stations.map((station) => fieldsAt(station, source)).join("")}</details>`;
}

/** A line of a container's log, in the same columns. */
export function logRow(line: LogEvent): string {
  return `<div class="log"><span class="id"></span><span class="time">${milliseconds(line.time)}</span><span class="what">${markup(logTitle(line))}</span><code>${markup(line.text)}</code></div>`;
}

function pathPicture(packet: PacketEvent, path: PacketPath): string {
  const pieces = path.stations.map((station) => {
    const { gap, sighting } = station;
    const marks = gap === undefined ? [] : marksOf(gap);
    const time = gap?.elapsed === undefined ? "" : elapsedWithUnit(gap.elapsed);
    const arrow =
      gap === undefined ? "" : `<span class="gap"><i>${time}</i><i class="mark">${markup(marks.join(" "))}</i></span>`;
    return `${arrow}<span class="hop${sighting === undefined ? " implied" : ""}">${markup(stationName(station))}</span>`;
  });
  const { kind } = packet.verdict;
  if (kind !== "delivered") pieces.push(`<b class="end ${kind}">${endMark[kind]}</b>`);
  if (path.missing !== undefined) pieces.push(`<span class="hop implied">${markup(path.missing)}</span>`);
  return `<div class="path">${pieces.join("")}</div>`;
}

function evidence({ verdict }: PacketEvent): string {
  if (verdict.kind !== "dropped" || verdict.cause === undefined) return "";
  return list(
    verdict.cause.evidence.map(({ strength, source, text }) => `${strength} (${source}): ${text}`),
    "evidence",
  );
}

function list(items: readonly string[], kind: string): string {
  return items.length === 0
    ? ""
    : `<ul class="${kind}">${items.map((item) => `<li>${markup(item)}</li>`).join("")}</ul>\n`;
}

function fieldsAt({ hop, sighting }: Station, source: PacketSource): string {
  if (sighting === undefined) return "";
  const fields = source.describe(sighting);
  return fields.length === 0
    ? ""
    : `<details><summary>fields at ${markup(hop)}</summary>${fieldList(fields)}</details>\n`;
}

function fieldList(fields: FieldTree): string {
  const items = fields.map(({ label, value, fields: inner }) => {
    const text =
      value === undefined ? `<b>${markup(visible(label))}</b>` : `${markup(visible(label))}: ${markup(visible(value))}`;
    return `<li>${text}${inner === undefined || inner.length === 0 ? "" : fieldList(inner)}</li>`;
  });
  return `<ul>${items.join("")}</ul>`;
}
