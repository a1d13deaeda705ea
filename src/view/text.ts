/** Live text: a line for each packet as it closes, the summary at the end. */
import type { HopEvent, LogEvent, PacketEvent, TraceStarted } from "../model/trace.js";
import { closingLines, DeathCount, hopLines, lasted } from "./closing.js";
import { inkFor, type Ink } from "./ink.js";
import { logTitle } from "./log-title.js";
import { hopName } from "../model/hop.js";
import { PathLine } from "./path-line.js";
import { rewritesOf, titleOf } from "./path.js";
import type { PrinterOptions, TracePrinter } from "./printer.js";
import { milliseconds } from "./quantity.js";
import { doubt, exchangeTone, reasonOf, verdictSentence, verdictTone } from "./verdict.js";
import { ByWay } from "./by-way.js";
import { padEnd, padStart, visible, visibleDeep } from "./width.js";

export function textPrinter(options: Pick<PrinterOptions, "colours">): TracePrinter {
  const ink = inkFor(options.colours);
  const deaths = new DeathCount();
  const hops: HopEvent[] = [];
  const lines = (list: readonly string[]): string => list.map((line) => `${line}\n`).join("");
  const ways = new ByWay((packet) => wayText(visibleDeep(packet), ink));
  return (raw) => {
    if (raw.type === "packet") {
      if (raw.provisional === true) return "";
      const way = ways.of(raw);
      deaths.push(raw, way.sentence);
      return packetLine(raw, way);
    }
    const event = visibleDeep(raw);
    switch (event.type) {
      case "trace":
        return lines([ink("dim", openingLine(event))]);
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
function openingLine(started: TraceStarted): string {
  return `${started.lab === undefined ? "" : `lab ${started.lab}, `}hops: ${started.hops.map(hopName).join(" ")} (times ms, gaps µs)`;
}

/** `      0.310  web log               GET /index.html 200` */
function logLine(line: LogEvent): string {
  return ["    ", padStart(milliseconds(line.time), 9), padEnd(logTitle(line), 20), line.text].join("  ");
}

/** What is the same for all packets that went one way. */
interface WayText {
  readonly path: PathLine;
  /** Verdict and notes. */
  readonly end: string;
  readonly sentence: string;
}

function wayText(packet: PacketEvent, ink: Ink): WayText {
  const { verdict } = packet;
  const notes = [...rewritesOf(packet), ...(doubt(packet.match) === "" ? [] : [`join ${packet.match}`])];
  const reason = reasonOf(verdict);
  const end = ink(verdictTone[verdict.kind], verdict.kind) + (reason === "" ? "" : `: ${reason}`);
  return {
    path: new PathLine(packet, ink),
    end: notes.length === 0 ? end : `${end}  ${ink("dim", `[${notes.join(", ")}]`)}`,
    sentence: verdictSentence(verdict),
  };
}

/** `3  0.120 → tcp SYN  client:eth0 +3.0 host:eth0 ✗  dropped: nft rule 'no 81'` */
function packetLine(packet: PacketEvent, { path, end }: WayText): string {
  const id = String(packet.id).padStart(4);
  const time = milliseconds(packet.time).padStart(9);
  const title = padEnd(visible(titleOf(packet)), 20);
  return `${id}  ${time}  ${title}  ${path.text(packet)}  ${end}\n`;
}
