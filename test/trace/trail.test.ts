/** What is known of a way that packets have taken holds no longer than what it rests on. */
import test from "ava";
import type { ConntrackEvent } from "../../src/model/conntrack.js";
import type { PacketEvent } from "../../src/model/trace.js";
import { hops } from "../../src/path/hops.js";
import { pcapHeader, pcapRecord } from "../../src/packet/pcap.js";
import { noFilter } from "../../src/trace/core.js";
import { createTrace } from "../../src/trace/trace.js";
import { dockerBridge, macs } from "../path/docker-bridge.js";
import { udp } from "./frames.js";

const epoch = 1_700_000_000_000_000_000n;
const list = hops(dockerBridge);
const names = list.map((hop) => `${hop.node}:${hop.interface}`);
const path = ["client:eth0", "host:eth0", "host:yapc0", "host:vethweb", "web:eth0"];

function translation(kind: ConntrackEvent["kind"], to: string): ConntrackEvent {
  const [client, server] = ["203.0.113.2", "203.0.113.1"];
  return {
    kind,
    node: "host",
    flow: {
      id: 1,
      zone: 0,
      family: 4,
      original: { source: client, destination: server, protocol: 17, sourcePort: 40_000, destinationPort: 8080 },
      reply: { source: to, destination: client, protocol: 17, sourcePort: 80, destinationPort: 40_000 },
      status: 0,
    },
  };
}

/** Datagrams to the published port, all led to web, twenty before the events and twenty after them. */
function datagrams(events: readonly ConntrackEvent[], ttl: (number: number) => number = () => 64): string[] {
  const packets: PacketEvent[] = [];
  const trace = createTrace({
    snapshot: dockerBridge,
    hops: list,
    filter: noFilter,
    epoch,
    emit: (event) => {
      if (event.type === "packet") packets.push(event);
    },
  });
  const taps = list.map((_, hop) => trace.tap({ hop }));
  for (const tap of taps) tap.push(pcapHeader(1));
  trace.conntrack(translation("new", "10.0.0.10"));
  for (let number = 0; number < 40; number++) {
    const start = 1e8 * (number + 1);
    if (number === 20) {
      trace.tick(start - 1);
      for (const event of events) trace.conntrack(event);
    }
    const ends = { source: "203.0.113.2", destination: "203.0.113.1", sourcePort: 40_000, destinationPort: 8080 };
    const common = { id: number + 1, payload: Uint8Array.of(number) };
    const outer = udp({ ...ends, ...common, sourceMac: macs.client, destinationMac: macs.host, ttl: ttl(number) });
    const inside = { ...ends, destination: "10.0.0.10", destinationPort: 80 };
    const lan = { sourceMac: macs.bridge, destinationMac: macs.web };
    const inner = udp({ ...inside, ...common, ...lan, ttl: ttl(number) - 1 });
    for (const [step, name] of path.entries()) {
      const record = pcapRecord(epoch + BigInt(start + step * 1000), step < 2 ? outer : inner);
      taps[names.indexOf(name)]!.push(record);
    }
  }
  for (const tap of taps) tap.end();
  trace.end();
  return packets.sort((a, b) => a.id - b.id).map(({ sightings, match }) => `${sightings.length} ${match}`);
}

const joined = (count: number): string[] => new Array<string>(count).fill("5 exact");

test("packets that go the way of those before them join as those did", (t) => {
  t.deepEqual(datagrams([]), joined(40));
});

test("when NAT leads a connection elsewhere, what still goes the old way is not sure any more", (t) => {
  const after = datagrams([translation("new", "10.0.0.11")]).slice(20);
  t.deepEqual(after, new Array<string>(20).fill("5 ordered"));
});

test("when a connection has ended, NAT may lead the next one the same way, which is learned anew", (t) => {
  const after = datagrams([translation("destroy", "10.0.0.10")]).slice(20);
  t.deepEqual(after, ["5 strong", ...joined(19)]);
});

test("a sender whose TTL changes, one packet after the other", (t) => {
  t.deepEqual(
    datagrams([], (number) => 64 - (number % 16)),
    joined(40),
  );
});
