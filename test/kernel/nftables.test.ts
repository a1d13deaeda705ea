/** Compiling and decompiling rules, where no kernel is needed. */
import test from "ava";
import * as fc from "fast-check";
import type { NftFamily, NftStatement } from "../../src/model/nft.js";
import { compileRule } from "../../src/kernel/nftables/compile.js";
import { decompileRule } from "../../src/kernel/nftables/decompile.js";
import { make } from "../../src/kernel/nftables/expressions.js";
import { fromElements, prefixInterval, toElements } from "../../src/kernel/nftables/intervals.js";
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
      const sorted = [...given].sort((a, b) => a.from - b.from);
      const apart = sorted.filter((each, i) => sorted.slice(0, i).every((before) => before.to < each.from));
      const bytes = (value: number) => Uint8Array.of(value >> 8, value & 255);
      const back = fromElements(toElements(apart.map(({ from, to }) => ({ from: bytes(from), to: bytes(to) }))));
      const number = (value: Uint8Array) => value[0]! * 256 + value[1]!;
      t.deepEqual(
        back.map(({ from, to }) => ({ from: number(from), to: number(to) })),
        apart,
      );
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
