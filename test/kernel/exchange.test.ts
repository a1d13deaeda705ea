/** The exchange and the client, against a kernel made of a function. */
import test from "ava";
import { Input, Writer, encodeInto } from "../../src/kernel/codec/index.js";
import { debugPrinter } from "../../src/kernel/debug.js";
import { Exchange } from "../../src/kernel/exchange.js";
import {
  NLMSG_DONE,
  NLMSG_ERROR,
  NLM_F_ACK,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  eachMessage,
} from "../../src/kernel/framing.js";
import {
  DumpInterruptedError,
  FakeTransport,
  NetlinkClient,
  OverrunError,
  ProtocolError,
  RecordingTransport,
  ReplayTransport,
  type Warning,
  links,
  nftables,
  routes,
  sockets,
} from "../../src/kernel/index.js";
import { linkMessage, ifinfomsg } from "../../src/kernel/rtnetlink/link-messages.js";

/** A message of the kernel. */
function message(
  type: number,
  flags: number,
  sequence: number,
  body: Uint8Array,
  length = 16 + body.length,
): Uint8Array {
  const bytes = Buffer.alloc(16 + body.length);
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(body, 16);
  return bytes;
}

const int32 = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};
const attribute = (type: number, value: Uint8Array) => {
  const header = Buffer.alloc(4);
  header.writeUInt16LE(4 + value.length, 0);
  header.writeUInt16LE(type, 2);
  return Buffer.concat([header, value, Buffer.alloc(-value.length & 3)]);
};
const text = (words: string) => Buffer.from(`${words}\0`);

interface Asked {
  readonly type: number;
  readonly sequence: number;
  readonly flags: number;
  readonly bytes: Uint8Array;
}

function asked(datagram: Uint8Array): Asked[] {
  const all: Asked[] = [];
  eachMessage(new Input(datagram), ({ type, sequence, flags, start, end }) =>
    all.push({ type, sequence, flags, bytes: datagram.subarray(start - 16, end) }),
  );
  return all;
}

/** NLMSG_ERROR as a kernel with NETLINK_CAP_ACK sends it. */
const ack = (to: Asked, errno = 0, tlvs: Uint8Array = Buffer.alloc(0)) =>
  message(
    NLMSG_ERROR,
    NLM_F_CAPPED | (tlvs.length > 0 ? NLM_F_ACK_TLVS : 0),
    to.sequence,
    Buffer.concat([int32(-errno), to.bytes.subarray(0, 16), tlvs]),
  );

/** And as one without it does: the whole request is echoed. */
const uncapped = (to: Asked, errno: number, tlvs: Uint8Array) =>
  message(NLMSG_ERROR, NLM_F_ACK_TLVS, to.sequence, Buffer.concat([int32(-errno), to.bytes, tlvs]));

const done = (to: Asked, errno = 0, flags = 0, tlvs: Uint8Array = Buffer.alloc(0)) =>
  message(
    NLMSG_DONE,
    NLM_F_MULTI | flags | (tlvs.length > 0 ? NLM_F_ACK_TLVS : 0),
    to.sequence,
    Buffer.concat([int32(-errno), tlvs]),
  );

function link(to: Asked, name: string, flags = NLM_F_MULTI): Uint8Array {
  const out = new Writer();
  encodeInto(out, linkMessage, { header: { ...ifinfomsg.zero, index: 7 }, attributes: { name } });
  return message(16, flags, to.sequence, out.finish());
}

type Kernel = (requests: readonly Asked[]) => Iterable<Uint8Array>;
const client = (kernel: Kernel, options = {}) =>
  new NetlinkClient(new FakeTransport((datagram) => kernel(asked(datagram))), options);
const only = (requests: readonly Asked[]) => requests[0]!;

test("a dump is read to its end, over several datagrams", (t) => {
  const fake = client((requests) => [
    Buffer.concat([link(only(requests), "a\0\0\0"), link(only(requests), "b")]),
    link(only(requests), "c"),
    done(only(requests)),
  ]);
  t.deepEqual(
    fake.execute(links.list()).map(({ name }) => name),
    ["a", "b", "c"],
  );
});

test("a dump that fails says so at its end", (t) => {
  const fake = client((requests) => [
    done(only(requests), 22, 0, attribute(1, text("Invalid header for dump request"))),
  ]);
  t.throws(() => fake.execute(links.list()), {
    name: "NetlinkError",
    code: "EINVAL",
    message: "link.list: Invalid header for dump request (EINVAL)",
  });
});

test("an interrupted dump is done again, and thrown with what was read when it never succeeds", (t) => {
  let attempts = 0;
  const calm = client((requests) => {
    attempts++;
    const flags = attempts < 4 ? NLM_F_DUMP_INTR : 0;
    return [link(only(requests), `attempt${attempts}`), done(only(requests), 0, flags)];
  });
  t.is(calm.execute(links.list())[0]!.name, "attempt4");
  const busy = client((requests) => [link(only(requests), "x", NLM_F_MULTI | NLM_F_DUMP_INTR), done(only(requests))]);
  const error = t.throws(() => busy.execute(links.list()), { instanceOf: DumpInterruptedError });
  t.is(error.attempts, 10);
  t.like(error.partial, [{ name: "x" }]);
});

test("a dump that meets another one (EBUSY) drains the socket and is done again", (t) => {
  let attempts = 0;
  const fake = client((requests) => {
    attempts++;
    const first = only(requests);
    return attempts === 1
      ? [ack(first, 16), link({ ...first, sequence: 99 }, "left over"), done({ ...first, sequence: 99 })]
      : [link(first, "eth0"), done(first)];
  });
  t.deepEqual(
    fake.execute(links.list()).map(({ name }) => name),
    ["eth0"],
  );
});

test("an error is read with its request echoed, or capped", (t) => {
  const tlvs = Buffer.concat([attribute(1, text("No such thing")), attribute(2, int32(36))]);
  for (const answer of [ack, uncapped]) {
    const fake = client((requests) => [answer(only(requests), 34, tlvs)]);
    t.throws(() => fake.execute(links.add({ kind: "bridge", name: "br0" })), {
      message: "link.add br0: No such thing (ERANGE, at name)",
    });
  }
});

test("the kernel's bounds are part of the error", (t) => {
  const policy = attribute(
    0x8004,
    Buffer.concat([
      attribute(1, int32(4)),
      attribute(4, Buffer.alloc(8)),
      attribute(5, Buffer.from("ff00000000000000", "hex")),
    ]),
  );
  const fake = client((requests) => [ack(only(requests), 34, Buffer.concat([attribute(2, int32(32)), policy]))]);
  const error = t.throws(() => fake.execute(links.set(7, { mtu: 1 })), {
    message: "link.set 7: numerical result out of range (ERANGE, at mtu, 0 to 255)",
  });
  t.like(error, { attribute: "mtu", policy: { type: 4, minimum: 0n, maximum: 255n } });
  const missing = client((requests) => [ack(only(requests), 22, attribute(5, int32(3)))]);
  t.throws(() => missing.execute(links.set(7, { mtu: 1 })), {
    message: "link.set 7: invalid argument (EINVAL, name is missing)",
  });
  // In a nest: its offset counts from the header of the request. info is at 32, its data at 32 + 4 + 12.
  const nested = [
    [48, 1, "info.data.bridge.forwardDelay"],
    [32, 2, "info.data"],
    [32, 99, "info.attribute 99"],
    [48, 99, "info.data.bridge.attribute 99"],
  ] as const;
  for (const [nest, type, path] of nested) {
    const tlvs = Buffer.concat([attribute(5, int32(type)), attribute(6, int32(nest))]);
    const lacking = client((requests) => [ack(only(requests), 22, tlvs)]);
    const change = links.setKind(7, { kind: "bridge", name: "br0", bridge: { ageingTime: 30 } });
    t.like(
      t.throws(() => lacking.execute(change)),
      { missing: path },
      path,
    );
  }
});

test("a warning goes to its channel, and the request has succeeded", (t) => {
  const warnings: Warning[] = [];
  const fake = client((requests) => [ack(only(requests), 0, attribute(1, text("deprecated")))], {
    node: "web",
    onWarning: (warning: Warning) => warnings.push(warning),
  });
  fake.execute(links.set(7, { up: true }));
  t.deepEqual(warnings, [{ operation: "link.set", object: "7", node: "web", text: "deprecated" }]);
});

test("the replies of a pipeline find their requests", (t) => {
  const fake = client((requests) =>
    requests.flatMap((request, i) => (i % 3 === 1 ? [ack(request, 17)] : [link(request, `l${i}`, 0), ack(request)])),
  );
  const outcomes = fake.pipeline(
    Array.from({ length: 5 }, (_, i) => links.addEchoed({ kind: "bridge", name: `l${i}` })),
  );
  t.deepEqual(
    outcomes.map((outcome) => (outcome.ok ? outcome.value?.name : (outcome.error as { code?: string }).code)),
    ["l0", "EEXIST", "l2", "l3", "EEXIST"],
  );
  t.throws(() => fake.pipeline([links.list()]), { instanceOf: ProtocolError, message: /cannot be pipelined/ });
});

test("a pipeline is split by the answers that fit the receive buffer, and by what one send holds", (t) => {
  const transport = new FakeTransport((datagram) => asked(datagram).map((request) => ack(request)), 100_000);
  const fake = new NetlinkClient(transport);
  fake.executeAll(Array.from({ length: 100 }, (_, i) => links.set(i + 1, { up: true })));
  t.deepEqual(
    transport.sent.map((datagram) => asked(datagram).length),
    [32, 32, 32, 4],
  );
  const large = new FakeTransport((datagram) => asked(datagram).map((request) => ack(request)), 1e9);
  new NetlinkClient(large).executeAll(
    Array.from({ length: 300 }, (_, i) => links.set(i + 1, { alias: "x".repeat(500) })),
  );
  t.true(large.sent.every(({ length }) => length <= 65_536));
});

test("an nf_tables batch fails when any of its messages does, and succeeds only when its last is acknowledged", (t) => {
  const table = { family: "ip", name: "t", chains: [] } as const;
  const fine = client((requests) =>
    requests.filter(({ flags }) => (flags & NLM_F_ACK) !== 0).map((request) => ack(request)),
  );
  t.notThrows(() => nftables.replaceTables(fine, [table]));
  const begin = client((requests) => [ack(requests[0]!, 1)]);
  t.throws(() => nftables.replaceTables(begin, [table]), { code: "EPERM", message: /^nftables.begin/ });
  const middle = client((requests) => [
    ack(requests[2]!, 2),
    ...requests.filter(({ flags }) => (flags & NLM_F_ACK) !== 0).map((request) => ack(request)),
  ]);
  t.throws(() => nftables.replaceTables(middle, [table]), { code: "ENOENT", message: /^table.remove ip t/ });
  const mute = client(() => []);
  t.throws(() => nftables.replaceTables(mute, [table]), { instanceOf: ProtocolError, message: /did not answer/ });
});

test("messages of nobody are passed over, a datagram may end unaligned, and silence is an error", (t) => {
  const fake = client((requests) => [
    message(16, 0, 0, Buffer.alloc(16)),
    message(1, 0, only(requests).sequence, Buffer.alloc(0)),
    // 35 bytes: conntrack and nflog end their messages like this.
    message(16, NLM_F_MULTI, only(requests).sequence, Buffer.alloc(19)),
    done(only(requests)),
  ]);
  t.is(fake.execute(links.list()).length, 1);
  const mute = client(() => []);
  t.throws(() => mute.execute(links.get(1)), {
    instanceOf: ProtocolError,
    message: "link.get 1: the kernel did not answer",
  });
});

test("a reply that cannot be read does not leave the rest of the dump on the socket", (t) => {
  const transport = new FakeTransport((datagram) => {
    const request = only(asked(datagram));
    return [message(24, NLM_F_MULTI, request.sequence, Buffer.alloc(3)), link(request, "x"), done(request)];
  });
  const error = t.throws(() => new NetlinkClient(transport).execute(routes.list()), { instanceOf: ProtocolError });
  t.is((error.cause as Error).name, "MalformedError");
  t.is(transport.receive(), undefined);
});

test("lost answers are an overrun, and the next request is answered again", (t) => {
  let lost = true;
  const transport = new FakeTransport((datagram) => asked(datagram).map((request) => ack(request)));
  const receive = transport.receive.bind(transport);
  transport.receive = () => {
    if (!lost) return receive();
    lost = false;
    receive();
    throw new OverrunError();
  };
  const fake = new NetlinkClient(transport, { node: "web" });
  const outcomes = fake.pipeline([links.set(1, { up: true }), links.set(2, { up: true })]);
  const [first, second] = outcomes;
  t.true(!first.ok && first.error instanceof OverrunError && /link.set 1 in web/.test(first.error.message));
  t.true(second.ok);
  t.notThrows(() => fake.execute(links.set(1, { up: true })));
});

test("sequence numbers go round without ever being 0, which events have", (t) => {
  const exchange = new Exchange(0xffffffff);
  const request = { type: 18, flags: 1, body: Buffer.alloc(16) };
  const begin = () => exchange.begin(new Writer(), request, "ack").sequence;
  t.deepEqual([begin(), begin()], [0xffffffff, 1]);
  t.is(exchange.waiting, 2);
  exchange.receive(new Input(message(NLMSG_ERROR, NLM_F_CAPPED, 0, Buffer.alloc(20))));
  t.deepEqual([exchange.waiting, exchange.strays], [2, 1]);
  exchange.receive(new Input(message(NLMSG_ERROR, NLM_F_CAPPED, 1, Buffer.alloc(20))));
  t.is(exchange.waiting, 1);
  exchange.receive(new Input(message(NLMSG_ERROR, NLM_F_CAPPED, 4711, Buffer.alloc(20))));
  t.is(exchange.strays, 2);
  // What was answered already is answered no more.
  exchange.receive(new Input(message(NLMSG_ERROR, NLM_F_CAPPED, 1, Buffer.alloc(20))));
  t.deepEqual([exchange.waiting, exchange.strays], [1, 3]);
});

test("what was recorded can be played back, and nothing else", (t) => {
  const recording = new RecordingTransport(
    new FakeTransport((datagram) => [link(only(asked(datagram)), "eth0"), done(only(asked(datagram)))]),
  );
  const names = (transport: RecordingTransport | ReplayTransport) =>
    new NetlinkClient(transport).execute(links.list()).map(({ name }) => name);
  t.deepEqual(names(recording), ["eth0"]);
  t.deepEqual(names(new ReplayTransport(recording.exchanges)), ["eth0"]);
  const other = new NetlinkClient(new ReplayTransport(recording.exchanges));
  t.throws(() => other.execute(links.get(1)), { message: /another one than was recorded/ });
  t.throws(() => new NetlinkClient(new ReplayTransport([])).execute(links.get(1)), { message: /nothing was recorded/ });
});

test("NLDEBUG prints what goes out and what comes in, by its schema", (t) => {
  const lines: string[] = [];
  const printer = debugPrinter({ NLDEBUG: "1" }, (line) => lines.push(line))!;
  const request = links.get("eth0");
  printer.sent(request, 1);
  const receiver = printer.receiver(request, { take: () => lines.push("taken") });
  eachMessage(new Input(link({ type: 18, sequence: 1, flags: 0, bytes: Buffer.alloc(0) }, "eth0", 0)), (reply) =>
    receiver.take(reply),
  );
  const pending = new Exchange().begin(new Writer(), request, "ack");
  pending.report = { errno: 17, message: "no" };
  printer.settled(request, pending);
  t.deepEqual(lines, [
    'netlink > link.get type=18 flags=0x1 seq=1 header{family=0 type=0 index=0 flags=0 change=0} attributes{altname="eth0"}',
    'netlink < link.get type=16 flags=0x0 seq=1 header{family=0 type=0 index=7 flags=0 change=0} attributes{name="eth0"}',
    "taken",
    'netlink < link.get seq=1 EEXIST message="no"',
  ]);

  // What another schema reads, and what none can read, changes nothing but the line.
  lines.length = 0;
  const list = sockets.list({ protocol: "tcp", family: 4 });
  const taking = printer.receiver(list, { take: () => lines.push("taken") });
  for (const bytes of [Uint8Array.from({ length: 72 }, (_, i) => (i === 0 ? 2 : 0)), Uint8Array.of(1, 2)])
    eachMessage(new Input(message(20, 0, 1, bytes)), (reply) => taking.take(reply));
  t.regex(lines[0]!, /^netlink < socket\.list type=20 .*header\{family=2 state=0 .* inode=0\}/);
  t.regex(lines[2]!, /^netlink < socket\.list type=20 flags=0x0 seq=1 0x0102 \(/);
  t.deepEqual([lines.length, lines[1], lines[3]], [4, "taken", "taken"]);
  t.is(debugPrinter({}), undefined);
  t.is(debugPrinter({ NLDEBUG: "0" }), undefined);
});
