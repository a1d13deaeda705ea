/** Every lab that ships: started, applied again for nothing, each of its expectations traced, and ended with nothing left. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { parse } from "jsonc-parser";
import type { Snapshot } from "../../src/model/snapshot.js";
import type { PacketEvent, TraceEvent } from "../../src/model/trace.js";
import type { Cli } from "./cli.js";
import { cli, packetsOf, parseEvents, project } from "./cli.js";

const folder = path.join(project, "topologies");
const files = readdirSync(folder).filter((file) => file.endsWith(".json") && file !== "schema.json");
/** A hundred servers are for the bench. */
const settings: Readonly<Record<string, readonly string[]>> = { "web-farm.json": ["--set", "count=8"] };

/** As a topology file has it: addresses may be names of nodes. */
interface Expectation {
  readonly from: string;
  readonly to: string;
  readonly verdict: "answered" | "refused" | "dropped";
  readonly reaches?: string;
  readonly via?: string | readonly string[];
  readonly notVia?: string | readonly string[];
  readonly between?: readonly [string, string];
  readonly cause?: string;
  readonly seenAs?: string;
}

const listOf = (value: string | readonly string[] | undefined) =>
  value === undefined ? [] : typeof value === "string" ? [value] : value;

for (const file of files) {
  test.serial(`${file}: up, its expectations, down`, async (t) => {
    const place = cli(t);
    const lab = place.lab(path.basename(file, ".json"));
    const up = ["up", path.join(folder, file), "--name", lab, ...(settings[file] ?? [])];
    const first = await place.json<{ operations: unknown[]; snapshot: Snapshot }>(...up);
    t.true(first.operations.length > 0);
    const again = await place.json<{ operations: { text: string }[] }>(...up);
    t.deepEqual(again.operations, [], "applied twice");

    const { expect } = parse(readFileSync(path.join(folder, file), "utf8")) as { expect: Expectation[] };
    for (const each of expect) {
      const story = `${each.from} -> ${each.to}`;
      const events = await traceOf(place, lab, first.snapshot, each);
      const packets = packetsOf(events);
      const request = packets.find(({ direction }) => direction === "request");
      if (request === undefined) {
        t.fail(`${story}: no request was seen`);
        continue;
      }
      check(t.is.bind(t), t.deepEqual.bind(t), story, each, events, packets, request, first.snapshot);
    }
    t.regex(await place.ok("down", lab), /left on this machine: 0/);
  });
}

type Same = (actual: unknown, expected: unknown, message: string) => void;

function check(
  same: Same,
  alike: Same,
  story: string,
  expectation: Expectation,
  events: readonly TraceEvent[],
  packets: readonly PacketEvent[],
  request: PacketEvent,
  snapshot: Snapshot,
): void {
  const hops = request.sightings.map(({ hop }) => hop);
  const seen = new Set([...hops, ...request.implied.map(({ hop }) => hop)]);
  const exchange = events.find((event) => event.type === "exchange");
  if (expectation.verdict === "dropped") {
    const dropped = packets.find(({ verdict }) => verdict.kind === "dropped")?.verdict;
    same(dropped?.kind, "dropped", `${story}: ${JSON.stringify(request.verdict)}`);
    if (dropped?.kind === "dropped") {
      if (expectation.between !== undefined)
        alike([dropped.after, dropped.before], expectation.between, `${story}: between`);
      if (expectation.cause !== undefined) same(dropped.cause?.code, expectation.cause, `${story}: cause`);
    }
  } else {
    same(exchange?.verdict, expectation.verdict, `${story}: ${JSON.stringify(exchange)}`);
  }
  for (const hop of listOf(expectation.via))
    same(seen.has(hop), true, `${story}: via ${hop}, seen ${[...seen].join(" ")}`);
  for (const hop of listOf(expectation.notVia)) same(hops.includes(hop), false, `${story}: not via ${hop}`);
  const last = request.sightings.at(-1);
  if (expectation.seenAs !== undefined) same(last?.source, expectation.seenAs, `${story}: seen as`);
  if (expectation.reaches !== undefined) {
    const { host, port } = targetOf(expectation.reaches, snapshot);
    alike([last?.destination, last?.destinationPort], [host, port], `${story}: reaches`);
  }
}

/** `tcp://web:80` or `icmp://10.0.0.1`, names as addresses. */
function targetOf(text: string, snapshot: Snapshot) {
  const match = /^(\w+):\/\/(?:\[(.+)\]|([^:]+))(?::(\d+))?$/.exec(text);
  const name = match?.[2] ?? match?.[3] ?? "";
  const address = snapshot.nodes
    .find((node) => node.name === name)
    ?.interfaces.flatMap(({ addresses }) => addresses)
    .filter(({ scope }) => scope === "global")
    .toSorted((a, b) => a.family - b.family)[0]?.address;
  return {
    protocol: match?.[1] ?? "",
    host: address ?? name,
    port: match?.[4] === undefined ? undefined : Number(match[4]),
  };
}

function traceOf(
  place: Cli,
  lab: string,
  snapshot: Snapshot,
  { from, to, verdict }: Expectation,
): Promise<TraceEvent[]> {
  const { protocol, host, port } = targetOf(to, snapshot);
  const six = host.includes(":");
  // For what is dropped nobody waits long: its first packet tells.
  const patience = verdict === "dropped" ? "1" : "5";
  const url = `http://${six ? `[${host}]` : host}:${port ?? ""}/`;
  // busybox, curl and nc are in every root that ships: the machine's own.
  const command =
    protocol === "tcp"
      ? ["curl", "-s", "-m", patience, url]
      : ["busybox", "ping", six ? "-6" : "-4", "-c", "1", "-W", patience, host];
  // Not by port: what a machine sends to its own published port never shows that port to a tap.
  const filter = protocol === "tcp" ? ["--proto", "tcp"] : ["--proto", six ? "icmpv6" : "icmp", "--host", host];
  return place
    .run("trace", "--from", `${lab}/${from}`, ...filter, "--json", "--", ...command)
    .then(({ stdout, stderr }) => {
      const events = parseEvents(stdout);
      if (events.length === 0) throw new Error(stderr);
      return events;
    });
}
