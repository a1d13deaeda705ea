/** The trace as a Mermaid sequence diagram: hops are participants, each gap of a packet is an arrow. */
import type { LogEvent, PacketEvent, TraceStarted } from "../model/trace.js";
import { hopName } from "../model/hop.js";
import { FirstPackets, inOrder } from "./first-packets.js";
import { logTitle } from "./log-title.js";
import { mermaidText } from "./mermaid-text.js";
import { pathOf, rewritesOf, type Gap, type PacketPath } from "./path.js";
import type { TracePrinter } from "./printer.js";
import { doubt, verdictSentence } from "./verdict.js";
import { count, elapsedWithUnit, milliseconds } from "./quantity.js";
import { visibleDeep } from "./width.js";

/** A diagram of more packets cannot be read, and Mermaid refuses to draw it. */
const packetsDrawn = 100;

export function mermaidPrinter(): TracePrinter {
  const drawn = new FirstPackets(packetsDrawn);
  const lines = new FirstPackets<LogEvent>(packetsDrawn);
  let started: TraceStarted | undefined;
  return (raw) => {
    const event = visibleDeep(raw);
    if (event.type === "trace") started = event;
    else if (event.type === "packet") drawn.push(event);
    else if (event.type === "log") lines.push(event);
    return event.type === "end" && started !== undefined ? sequenceDiagram(started, drawn, lines) : "";
  };
}

function sequenceDiagram(started: TraceStarted, drawn: FirstPackets, logged: FirstPackets<LogEvent>): string {
  const ids = new Map(started.hops.map((hop, index) => [hopName(hop), `h${index}`]));
  const lines = ["sequenceDiagram", ...[...ids].map(([name, id]) => `  participant ${id} as ${mermaidText(name)}`)];
  for (const row of [...drawn.packets, ...logged.packets].sort(inOrder))
    lines.push(...(row.type === "packet" ? packetLines(row, ids) : [noteOf(row, started)]));
  const left = [
    ...(drawn.left > 0 ? [count(drawn.left, "packet")] : []),
    ...(logged.left > 0 ? [count(logged.left, "line")] : []),
  ];
  if (left.length > 0) lines.push(`  Note over h0: ${left.join(" and ")} more not drawn`);
  return `${lines.join("\n")}\n`;
}

/** A line of a container's log, at its last hop. */
function noteOf(line: LogEvent, { hops }: TraceStarted): string {
  const hop = hops.findLastIndex(({ node }) => node === line.node);
  return `  Note over h${Math.max(0, hop)}: ${mermaidText(`${logTitle(line)}: ${line.text}`)}`;
}

function packetLines(packet: PacketEvent, ids: ReadonlyMap<string, string>): string[] {
  const path = pathOf(packet);
  const id = (hop: string): string => ids.get(hop) ?? "h0";
  const doubtful = doubt(packet.match) === "" ? "" : ` (join ${packet.match})`;
  const title = `${packet.id} ${packet.protocol} ${packet.summary} at ${milliseconds(packet.time)} ms${doubtful}`;
  const lines: string[] = [];
  let last: string | undefined;
  for (const { hop, gap, sighting } of path.stations) {
    if (last !== undefined && gap !== undefined) {
      // A dotted arrow leads to a hop that could not see the packet.
      const arrow = sighting === undefined ? "-->>" : "->>";
      const label = [lines.length === 0 ? `${title}:` : "", gapText(gap)].filter((text) => text !== "").join(" ");
      lines.push(`  ${id(last)}${arrow}${id(hop)}: ${mermaidText(label === "" ? "…" : label)}`);
    }
    last = hop;
  }
  if (last === undefined) return [];
  if (lines.length === 0 && packet.verdict.kind === "delivered")
    lines.push(`  Note over ${id(last)}: ${mermaidText(title)}`);
  return [...lines, ...endLines(packet, path, last, lines.length === 0 ? `${title}: ` : "", id)];
}

function gapText(gap: Gap): string {
  const time = gap.elapsed === undefined ? [] : [elapsedWithUnit(gap.elapsed)];
  return [...time, ...rewritesOf(gap).map((text) => text.replace(" -> ", " → "))].join(", ");
}

function endLines(
  packet: PacketEvent,
  path: PacketPath,
  last: string,
  prefix: string,
  id: (hop: string) => string,
): string[] {
  if (packet.verdict.kind === "delivered") return [];
  const text = mermaidText(prefix + verdictSentence(packet.verdict));
  if (path.missing !== undefined) return [`  ${id(last)}-x${id(path.missing)}: ${text}`];
  return [`  Note over ${id(last)}: ${text}`];
}
