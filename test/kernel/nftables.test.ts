/** Compiling and decompiling rules, where no kernel is needed. */
import test from "ava";
import * as fc from "fast-check";
import type { NftFamily, NftStatement } from "../../src/model/nft.js";
import { type Codec, Input, Writer, encodeInto } from "../../src/kernel/codec/index.js";
import {
  type Message,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLM_F_CAPPED,
  NLM_F_MULTI,
  eachMessage,
  frame,
} from "../../src/kernel/framing.js";
import { DumpInterruptedError, FakeTransport, NetlinkClient, nftables } from "../../src/kernel/index.js";
import { compileRule } from "../../src/kernel/nftables/compile.js";
import { decompileRule } from "../../src/kernel/nftables/decompile.js";
import { make } from "../../src/kernel/nftables/expressions.js";
import { fromElements, prefixInterval, toElements } from "../../src/kernel/nftables/intervals.js";
import * as k from "../../src/kernel/nftables/constants.js";
import * as messages from "../../src/kernel/nftables/messages.js";
import { commentUserdata, readComment } from "../../src/kernel/nftables/userdata.js";

function thereAndBack(family: NftFamily, statements: readonly NftStatement[]): NftStatement[] {
  const { expressions, sets } = compileRule(family, statements);
  const contents = new Map(sets.map(({ interval, elements }) => ["__set%d", { flags: interval ? 4 : 0, elements }]));
  return decompileRule(family, expressions, contents);
}

const match = (field: string, value: unknown, op = "==") => ({ kind: "match", field, op, value }) as NftStatement;

test("what nft puts before a field by itself is put there once, and not shown", (t) => {
  const inet = compileRule("inet", [match("ip saddr", "10.0.0.1"), match("ip daddr", "10.0.0.2")]).expressions;
  t.deepEqual(
    inet.map(({ name }) => name),
    ["meta", "cmp", "payload", "cmp", "payload", "cmp"],
  );
  t.deepEqual(
    compileRule("ip", [match("ip saddr", "10.0.0.1")]).expressions.map(({ name }) => name),
    ["payload", "cmp"],
  );
  const said = [match("nfproto", "ipv4"), match("fib daddr type", "local"), match("ip saddr", "10.0.0.1")];
  t.is(compileRule("inet", said).expressions.length, 6, "the rule has said so already");
  t.deepEqual(thereAndBack("inet", said)[0], match("nfproto", 2), "and what it said far before is kept");
  for (const family of ["inet", "bridge", "netdev"] as const) {
    t.deepEqual(thereAndBack(family, [match("ip6 saddr", "fd00::/64")]), [match("ip6 saddr", "fd00::/64")], family);
  }
});

test("fields that lie at the same place are told apart by what the rule has looked at", (t) => {
  // ip ttl, which is where ip6 saddr begins.
  const ttl = [
    make("payload", { dreg: 1, base: 1, offset: 8, length: 1 }),
    make("cmp", { sreg: 1, op: 0, data: { value: Uint8Array.of(64) } }),
  ];
  t.deepEqual(
    decompileRule("ip", ttl).map(({ kind }) => kind),
    ["unknown", "unknown"],
  );
  t.deepEqual(
    decompileRule("inet", ttl).map(({ kind }) => kind),
    ["unknown", "unknown"],
  );
  t.deepEqual(decompileRule("ip6", ttl), [match("ip6 saddr", "4000::/8")]);
  t.deepEqual(thereAndBack("inet", [match("icmpv6 type", 135)]), [match("icmpv6 type", 135)]);
  t.deepEqual(
    thereAndBack("inet", [match("icmpv6 type", "nd-neighbor-solicit")]),
    [match("icmpv6 type", 135)],
    "words read back as numbers",
  );
});

test("expressions of iptables-nft are shown by their names", (t) => {
  const rule = decompileRule("ip", [
    make("match", { name: "conntrack", revision: 3, info: new Uint8Array(8) }),
    make("counter", { packets: 5, bytes: 420 }),
    make("target", { name: "MASQUERADE", revision: 0, info: new Uint8Array(4) }),
    { name: "of tomorrow", data: { other: Uint8Array.of(1, 2) } },
  ]);
  t.deepEqual(rule, [
    { kind: "unknown", name: "match", text: 'xt match "conntrack"' },
    { kind: "counter", packets: 5, bytes: 420 },
    { kind: "unknown", name: "target", text: 'xt target "MASQUERADE"' },
    { kind: "unknown", name: "of tomorrow", text: "of tomorrow 0x0102" },
  ]);
});

test("what a field cannot have is refused when the rule is compiled", (t) => {
  const wrong = [
    match("th dport", 70_000),
    match("th dport", "eighty"),
    match("th dport", ""),
    match("ip saddr", "10.0.0.0/33"),
    match("ip saddr", "fd00::1"),
    match("iifname", "a-name-that-is-too-long"),
    match("ct state", "done"),
    match("mark", { from: 1, to: 2 }),
    match("mark", 5, "<"),
    match("th dport", []),
    match("th dport", [80], "<"),
    match("th dport", { from: 1, to: 2 }, "<"),
    match("th dport", { from: 2, to: 1 }),
    match("th dport", [80, { from: 2, to: 1 }]),
    { kind: "dnat", family: 6, address: "10.0.0.1" },
    { kind: "unknown", name: "x", text: "x" },
  ] as NftStatement[];
  for (const statement of wrong)
    t.throws(() => compileRule("inet", [statement]), { instanceOf: RangeError }, JSON.stringify(statement));
});

test("ranges become the marks of an interval set, and come back", (t) => {
  const range = fc
    .tuple(fc.nat(65_535), fc.nat(40))
    .map(([from, length]) => ({ from, to: Math.min(65_535, from + length) }));
  fc.assert(
    fc.property(fc.array(range, { minLength: 1, maxLength: 8 }), (given) => {
      const inside = (value: number, ranges: typeof given) =>
        ranges.some(({ from, to }) => value >= from && value <= to);
      const bytes = (value: number) => Uint8Array.of(value >> 8, value & 255);
      const number = (value: Uint8Array) => value[0]! * 256 + value[1]!;
      const through = (ranges: typeof given) =>
        fromElements(toElements(ranges.map(({ from, to }) => ({ from: bytes(from), to: bytes(to) })))).map(
          ({ from, to }) => ({ from: number(from), to: number(to) }),
        );
      const back = through(given);
      t.true(back.every(({ from, to }, i) => from <= to && (i === 0 || back[i - 1]!.to < from)));
      const edges = given.flatMap(({ from, to }) => [from - 1, from, to, to + 1]);
      for (const value of edges) t.is(inside(value, back), inside(value, given), String(value));
      // What does not overlap comes back as it was.
      t.deepEqual(through(back), back);
    }),
  );
  t.deepEqual(prefixInterval(Uint8Array.of(10, 20, 30, 40), 12), {
    from: Uint8Array.of(10, 16, 0, 0),
    to: Uint8Array.of(10, 31, 255, 255),
  });
});

test("a comment is kept as nft keeps it", (t) => {
  t.is(Buffer.from(commentUserdata("hello")).toString("hex"), "000668656c6c6f00");
  t.is(readComment(commentUserdata("größe")), "größe");
  t.is(readComment(Uint8Array.of(9, 1, 7, 0, 2, 65, 0)), "A", "behind something else of nft's");
  for (const cut of [[], [0], [0, 200, 65], [9, 5, 1]]) t.is(readComment(Uint8Array.from(cut)), undefined);
  t.throws(() => commentUserdata("x".repeat(254)), { instanceOf: RangeError });
});

/** A kernel with one rule, which looks in a set, and a ruleset that changes at every look until it has been looked at so often. */
function restlessRuleset(changes: number): FakeTransport {
  let generation = 0;
  const encoded = <T>(schema: Codec<T>, value: T) => {
    const out = new Writer();
    encodeInto(out, schema, value);
    return out.finish();
  };
  const header = { ...messages.nfgenmsg.zero, family: 1 };
  const expressions = [make("lookup", { set: "s", sreg: 1 }), make("counter", {})];
  const listed = new Map<number, Uint8Array[]>([
    [k.NFT_MSG_GETTABLE, [encoded(messages.tableMessage, { header, attributes: { name: "t" } })]],
    [k.NFT_MSG_GETCHAIN, [encoded(messages.chainMessage, { header, attributes: { table: "t", name: "c" } })]],
    [
      k.NFT_MSG_GETRULE,
      [encoded(messages.ruleMessage, { header, attributes: { table: "t", chain: "c", expressions } })],
    ],
    [k.NFT_MSG_GETSET, [encoded(messages.setMessage, { header, attributes: { table: "t", name: "s" } })]],
  ]);
  const answer = ({ type, sequence, input, start }: Message): Uint8Array[] => {
    if (type === k.NFT_MSG_GETGEN) {
      generation = Math.min(generation + 1, changes);
      const body = encoded(messages.generationMessage, { header, attributes: { id: generation } });
      return [frame(k.NFT_MSG_NEWGEN, 0, sequence, body)];
    }
    const items = listed.get(type);
    if (items !== undefined) {
      return [
        ...items.map((item) => frame(type - 1, NLM_F_MULTI, sequence, item)),
        frame(NLMSG_DONE, NLM_F_MULTI, sequence, new Uint8Array(4)),
      ];
    }
    // The set has gone since it was listed.
    const refusal = new Uint8Array(20);
    new DataView(refusal.buffer).setInt32(0, -2, true);
    refusal.set(input.bytes.subarray(start - 16, start), 4);
    return [frame(NLMSG_ERROR, NLM_F_CAPPED, sequence, refusal)];
  };
  return new FakeTransport((datagram) => {
    const answers: Uint8Array[] = [];
    eachMessage(new Input(datagram), (message) => answers.push(...answer(message)));
    return answers;
  });
}

test("a ruleset that changes while it is read is read again; one that never rests is thrown with what was read", (t) => {
  const shape = [{ family: "inet", name: "t", chains: [{ name: "c" }] }];
  t.like(nftables.readTables(new NetlinkClient(restlessRuleset(7))), shape);
  const error = t.throws(() => nftables.readTables(new NetlinkClient(restlessRuleset(Infinity))), {
    instanceOf: DumpInterruptedError,
  });
  t.is(error.attempts, 10);
  t.like(error.partial, shape);
});

test("a ruleset is asked for as nft asks for it", (t) => {
  const transport = restlessRuleset(1);
  nftables.readTables(new NetlinkClient(transport));
  // `nft list ruleset`, traced with strace, but that it asks for rules by family and for sets by table.
  t.deepEqual(
    transport.sent.map((bytes) => Buffer.from(bytes).fill(0, 8, 12).toString("hex")),
    [
      "14000000100a0100000000000000000000000000",
      "14000000010a0103000000000000000000000000",
      "14000000040a0103000000000000000000000000",
      "14000000070a0103000000000000000000000000",
      "140000000a0a0103000000000000000000000000",
      "240000000d0a010300000000000000000100000006000100740000000600020073000000",
      "14000000100a0100000000000000000000000000",
    ],
  );
});
