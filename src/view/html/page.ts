/**
 * The trace as one HTML page that needs nothing else: no network, and no script to be read. The script only filters
 * rows; the page's own policy lets no other run.
 */
import { createHash } from "node:crypto";
import type { HopEvent, LogEvent, TraceEnded } from "../../model/trace.js";
import { closingLines, DeathCount, isWhole, lasted, lossOf } from "../closing.js";
import { markup } from "../html-text.js";
import { FirstPackets, inOrder } from "../first-packets.js";
import { GapTimes, type GapTime } from "../gap-times.js";
import { noInk } from "../ink.js";
import { askedOnce, noPackets, type PacketSource } from "../packet-source.js";
import type { PrinterOptions, TracePrinter } from "../printer.js";
import { count, microseconds } from "../quantity.js";
import { TraceLog } from "../trace-log.js";
import { visibleDeep } from "../width.js";
import { logRow, packetRow } from "./packet-row.js";
import { filterScript, style } from "./page-assets.js";

/** More rows make a page that browsers are slow with. */
const packetsShown = 5000;
/** Fields are decoded for these; the bytes of the others are in the saved trace. */
const packetsDecoded = 500;

export function htmlPrinter(options: Pick<PrinterOptions, "title" | "source">): TracePrinter {
  const log = new TraceLog();
  const packets = new FirstPackets(packetsShown);
  const lines = new FirstPackets<LogEvent>(packetsShown);
  const deaths = new DeathCount();
  const times = new GapTimes();
  return (raw) => {
    const event = visibleDeep(raw);
    log.push(event);
    if (event.type === "packet") {
      packets.push(event);
      deaths.push(event);
      times.push(event);
    } else if (event.type === "hop") times.push(event);
    else if (event.type === "log") lines.push(event);
    return event.type === "end" ? page({ log, packets, lines, ended: event, deaths, times }, options) : "";
  };
}

interface Story {
  readonly log: TraceLog;
  readonly packets: FirstPackets;
  readonly lines: FirstPackets<LogEvent>;
  readonly ended: TraceEnded;
  readonly deaths: DeathCount;
  readonly times: GapTimes;
}

function page(
  { log, packets, lines, ended, deaths, times }: Story,
  { title, source = noPackets }: Pick<PrinterOptions, "title" | "source">,
): string {
  const name = title ?? (log.started?.lab === undefined ? "trace" : `trace of ${log.started.lab}`);
  const policy = `default-src 'none'; style-src 'sha256-${sha256(style)}'; script-src 'sha256-${sha256(filterScript)}'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${markup(name)}</title>
<style>${style}</style>
</head>
<body>
<header>
<h1>${markup(name)}</h1>
${started(log)}
${closingLines(ended, log.hops, deaths.list(), noInk)
  .map((line) => `<p>${markup(line.trim())}</p>`)
  .join("\n")}
</header>
${exchangeTable(log)}
${gapTable(times.list(log.hopNames()))}
${hopTable(log.hops)}
${packetList(packets, lines, askedOnce(source))}
<script>${filterScript}</script>
</body>
</html>
`;
}

/** In base64, as a content security policy wants it. */
function sha256(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}

function started({ started: event }: TraceLog): string {
  if (event === undefined) return "";
  const began = new Date(Number(BigInt(event.epoch) / 1_000_000n)).toISOString();
  return `<p class="quiet">began ${began}, ${count(event.hops.length, "hop")}</p>`;
}

function exchangeTable({ exchanges, exchangesGone }: TraceLog): string {
  if (exchanges.length === 0) return "";
  const rows = exchanges.map(
    (
      one,
    ) => `<tr><td class="number">${one.id}</td><td>${markup(one.protocol)}</td><td>${markup(one.client)}</td><td>${markup(one.server)}</td>
<td>${markup(one.translated?.server ?? "")}</td><td class="number">${one.packets}</td><td class="number">${lasted(one)}</td>
<td><b class="${one.verdict}">${one.verdict}</b> ${markup(one.reason ?? "")}</td></tr>`,
  );
  return `<h2>Exchanges</h2>
<table><thead><tr><th>#</th><th>proto</th><th>client</th><th>server</th><th>behind NAT</th><th>packets</th><th>lasted</th><th>verdict</th></tr></thead>
<tbody>${rows.join("\n")}</tbody></table>${exchangesGone > 0 ? `\n<p class="quiet">and ${exchangesGone} more</p>` : ""}`;
}

function gapTable(gaps: readonly GapTime[]): string {
  if (gaps.length === 0) return "";
  const rows = gaps.map(({ from, to, packets, least, p50, p99, most }) => {
    const numbers = [String(packets), ...[least, p50, p99, most].map(microseconds)];
    return `<tr><td>${markup(`${from} → ${to}`)}</td>${numbers.map((number) => `<td class="number">${number}</td>`).join("")}</tr>`;
  });
  return `<h2>Time on each gap, µs</h2>
<table><thead><tr><th>gap</th><th>timed</th><th>least</th><th>median</th><th>p99</th><th>most</th></tr></thead>
<tbody>${rows.join("\n")}</tbody></table>`;
}

function hopTable(hops: readonly HopEvent[]): string {
  if (hops.length === 0) return "";
  const rows = hops.map((event) => {
    const { hop, seen, missing } = event;
    const number = (bad: boolean, text: string): string => `<td class="number${bad ? " dropped" : ""}">${text}</td>`;
    const cells = [
      number(false, String(seen)),
      number(missing > 0, String(missing)),
      number(!isWhole(event), lossOf(event)),
    ];
    return `<tr><td>${markup(hop)}</td>${cells.join("")}</tr>`;
  });
  return `<h2>Hops</h2>
<table><thead><tr><th>hop</th><th>seen</th><th>missing</th><th>lost by tap</th></tr></thead><tbody>${rows.join("\n")}</tbody></table>`;
}

function packetList(packets: FirstPackets, lines: FirstPackets<LogEvent>, source: PacketSource): string {
  let packetsSoFar = 0;
  const rows = [...packets.packets, ...lines.packets]
    .sort(inOrder)
    .map((row) =>
      row.type === "log" ? logRow(row) : packetRow(row, packetsSoFar++ < packetsDecoded ? source : noPackets),
    );
  const left = [
    ...(packets.left > 0 ? [count(packets.left, "packet")] : []),
    ...(lines.left > 0 ? [count(lines.left, "line")] : []),
  ];
  return `<h2>Packets</h2>
<p><input id="filter" type="search" placeholder="filter: dropped, SYN, 10.0.0.10 …" aria-label="filter"> <span id="shown" class="quiet"></span></p>
<main id="packets">
${rows.join("\n")}
</main>${left.length > 0 ? `\n<p class="quiet">${left.join(" and ")} more not shown</p>` : ""}`;
}
