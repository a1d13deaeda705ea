/** Expectations judged on made-up packets; settings and notations of the life-cycle commands. */
import test from "ava";
import type { ExchangeEvent, PacketEvent, Verdict } from "../../src/model/trace.js";
import { findExchange, judge, patienceOf } from "../../src/session/expect.js";
import { parseForwarding } from "../../src/session/forward.js";
import type { ResolvedExpectation } from "../../src/topology/resolved.js";

const expectation: ResolvedExpectation = {
  from: "client",
  to: "tcp://203.0.113.1:8080",
  verdict: "answered",
  via: [],
  notVia: [],
};

function packet(direction: "request" | "reply", path: readonly string[], verdict: Verdict): PacketEvent {
  return {
    type: "packet",
    id: 1,
    exchange: 7,
    direction,
    time: 0,
    protocol: "tcp",
    summary: "SYN",
    sightings: path.map((hop, time) => ({
      hop,
      time,
      record: 0,
      length: 74,
      source: "203.0.113.2",
      destination: "10.0.0.10",
      sourcePort: 40000,
      destinationPort: 80,
    })),
    rewrites: [],
    implied: [{ hop: "switch:br0", after: "host:eth0" }],
    match: "exact",
    verdict,
  };
}

function exchange(verdict: ExchangeEvent["verdict"], more: Partial<ExchangeEvent> = {}): ExchangeEvent {
  const client = "203.0.113.2:40000";
  const server = "203.0.113.1:8080";
  return {
    type: "exchange",
    id: 7,
    protocol: "tcp",
    client,
    server,
    packets: 2,
    verdict,
    start: 1e6,
    end: 2e6,
    ...more,
  };
}

test("an answer later than `within` is none; for what shall not come one waits in any case", (t) => {
  t.is(patienceOf({ ...expectation, within: 200e6 }), 200);
  t.is(patienceOf({ ...expectation, within: 60e9 }), patienceOf(expectation));
  t.is(
    patienceOf({ ...expectation, verdict: "dropped", within: 1e6 }),
    patienceOf({ ...expectation, verdict: "dropped" }),
  );
});

const delivered: Verdict = { kind: "delivered" };
const lost: Verdict = { kind: "dropped", after: "host:eth0", before: "web:eth0" };
const path = ["client:eth0", "host:eth0", "web:eth0"];
const probe = { outcome: "answered" } as const;

function problems(more: Partial<ResolvedExpectation>, verdict: ExchangeEvent["verdict"], packets: PacketEvent[]) {
  return judge({ ...expectation, ...more }, { probe, exchange: exchange(verdict), packets }).problems;
}

test("the verdict of an exchange", (t) => {
  const request = packet("request", path, delivered);
  t.deepEqual(problems({}, "answered", [request]), []);
  t.deepEqual(problems({ verdict: "refused" }, "refused", [request]), []);
  t.deepEqual(problems({ verdict: "unanswered" }, "unanswered", [request]), []);
  t.deepEqual(problems({ verdict: "dropped" }, "unanswered", [packet("request", path.slice(0, 2), lost)]), []);
  t.deepEqual(problems({}, "unanswered", [packet("request", path.slice(0, 2), lost)]), [
    "expected answered, and it was dropped between host:eth0 and web:eth0",
  ]);
  // The answer died, not the request.
  t.is(problems({ verdict: "dropped" }, "unanswered", [request, packet("reply", path, lost)]).length, 1);
  t.deepEqual(
    problems({ verdict: "unanswered", between: ["host:eth0", "web:eth0"] }, "unanswered", [
      request,
      packet("reply", path, lost),
    ]),
    [],
  );
  t.is(problems({}, "unknown", [packet("request", path, { kind: "unknown", reason: "taps lost records" })]).length, 1);
});

test("the path: in order, with hops that cannot show a packet, and without those that are forbidden", (t) => {
  const request = [packet("request", path, delivered)];
  t.deepEqual(problems({ via: ["client:eth0", "web:eth0"] }, "answered", request), []);
  t.deepEqual(problems({ via: ["host:eth0", "switch:br0", "web:eth0"] }, "answered", request), []);
  t.regex(problems({ via: ["web:eth0", "client:eth0"] }, "answered", request)[0] ?? "", /web:eth0, then client:eth0/);
  t.regex(problems({ via: ["other:eth0"] }, "answered", request)[0] ?? "", /expected to pass other:eth0/);
  t.is(problems({ notVia: ["host:eth0"] }, "answered", request).length, 1);
  t.deepEqual(problems({ reaches: "tcp://10.0.0.10:80", seenAs: "203.0.113.2" }, "answered", request), []);
  t.is(problems({ reaches: "tcp://10.0.0.10:81", seenAs: "10.0.0.1" }, "answered", request).length, 2);
});

test("without a sighting the socket's own word counts, and a path cannot be checked", (t) => {
  const unseen = (more: Partial<ResolvedExpectation>) =>
    judge({ ...expectation, ...more }, { probe, packets: [] }).problems;
  t.deepEqual(unseen({}), []);
  t.deepEqual(unseen({ via: ["host:eth0"] }), ["no hop saw it, so its path is not known"]);
  t.deepEqual(unseen({ verdict: "refused" }), ["expected refused, and it was answered, and no hop saw it"]);
});

test("the exchange of a probe is told from others by its port, its target and its time", (t) => {
  const span = { from: 0, to: 5e6 };
  const end = { ...probe, local: { address: "203.0.113.2", port: 40000 } };
  const own = exchange("answered", { id: 2 });
  const others = [
    exchange("answered", { id: 1, client: "203.0.113.2:40001", server: "203.0.113.9:8080" }),
    exchange("answered", { id: 3, start: 900e6 }),
    exchange("answered", { id: 4, protocol: "udp" }),
  ];
  t.is(findExchange(expectation, end, span, [...others, own], [])?.id, 2);
  t.is(findExchange(expectation, end, span, others, []), undefined);
  // NAT in the node itself: another target and another source, the same port.
  const translated = exchange("answered", { id: 5, client: "10.0.0.1:40000", server: "10.0.0.10:80" });
  t.is(findExchange(expectation, end, span, [...others, translated], [])?.id, 5);
});

test("forwardings", (t) => {
  t.deepEqual(parseForwarding("8080:web:80"), { address: "127.0.0.1", port: 8080, node: "web", nodePort: 80 });
  t.deepEqual(parseForwarding("[::1]:0:lab/web:80"), {
    address: "::1",
    port: 0,
    lab: "lab",
    node: "web",
    nodePort: 80,
  });
  t.is(parseForwarding("0.0.0.0:80:web:8080").address, "0.0.0.0");
  for (const wrong of ["80", "80:80", "80:web:0", "70000:web:80", "300.1.1.1:80:web:80", "web:80"])
    t.throws(() => parseForwarding(wrong), { message: /is not of the form/ }, wrong);
});
