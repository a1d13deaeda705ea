/**
 * The filter language of the packet list. Words side by side must all fit; `or` between them widens, `not` before one
 * turns it round. What is not a keyword is text that the packet's line must contain.
 *
 *   port 80            host 10.0.0.10      host web         verdict dropped
 *   exchange 3         proto tcp           not port 22      SYN or RST
 */
import { hopName } from "../../model/hop.js";
import type { PacketEvent } from "../../model/trace.js";
import { addressesOf, rewriteText } from "../path.js";
import { reasonOf } from "../verdict.js";

export type PacketTest = (packet: PacketEvent) => boolean;

export type ParsedFilter =
  { readonly ok: true; readonly test: PacketTest } | { readonly ok: false; readonly error: string };

interface Keyword {
  readonly name: string;
  /** What stands after it, for the help and for the message when it is missing. */
  readonly argument: string;
  readonly parse: (argument: string) => PacketTest | string;
}

/** Each keyword takes one word; a parser gives back a test, or what is wrong with the word. */
export const keywords: readonly Keyword[] = [
  {
    name: "port",
    argument: "NUMBER",
    parse: (word) => {
      const port = Number(word);
      if (!/^\d+$/.test(word) || port > 65_535) return `'${word}' is not a port`;
      return ({ sightings }) =>
        sightings.some(({ sourcePort, destinationPort }) => sourcePort === port || destinationPort === port);
    },
  },
  {
    name: "host",
    argument: "ADDRESS or NODE",
    parse: (word) => (packet) =>
      packet.sightings.some(
        ({ source, destination, hop }) => source === word || destination === word || hop.startsWith(`${word}:`),
      ),
  },
  {
    name: "hop",
    argument: "NODE:INTERFACE",
    parse: (word) => {
      const [node, name] = word.split(":");
      if (node === undefined || name === undefined) return `'${word}' is not NODE:INTERFACE`;
      const hop = hopName({ node, interface: name });
      return ({ sightings }) => sightings.some((sighting) => sighting.hop === hop);
    },
  },
  { name: "verdict", argument: "delivered, refused, dropped or unknown", parse: verdictTest },
  {
    name: "exchange",
    argument: "NUMBER",
    parse: (word) => (/^\d+$/.test(word) ? ({ exchange }) => exchange === Number(word) : `'${word}' is not a number`),
  },
  {
    name: "proto",
    argument: "tcp, udp, icmp, …",
    parse:
      (word) =>
      ({ protocol }) =>
        protocol === word.toLowerCase(),
  },
];

function verdictTest(word: string): PacketTest | string {
  const kinds = ["delivered", "refused", "dropped", "unknown"];
  if (!kinds.includes(word)) return `a verdict is ${kinds.slice(0, -1).join(", ")} or ${kinds.at(-1) ?? ""}`;
  return ({ verdict, provisional }) => provisional !== true && verdict.kind === word;
}

/** An empty filter lets everything through. */
export function parseFilter(text: string): ParsedFilter {
  const words = text.split(/\s+/).filter((word) => word !== "");
  const alternatives: PacketTest[][] = [[]];
  let negate = false;
  /** `and`, `or`, `not` wait for a word to their right. */
  let waiting: string | undefined;
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? "";
    if (word === "or" || word === "and") {
      if (waiting !== undefined || (alternatives.at(-1) ?? []).length === 0)
        return wrong(`'${word}' joins two conditions`);
      if (word === "or") alternatives.push([]);
      waiting = word;
      continue;
    }
    if (word === "not") {
      negate = !negate;
      waiting = word;
      continue;
    }
    const keyword = keywords.find(({ name }) => name === word);
    let test: PacketTest | string;
    if (keyword === undefined) test = textTest(word);
    else {
      index += 1;
      const argument = words[index];
      if (argument === undefined) return wrong(`${keyword.name} needs ${keyword.argument}`);
      test = keyword.parse(argument);
    }
    if (typeof test === "string") return wrong(test);
    const fits = test;
    alternatives.at(-1)?.push(negate ? (packet) => !fits(packet) : fits);
    negate = false;
    waiting = undefined;
  }
  if (waiting !== undefined) return wrong(`'${waiting}' needs a condition after it`);
  return { ok: true, test: (packet) => alternatives.some((all) => all.every((test) => test(packet))) };
}

function wrong(error: string): ParsedFilter {
  return { ok: false, error };
}

/** Case does not matter. */
function textTest(word: string): PacketTest {
  const wanted = word.toLowerCase();
  return (packet) => lineOf(packet).includes(wanted);
}

function lineOf(packet: PacketEvent): string {
  const parts = [packet.protocol, packet.summary, packet.verdict.kind, reasonOf(packet.verdict)];
  for (const sighting of packet.sightings) parts.push(sighting.hop, addressesOf(sighting));
  for (const rewrite of packet.rewrites) parts.push(rewriteText(rewrite));
  return parts.join(" ").toLowerCase();
}
