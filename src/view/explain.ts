/**
 * A predicted exchange as a path that is read from top to bottom: what decides stands between the hops. With what was
 * observed, that stands beside each hop, and the first difference is marked.
 */
import type { ExchangeVerdict, ExplainedStep, ExplainedWay, Explanation } from "../model/explanation.js";
import type { PacketEvent } from "../model/trace.js";
import { noInk, type Ink, type Tone } from "./ink.js";
import { addressesOf, endpoint } from "./path.js";
import { displayWidth, padEnd, visibleDeep } from "./width.js";

const tones: Readonly<Record<ExchangeVerdict, Tone>> = {
  answered: "good",
  refused: "warn",
  unanswered: "bad",
  dropped: "bad",
  unsent: "bad",
  unknown: "odd",
};

/** Lines without line ends. */
export function explainLines(raw: Explanation, ink: Ink = noInk): string[] {
  const explanation = visibleDeep(raw);
  const { from, to, ways, assumptions, unknowns } = explanation;
  const width = Math.max(12, ...ways.flatMap(({ trail }) => trail.map(nameWidth)));
  const host = to.address.includes(":") && to.port !== undefined ? `[${to.address}]` : to.address;
  const target = `${to.protocol} ${host}${to.port === undefined ? "" : `:${to.port}`}`;
  const lines = [
    `${ink("strong", `${from.node ?? from.address} → ${target}`)}${to.node === undefined ? "" : ` (${to.node})`}: ${verdictText(explanation, ink)}`,
  ];
  for (const [index, way] of ways.entries()) lines.push("", ...wayLines(explanation, way, index, width, ink));
  lines.push(...list("assumed", assumptions, ink), ...list("cannot be known", unknowns, ink));
  if (explanation.observed !== undefined) lines.push("", ...closing(explanation, ink));
  return lines;
}

function verdictText({ verdict, otherwise, reason }: Explanation, ink: Ink): string {
  const because = reason === undefined ? "" : `, ${reason}`;
  const else_ = otherwise === undefined ? "" : ` (else ${otherwise})`;
  return `${ink(tones[verdict], verdict)}${because}${else_}`;
}

function list(title: string, texts: readonly string[], ink: Ink): string[] {
  return texts.length === 0 ? [] : ["", ink("strong", title), ...texts.map((text) => `  ${text}`)];
}

function nameWidth(step: ExplainedStep): number {
  return step.type === "hop" ? displayWidth(hopName(step)) : displayWidth(step.stage) + 3;
}

type HopStep = Extract<ExplainedStep, { readonly type: "hop" }>;

function hopName({ hop, implied }: HopStep): string {
  return implied ? `(${hop})` : hop;
}

function wayLines(explanation: Explanation, way: ExplainedWay, index: number, width: number, ink: Ink): string[] {
  const { kind, packet, sender, late, trail, end } = way;
  const arrow = kind === "request" ? "→" : "←";
  const later = late ? ", after three seconds without an answer for the neighbour" : "";
  const lines = [`${ink("strong", `${arrow} ${packet}`)} from ${sender}${later}`];
  const seen = new Observation(explanation, way, index);
  let node = sender;
  let before = "";
  let number = 0;
  for (const step of trail) {
    if (step.type === "decision") {
      // That a link leads to its other end needs no word.
      if (step.by === "link") continue;
      // A node that decides without having shown the packet at an interface of its own: say which.
      const where = step.node === node ? "" : `${step.node}: `;
      const text = step.text.replace(new RegExp(`^${step.stage} `), "");
      lines.push(`    ${ink("dim", "│")} ${ink("dim", padEnd(step.stage, width - 2))}${where}${text}`);
      continue;
    }
    node = step.hop.slice(0, step.hop.indexOf(":"));
    const looks = looksOf(step);
    const news = looks === before ? "" : looks;
    if (!step.implied) before = looks;
    const name = ink(step.implied ? "dim" : "accent", padEnd(hopName(step), width + 2));
    lines.push(`  ${name}${ink("dim", news)}${seen.beside(step, number++, ink)}`.trimEnd());
  }
  lines.push(endLine(end, ink), ...seen.rest(number, ink));
  return lines;
}

function looksOf({ source, destination, sourcePort, destinationPort, ttl }: HopStep): string {
  return `${endpoint(source, sourcePort)} -> ${endpoint(destination, destinationPort)}${ttl === undefined ? "" : `  ttl ${ttl}`}`;
}

function endLine({ kind, node, text }: ExplainedWay["end"], ink: Ink): string {
  switch (kind) {
    case "delivered":
      return `    ${ink("good", `✓ delivered in ${node}`)}`;
    case "outside":
      return `    ${ink("odd", `? ${text ?? ""}`)}`;
    case "dropped":
      return `    ${ink("bad", `✗ dropped in ${node}: ${text ?? ""}`)}`;
    case "unknown":
      return `    ${ink("odd", `? ${text ?? ""}`)}`;
  }
}

/** What was seen of one way. */
class Observation {
  readonly #seen: readonly { readonly hop: string; readonly looks?: string }[] | undefined;
  readonly #different: string | undefined;
  #marked = false;

  constructor({ observed, difference }: Explanation, { kind }: ExplainedWay, index: number) {
    const direction = index === 0 ? "request" : "reply";
    const packet = observed?.packets.find((one) => one.direction === direction);
    this.#seen = observed === undefined ? undefined : packet === undefined ? [] : hopsOf(packet);
    this.#different = difference?.in === kind ? (difference.at ?? "") : undefined;
  }

  beside({ hop, implied }: HopStep, number: number, ink: Ink): string {
    if (this.#seen === undefined) return "";
    const there = this.#seen[number];
    if (this.#different === hop && !this.#marked) {
      this.#marked = true;
      const text = there === undefined ? "not seen" : `seen: ${there.hop} ${there.looks ?? ""}`;
      return `  ${ink("bad", `≠ ${text.trimEnd()}`)}`;
    }
    if (this.#marked || there?.hop !== hop) return "";
    return `  ${ink("good", implied ? "=" : "= seen")}`;
  }

  /** What was seen beyond the predicted end. */
  rest(from: number, ink: Ink): string[] {
    if (this.#different === undefined) return [];
    return (this.#seen ?? [])
      .slice(from)
      .map(({ hop, looks }) => `  ${ink("bad", `≠ seen: ${hop} ${looks ?? ""}`.trimEnd())}`);
  }
}

function hopsOf({ sightings, implied }: PacketEvent): { hop: string; looks?: string }[] {
  return sightings.flatMap((sighting) => [
    { hop: sighting.hop, looks: addressesOf(sighting) },
    ...implied.filter(({ after }) => after === sighting.hop).map(({ hop }) => ({ hop })),
  ]);
}

function closing({ observed, difference, verdict, otherwise = verdict }: Explanation, ink: Ink): string[] {
  if (observed === undefined) return [];
  const reason = observed.reason === undefined ? "" : `, ${observed.reason}`;
  const lines = [
    `predicted: ${ink(tones[otherwise], otherwise)}`,
    `observed:  ${ink(tones[observed.verdict], observed.verdict)}${reason}`,
  ];
  if (difference === undefined) return [...lines, ink("good", "they agree")];
  const at = difference.at === undefined ? "" : ` at ${difference.at}`;
  return [
    ...lines,
    ink("bad", `first difference: ${difference.in}${at}`),
    `  predicted: ${difference.predicted}`,
    `  observed:  ${difference.observed}`,
    `  ${difference.failed}`,
  ];
}
