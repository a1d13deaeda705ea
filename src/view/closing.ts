/** What stands below the packets of a trace: exchanges, hops, and one plain sentence. */
import type { ExchangeEvent, HopEvent, PacketEvent, TraceEnded } from "../model/trace.js";
import { type Column, columns } from "./columns.js";
import type { Ink } from "./ink.js";
import type { GapTimes } from "./gap-times.js";
import type { TraceLog } from "./trace-log.js";
import { count, duration, microseconds } from "./quantity.js";
import { endMark, exchangeTone, verdictSentence, verdictTone } from "./verdict.js";
import { cutInk, displayWidth, wrap } from "./width.js";

/** Exchanges listed one by one. Where there are more, those that were not answered come first. */
const exchangesListed = 40;

/** Columns of the exchanges; those with a number are left out where there is no room, the highest first. */
const exchangeColumns: readonly (Column & { readonly spare?: number })[] = [
  { title: "exchange", align: "right" },
  { title: "proto", spare: 1 },
  { title: "client" },
  { title: "server" },
  { title: "behind NAT", spare: 4 },
  { title: "packets", align: "right", spare: 2 },
  { title: "lasted", align: "right", spare: 3 },
  { title: "verdict" },
];

/** The table with as many columns as the width has room for. */
function fittedExchanges(rows: readonly (readonly string[])[], ink: Ink, width: number): string[] {
  for (let spare = 4; ; spare -= 1) {
    const kept = exchangeColumns.map((column) => (column.spare ?? 0) <= spare);
    const lines = columns(
      exchangeColumns.filter((_, index) => kept[index]),
      rows.map((row) => row.filter((_, index) => kept[index])),
      { heading: (line) => ink("dim", line) },
    );
    if (spare === 0 || lines.every((line) => displayWidth(line) <= width)) return lines;
  }
}

/** @param width cells that a line may take: columns are left out, rows cut, and reasons go on in the next line */
export function exchangeLines({ exchanges: all, exchangesGone }: TraceLog, ink: Ink, width = Infinity): string[] {
  const troubled = all.filter(({ verdict }) => verdict !== "answered");
  const exchanges = all.length <= exchangesListed || troubled.length === 0 ? all : troubled;
  const rows = exchanges
    .slice(0, exchangesListed)
    .map((exchange) => [
      String(exchange.id),
      exchange.protocol,
      exchange.client,
      exchange.server,
      translation(exchange),
      String(exchange.packets),
      lasted(exchange),
      ink(exchangeTone[exchange.verdict], exchange.verdict),
    ]);
  const lines = fittedExchanges(rows, ink, width).flatMap((line, index) => {
    // A reason is a sentence: it stands below its exchange, where it cannot push the columns apart.
    const reason = exchanges[index - 1]?.reason;
    const row = cutInk(line, width);
    if (index === 0 || reason === undefined) return [row];
    return [row, ...wrap(reason.split(" "), width - 10).map((text) => `          ${text}`)];
  });
  const more = all.length + exchangesGone - rows.length;
  return more > 0 ? [...lines, ink("dim", `… and ${more} more`)] : lines;
}

/** Empty for an exchange of one sighting: it has no length. */
export function lasted({ start, end }: ExchangeEvent): string {
  return end > start ? duration(end - start) : "";
}

/** Only the sides that NAT changed: `web 10.0.0.10:80`. */
function translation(exchange: ExchangeEvent): string {
  const { translated } = exchange;
  if (translated === undefined) return "";
  const client = translated.client === exchange.client ? "" : translated.client;
  const server = translated.server === exchange.server ? "" : translated.server;
  if (client === "") return server;
  return server === "" ? `from ${client}` : `${client} -> ${server}`;
}

export function hopLines(hops: readonly HopEvent[], ink: Ink): string[] {
  return columns(
    [
      { title: "hop" },
      { title: "seen", align: "right" },
      { title: "missing", align: "right" },
      { title: "lost by tap", align: "right" },
    ],
    hops.map((event) => [
      event.hop,
      String(event.seen),
      event.missing > 0 ? ink("bad", String(event.missing)) : "0",
      isWhole(event) ? "0" : ink("bad", lossOf(event)),
    ]),
    { heading: (line) => ink("dim", line) },
  );
}

/** Whether the tap of a hop delivered all that it saw, in time. */
export function isWhole({ dropped, died, silent }: HopEvent): boolean {
  return dropped === 0 && died !== true && silent === undefined;
}

/** What is wanting in what the tap of a hop saw: `12`, `silent for 3.20 s`, `it ended`, `0`. */
export function lossOf({ dropped, died, silent }: HopEvent): string {
  if (died === true) return "it ended";
  if (silent === undefined) return String(dropped);
  return `${dropped > 0 ? `${dropped}, ` : ""}silent for ${duration(silent)}`;
}

/** How long the packets took from hop to hop, in microseconds, in both directions. @param hops in the order of the trace */
export function gapLines(times: GapTimes, hops: readonly string[], ink: Ink): string[] {
  const right = { align: "right" } as const;
  return columns(
    [
      { title: "gap, µs" },
      { title: "timed", ...right },
      { title: "least", ...right },
      { title: "median", ...right },
      { title: "p99", ...right },
      { title: "most", ...right },
    ],
    times
      .list(hops)
      .map(({ from, to, packets, least, p50, p99, most }) => [
        `${from} -> ${to}`,
        String(packets),
        ...[least, p50, p99, most].map(microseconds),
      ]),
    { heading: (line) => ink("dim", line) },
  );
}

/** The same death of several packets, told once. */
export interface Deaths {
  readonly sentence: string;
  readonly packets: number;
  readonly first: PacketEvent;
}

/** Counts the packets that did not arrive, by what happened to them. Bounded: beyond `limit` kinds only numbers grow. */
export class DeathCount {
  readonly #kinds = new Map<string, { sentence: string; packets: number; first: PacketEvent }>();
  readonly #limit = 100;

  /** @param sentence of its verdict, where it is at hand */
  push(packet: PacketEvent, sentence = verdictSentence(packet.verdict)): void {
    if (packet.provisional === true || packet.verdict.kind === "delivered") return;
    const known = this.#kinds.get(sentence);
    if (known !== undefined) known.packets += 1;
    else if (this.#kinds.size < this.#limit) this.#kinds.set(sentence, { sentence, packets: 1, first: packet });
  }

  /** Most frequent first. */
  list(): readonly Deaths[] {
    return [...this.#kinds.values()].sort((a, b) => b.packets - a.packets || a.first.id - b.first.id);
  }
}

/** Kinds of death that the closing lines tell. */
const deathsTold = 5;

/**
 * `11 packets in 2 exchanges: 10 delivered, 1 dropped.`, then a line for each way in which packets died, then what
 * the reader must know about the trace itself: unsure joins, records that a tap lost, sightings that left the window.
 */
export function closingLines(
  ended: TraceEnded,
  hops: readonly HopEvent[],
  deaths: readonly Deaths[],
  ink: Ink,
  columns = Infinity,
): string[] {
  const verdicts = (["delivered", "refused", "dropped", "unknown"] as const)
    .filter((kind) => ended.verdicts[kind] > 0)
    .map((kind) => `${ended.verdicts[kind]} ${kind}`);
  const lines = [
    ended.packets === 0
      ? "No packet matched."
      : ink(
          "strong",
          `${count(ended.packets, "packet")} in ${count(ended.exchanges, "exchange")}: ${verdicts.join(", ")}.`,
        ),
  ];
  for (const { sentence, packets, first } of deaths.slice(0, deathsTold)) {
    const { kind } = first.verdict;
    const which = packets === 1 ? `packet ${first.id}` : `packet ${first.id} and ${packets - 1} more`;
    const told = wrap(`${which}: ${sentence}`.split(" "), columns - 4);
    lines.push(...told.map((line, index) => `  ${index === 0 ? ink(verdictTone[kind], endMark[kind]) : " "} ${line}`));
  }
  if (deaths.length > deathsTold)
    lines.push(ink("dim", `  … and ${count(deaths.length - deathsTold, "other reason")}`));
  for (const trust of trustLines(ended, hops))
    lines.push(
      ...wrap(trust.split(" "), columns - 2).map((line, index) => `${index === 0 ? ink("warn", "!") : " "} ${line}`),
    );
  return lines;
}

/** All of it, a text for each section: what a table ends with, and a summary is. */
export function closingSections(
  log: TraceLog,
  gapTimes: GapTimes,
  deaths: DeathCount,
  ink: Ink,
  columns: number,
): readonly string[] {
  const { ended, hops } = log;
  const sections = [
    exchangeLines(log, ink),
    gapLines(gapTimes, log.hopNames(), ink),
    hopLines(hops, ink),
    ended === undefined ? [] : closingLines(ended, hops, deaths.list(), ink, columns),
  ];
  return sections.filter(({ length }) => length > 0).map((lines) => lines.join("\n"));
}

function trustLines(ended: TraceEnded, hops: readonly HopEvent[]): string[] {
  const lines: string[] = [];
  const { ordered, ambiguous } = ended.matches;
  if (ordered > 0) lines.push(`${count(ordered, "packet")} joined by order alone`);
  if (ambiguous > 0) lines.push(`${count(ambiguous, "packet")} could have been joined in more than one way`);
  const lossy = hops.filter(({ dropped }) => dropped > 0);
  if (lossy.length > 0) {
    const places = lossy.map(({ hop, dropped }) => `${hop} (${dropped})`).join(", ");
    lines.push(`taps lost records at ${places}: a packet not seen there may have passed`);
  }
  const silent = hops.flatMap(({ hop, silent: time }) => (time === undefined ? [] : [`${hop} (${duration(time)})`]));
  if (silent.length > 0)
    lines.push(`taps did not answer at ${silent.join(", ")}: what they saw then came late, and may be told twice`);
  const dead = hops.filter(({ died }) => died === true);
  if (dead.length > 0)
    lines.push(`the tap at ${dead.map(({ hop }) => hop).join(", ")} ended before the trace: later it saw nothing`);
  if (ended.evicted > 0) lines.push(`${count(ended.evicted, "sighting")} left the window before the packet closed`);
  return lines;
}
