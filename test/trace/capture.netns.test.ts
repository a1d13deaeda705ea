/** Real kernel, real tcpdump: the picture of docker-bridge.ts, five captures, and tshark as the witness. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import test, { type ExecutionContext } from "ava";
import { type Hop, hopName } from "../../src/model/hop.js";
import type { ExchangeEvent, PacketEvent, TraceEvent } from "../../src/model/trace.js";
import { hops } from "../../src/path/hops.js";
import { noFilter } from "../../src/trace/core.js";
import { createReplay } from "../../src/trace/replay.js";
import { dockerBridge } from "../path/docker-bridge.js";
import { toolPath } from "../tool-path.js";
import { missingTool, skip } from "../tools.js";

const script = resolve(import.meta.dirname, "../../../test/trace/docker-bridge.sh");
const root = process.getuid?.() === 0;
/** As uid 0 of a namespace with one id tcpdump would fail to change its user: so the own id, with capabilities. */
const own = root ? [] : ["--user", "--map-current-user", "--keep-caps"];
const list = hops(dockerBridge);
const file = (folder: string, hop: Hop): string => join(folder, `${hop.node}.${hop.interface}.pcap`);

/** @returns the reason why this machine cannot do it */
function lacking(): string | undefined {
  const missing = missingTool("unshare", "nsenter", "ip", "nft", "tcpdump", "tshark", "busybox", "curl");
  if (missing !== undefined) return `needs ${missing}`;
  const run = spawnSync("unshare", [...own, "--net", "true"]);
  return run.status === 0 ? undefined : "namespaces cannot be made here";
}

interface Seen {
  readonly packets: readonly PacketEvent[];
  readonly exchanges: readonly ExchangeEvent[];
  readonly folder: string;
}

/** Makes the traffic, and traces the captures. */
function capture(t: ExecutionContext, segments?: string): Seen | undefined {
  const reason = lacking();
  if (reason !== undefined) {
    skip(t, reason);
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), "yapc-net-capture-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  execFileSync("unshare", [...own, "--net", "bash", script, folder], {
    timeout: 60_000,
    env: {
      PATH: toolPath,
      ...(segments === undefined ? {} : { SEGMENTS: segments }),
    },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const events: TraceEvent[] = [];
  const captures = list.map((hop) => readFileSync(file(folder, hop)));
  const replay = createReplay({
    snapshot: dockerBridge,
    hops: list,
    filter: noFilter,
    epoch: BigInt(captures[0]!.readUInt32LE(24)) * 1_000_000_000n,
    emit: (event) => events.push(event),
  });
  const taps = list.map((_, hop) => replay.tap({ hop }));
  for (const [hop, tap] of taps.entries()) {
    tap.push(captures[hop]!);
    tap.end();
  }
  t.is(replay.hungry().length, 0);
  return {
    packets: events.filter((event) => event.type === "packet"),
    exchanges: events.filter((event) => event.type === "exchange"),
    folder,
  };
}

/** What tshark says of each TCP segment: by hop and record number. */
function witness(folder: string): Map<string, string> {
  const fields = ["frame.number", "ip.id", "tcp.seq_raw", "tcp.ack_raw", "tcp.len", "tcp.flags"];
  const said = new Map<string, string>();
  for (const hop of list) {
    const text = execFileSync(
      "tshark",
      ["-n", "-r", file(folder, hop), "-Y", "tcp", "-T", "fields", ...fields.flatMap((field) => ["-e", field])],
      { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
    );
    for (const line of text.trim().split("\n")) {
      const [number, ...rest] = line.split("\t");
      said.set(`${hopName(hop)}/${Number(number) - 1}`, rest.join(" "));
    }
  }
  return said;
}

const path = ["client:eth0", "host:eth0", "host:yapc0", "host:vethweb", "web:eth0"];

test("every segment is joined over all five hops, as tshark reads them", (t) => {
  const seen = capture(t);
  if (!seen) return;
  const said = witness(seen.folder);
  const segments = seen.packets.filter((packet) => packet.protocol === "tcp");
  for (const packet of segments) {
    const fields = new Set(packet.sightings.map((one) => said.get(`${one.hop}/${one.record}`)));
    t.is(fields.size, 1, JSON.stringify(packet));
    t.false(fields.has(undefined));
    if (packet.verdict.kind === "dropped") continue;
    const way = packet.sightings.map((one) => one.hop);
    t.deepEqual(way, packet.direction === "request" ? path : [...path].reverse());
  }
  t.is(
    segments.reduce((sum, packet) => sum + packet.sightings.length, 0),
    said.size,
  );
  // IPv6 numbers no packets: bytes that TCP sent again, in the same segment or another one, are told apart by their order alone.
  const spanOf = (fields = ""): readonly [from: number, to: number] => {
    const [, sequence, , length] = fields.split(" ").map(Number);
    return [sequence ?? 0, (sequence ?? 0) + Math.max(1, length ?? 0)];
  };
  const again = ({ sightings: [first] }: PacketEvent): boolean => {
    const [from, to] = spanOf(said.get(`${first?.hop}/${first?.record}`));
    const spans = [...said].filter(([place]) => place.startsWith(`${first?.hop}/`)).map(([, fields]) => spanOf(fields));
    return spans.filter((span) => span[0] < to && from < span[1]).length > 1;
  };
  t.deepEqual(
    segments.filter((packet) => packet.match !== "exact" && packet.match !== "strong" && !again(packet)),
    [],
  );

  const exchange = (server: string): ExchangeEvent | undefined => seen.exchanges.find((one) => one.server === server);
  t.is(exchange("203.0.113.1:8080")?.verdict, "answered");
  t.is(exchange("203.0.113.1:8080")?.translated?.server, "10.0.0.10:80");
  t.is(exchange("[fd00:10::10]:80")?.verdict, "answered");
  t.is(exchange("203.0.113.1:8082")?.reason, "web: RST");
  t.is(exchange("203.0.113.2:5353")?.reason, "client: ICMP port unreachable");
  t.is(
    exchange("203.0.113.1:8081")?.reason,
    "the request was dropped between host:eth0 and host:yapc0 by nft rule 'no 81' (inet yapc_filter, forward, handle 7)",
  );
  const pings = seen.packets.filter((packet) => packet.protocol === "icmp" && packet.summary.startsWith("echo"));
  t.true(pings.length >= 14, `${pings.length} pings`);
  t.deepEqual(
    pings.filter(({ verdict }) => verdict.kind !== "delivered"),
    [],
  );
});

test("large segments that are cut on the way stay one packet each, byte for byte", (t) => {
  // The machine's way out takes no super-packets: what web sends as one frame leaves eth0 as many.
  const seen = capture(t, "ip link set eth0 gso_max_segs 1");
  if (!seen) return;
  const segments = seen.packets.filter((packet) => packet.protocol === "tcp" && packet.verdict.kind === "delivered");
  const cut = segments.filter((packet) => packet.rewrites.some((one) => one.kind === "segmentation"));
  if (cut.length === 0) {
    skip(t, "this kernel does not obey gso_max_segs on veth");
    return;
  }
  for (const packet of cut) {
    const bytes = (hop: string): number => {
      const parts = packet.sightings.filter((one) => one.hop === hop);
      return parts.reduce((sum, one) => sum + one.length, 0) - parts.length * headers(packet);
    };
    t.is(bytes("client:eth0"), bytes("web:eth0"), JSON.stringify(packet));
  }
  t.deepEqual(
    segments.filter(({ match }) => match === "single" || match === "ambiguous"),
    [],
  );
});

/** Ethernet, IP, TCP with timestamps. */
function headers(packet: PacketEvent): number {
  return 14 + (packet.sightings[0]!.source.includes(":") ? 40 : 20) + 32;
}
