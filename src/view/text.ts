/** Live text: a line for each packet as it closes, the summary at the end. */
import type { HopEvent, LogEvent, PacketEvent, TraceStarted } from "../model/trace.js";
import { closingLines, DeathCount, hopLines, lasted } from "./closing.js";
import { inkFor, type Ink } from "./ink.js";
import { logTitle } from "./log-title.js";
import { hopName } from "../model/hop.js";
import { pathPieces } from "./path-line.js";
import { pathOf, rewritesOf, titleOf } from "./path.js";
import type { PrinterOptions, TracePrinter } from "./printer.js";
import { milliseconds } from "./quantity.js";
import { doubt, exchangeTone, reasonOf, verdictTone } from "./verdict.js";
import { padEnd, padStart, visibleDeep } from "./width.js";

export function textPrinter(options: Pick<PrinterOptions, "colours">): TracePrinter {
  const ink = inkFor(options.colours);
  const deaths = new DeathCount();
  const hops: HopEvent[] = [];
  const lines = (list: readonly string[]): string => list.map((line) => `${line}\n`).join("");
  return (raw) => {
    const event = visibleDeep(raw);
    switch (event.type) {
      case "trace":
        return lines([ink("dim", openingLine(event))]);
      case "packet":
        if (event.provisional === true) return "";
        deaths.push(event);
        return lines([packetLine(event, ink)]);
      case "exchange": {
        const verdict = ink(exchangeTone[event.verdict], event.verdict);
        const time = lasted(event);
        const reason = event.reason === undefined ? "" : ` (${event.reason})`;
        return lines([
          `exchange ${event.id}  ${event.protocol} ${event.client} -> ${event.server}: ${verdict}${reason}${time === "" ? "" : ` in ${time}`}`,
        ]);
      }
      case "log":
        return lines([logLine(event)]);
      case "hop":
        hops.push(event);
        return "";
      case "end":
        return lines(["", ...hopLines(hops, ink), "", ...closingLines(event, hops, deaths.list(), ink)]);
    }
  };
}

/** `tracing 5 hops: client:eth0 host:eth0 …` */
export function openingLine(started: TraceStarted): string {
  return `${started.lab === undefined ? "" : `lab ${started.lab}, `}hops: ${started.hops.map(hopName).join(" ")} (times ms, gaps µs)`;
}

/** `      0.310  web log               GET /index.html 200` */
function logLine(line: LogEvent): string {
  return ["    ", padStart(milliseconds(line.time), 9), padEnd(logTitle(line), 20), line.text].join("  ");
}

/** `3  0.120 → tcp SYN  client:eth0 +3.0 host:eth0 ✗  dropped: nft rule 'no 81'` */
export function packetLine(packet: PacketEvent, ink: Ink): string {
  const { verdict } = packet;
  const path = pathOf(packet);
  const notes = [...rewritesOf(packet), ...(doubt(packet.match) === "" ? [] : [`join ${packet.match}`])];
  const reason = reasonOf(verdict);
  return [
    padStart(String(packet.id), 4),
    padStart(milliseconds(packet.time), 9),
    padEnd(titleOf(packet), 20),
    pathPieces(path, verdict, ink).join(" "),
    ink(verdictTone[verdict.kind], verdict.kind) + (reason === "" ? "" : `: ${reason}`),
    ...(notes.length === 0 ? [] : [ink("dim", `[${notes.join(", ")}]`)]),
  ].join("  ");
}
