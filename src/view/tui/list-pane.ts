/** The packets, one a row; a dot for each hop that saw it. Only the rows in sight are made. */
import type { PacketEvent } from "../../model/trace.js";
import { type Ink, inverse } from "../ink.js";
import { addressesOf, pathOf, titleOf } from "../path.js";
import { duration, milliseconds } from "../quantity.js";
import { doubt, endMark, reasonOf, verdictTone } from "../verdict.js";
import { cut, padEnd, padStart, sliceCells, withoutInk } from "../width.js";
import type { TuiState } from "./state.js";

interface Layout {
  readonly id: number;
  readonly time: number;
  readonly packet: number;
  /** 0: no room. */
  readonly total: number;
  readonly hops: readonly string[];
  readonly rest: number;
}

/** More hops than this are not pictured. */
const mostDots = 16;

/** Heading and rows; scrolls so that the selected packet is in sight. */
export function listLines(state: TuiState, width: number, height: number, ink: Ink): string[] {
  const rows = state.list.inSight(height - 1);
  const layout = layoutFor(state, width);
  return [
    ink("dim", heading(layout, width)),
    ...rows.map((packet) => {
      const row = sliceCells(rowOf(packet, layout, state, ink), 0, width);
      if (packet.id !== state.list.selected) return row;
      return state.pane === "packets" ? inverse(withoutInk(row)) : ink("strong", withoutInk(row));
    }),
    ...(rows.length === 0 ? [ink("dim", emptyText(state))] : []),
  ];
}

export function emptyText(state: TuiState): string {
  if (state.list.all.length > 0) return "  no packet passes the filter";
  return state.finished === undefined ? "  waiting for the first packet" : "  no packet was seen";
}

function layoutFor(state: TuiState, width: number): Layout {
  const last = state.list.all.at(-1);
  const hops = state.log.hopNames();
  const id = Math.max(3, String(last?.id ?? 0).length);
  const time = Math.max(9, milliseconds(last?.time ?? 0).length);
  const dots = hops.length <= mostDots ? hops : [];
  // Marker, gaps of two blanks, verdict.
  let rest = width - 2 - id - time - dots.length - 9 - 2 * 4;
  const packet = Math.max(10, Math.min(width >= 110 ? 28 : 22, rest));
  rest -= packet;
  const total = rest >= 12 ? 9 : 0;
  if (total > 0) rest -= total + 2;
  // What is left, a gap of two blanks before it.
  return { id, time, packet, total, hops: dots, rest: rest >= 22 ? rest - 2 : 0 };
}

function line(layout: Layout, cells: readonly [string, string, string, string, string, string, string]): string {
  const [id, time, packet, dots, total, verdict, rest] = cells;
  return [
    padStart(id, layout.id),
    padStart(time, layout.time),
    padEnd(packet, layout.packet),
    ...(layout.hops.length > 0 ? [padEnd(dots, layout.hops.length)] : []),
    ...(layout.total > 0 ? [padStart(total, layout.total)] : []),
    padEnd(verdict, 9),
    ...(layout.rest > 0 ? [rest] : []),
  ].join("  ");
}

function heading(layout: Layout, width: number): string {
  const title = cut("hops", layout.hops.length);
  return sliceCells(`  ${line(layout, ["#", "time ms", "packet", title, "total", "verdict", "from -> to"])}`, 0, width);
}

function rowOf(packet: PacketEvent, layout: Layout, state: TuiState, ink: Ink): string {
  const { verdict, provisional } = packet;
  const path = pathOf(packet);
  const first = packet.sightings[0];
  const title = titleOf(packet);
  const pointer = packet.id === state.list.selected ? "▶" : " ";
  const mark = state.list.marks.has(packet.id) ? ink("accent", "*") : " ";
  const addresses = first === undefined ? "" : cut(addressesOf(first), layout.rest);
  const reason = [doubt(packet.match), reasonOf(verdict)].filter((text) => text !== "").join(", ");
  const note = reason === "" || provisional === true ? ink("dim", addresses) : cut(reason, layout.rest);
  return `${pointer}${mark}${line(layout, [
    String(packet.id),
    milliseconds(packet.time),
    cut(title, layout.packet),
    dotsOf(packet, layout.hops, ink),
    path.stations.length > 1 ? duration(path.total) : "",
    provisional === true ? ink("dim", "…") : ink(verdictTone[verdict.kind], verdict.kind),
    note,
  ])}`;
}

/** `●●✗··`: seen, seen, lost before this hop, never on its way. */
function dotsOf(packet: PacketEvent, hops: readonly string[], ink: Ink): string {
  const { verdict, provisional } = packet;
  const tone = provisional === true ? "dim" : verdictTone[verdict.kind];
  const seen = new Set(packet.sightings.map(({ hop }) => hop));
  const implied = new Set(packet.implied.map(({ hop }) => hop));
  const lost = verdict.kind === "dropped" && provisional !== true ? verdict.before : undefined;
  return hops
    .map((hop) => {
      if (seen.has(hop)) return ink(tone, "●");
      if (hop === lost) return ink("bad", endMark.dropped);
      return ink("dim", implied.has(hop) ? "○" : "·");
    })
    .join("");
}
