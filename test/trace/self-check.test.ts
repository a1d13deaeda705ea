/**
 * The judge of joins, on events made by hand: it must be able to say no.
 *
 *   client eth0 ── eth0 host yapc0 ── vethweb ══ eth0 web      three interfaces have one name
 */
import test from "ava";
import { SkbEvents } from "../../src/model/skb-events.js";
import type { PacketEvent, Sighting } from "../../src/model/trace.js";
import { hops } from "../../src/path/hops.js";
import { SelfCheck, type SelfCheckResult } from "../../src/trace/self-check.js";
import { selfCheckHolds, selfCheckLines } from "../../src/view/self-check.js";
import { dockerBridge } from "../path/docker-bridge.js";

const list = hops(dockerBridge, { from: "client", to: "web" });
const way = ["client:eth0", "host:eth0", "host:yapc0", "host:vethweb", "web:eth0"];
/** Sent or received, and how long after the stamp the event comes. */
const steps = [
  ["eth0", true, 4_000],
  ["eth0", false, -2_000],
  ["yapc0", true, 5_000],
  ["vethweb", true, 3_000],
  ["eth0", false, -1_000],
] as const;

function sighting(at: number, time: number): Sighting {
  return { hop: way[at]!, time, record: 0, length: 100, source: "", destination: "" };
}

function packet(id: number, sightings: readonly Sighting[], more: Partial<PacketEvent> = {}): PacketEvent {
  return {
    type: "packet",
    id,
    exchange: 1,
    direction: "request",
    time: sightings[0]!.time,
    protocol: "udp",
    summary: "",
    sightings,
    rewrites: [],
    implied: [],
    match: "exact",
    verdict: { kind: "delivered" },
    ...more,
  };
}

/** What the kernel tells of a buffer on the whole way. @param own buffers from each step on, where it is not one */
function pass(events: SkbEvents, start: number, skb: number, own: Readonly<Record<number, number>> = {}): void {
  let current = skb;
  for (const [at, [device, outgoing, delay]] of steps.entries()) {
    current = own[at] ?? current;
    events.add(start + at * 10_000 + delay, outgoing, device, current, outgoing ? 100 : 86);
  }
}

const all = (start: number): Sighting[] => way.map((_, at) => sighting(at, start + at * 10_000));

function check(packets: readonly PacketEvent[], events: SkbEvents): SelfCheckResult {
  const judge = new SelfCheck(dockerBridge, list);
  for (const one of packets) judge.push(one);
  return judge.judge(events.sorted());
}

test("joins that follow one buffer agree, whichever eth0 it was at", (t) => {
  const events = new SkbEvents();
  const packets = Array.from({ length: 50 }, (_, index) => {
    pass(events, index * 100_000, 0x1000 + (index % 3));
    return packet(index + 1, all(index * 100_000));
  });
  const result = check(packets, events);
  t.deepEqual(result.classes.exact, { agree: 200, differ: 0 });
  t.deepEqual(result.unchecked, { divided: 0, replaced: 0, unclear: 0 });
  t.true(selfCheckHolds(result));
  t.deepEqual(selfCheckLines(result), ["self-check: exact or strong 200 of 200 joins agree with the kernel (100 %)"]);
});

test("two packets that have changed places are denied, and named", (t) => {
  const events = new SkbEvents();
  pass(events, 0, 1);
  pass(events, 100_000, 2);
  const [first, second] = [all(0), all(100_000)];
  const swapped = [
    packet(1, [...first.slice(0, 3), ...second.slice(3)]),
    packet(2, [...second.slice(0, 3), ...first.slice(3)], { match: "strong" }),
  ];
  const result = check(swapped, events);
  t.deepEqual(result.classes.exact, { agree: 3, differ: 1 });
  t.deepEqual(result.classes.strong, { agree: 3, differ: 1 });
  t.deepEqual(result.differences, [
    { packet: 1, from: "host:yapc0", to: "host:vethweb" },
    { packet: 2, from: "host:yapc0", to: "host:vethweb" },
  ]);
  t.false(selfCheckHolds(result));
  t.true(selfCheckLines(result)[0]!.includes("6 of 8 joins agree with the kernel (75 %)"));
});

test("what cannot be checked is counted, not guessed", (t) => {
  const events = new SkbEvents();
  pass(events, 0, 1, { 2: 7 }); // reassembled in the machine: another buffer
  pass(events, 200_000, 2);
  pass(events, 200_500, 3); // no event stands out from the other's
  pass(events, 600_000, 4);
  const cut = packet(5, all(600_000), {
    rewrites: [{ kind: "segmentation", between: ["client:eth0", "host:eth0"], from: "9 kB", to: "1 kB" }],
  });
  const unseen = packet(6, all(900_000)); // the ring was full
  const result = check([packet(1, all(0)), packet(2, all(200_000)), packet(3, all(200_500)), cut, unseen], events);
  t.deepEqual(result.classes.exact, { agree: 3, differ: 0 });
  t.deepEqual(result.unchecked, { divided: 4, replaced: 1, unclear: 12 });
  t.is(
    selfCheckLines({ ...result, incomplete: true })
      .slice(1)
      .join("\n"),
    "  not checkable: 4 divided or merged on the way, 1 in another buffer after the hop, 12 without an event that stands out\n" +
      "  the kernel's ring was full at times: some of its events are missing",
  );
});
