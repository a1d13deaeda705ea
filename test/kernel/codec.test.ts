/** The codec: every kind of value, there and back, its names, and what it makes of bytes that are wrong. */
import test from "ava";
import * as fc from "fast-check";
import {
  type Codec,
  MalformedError,
  Writer,
  attributes,
  be16,
  be32,
  be64,
  beCount64,
  bes32,
  bool32,
  bool8,
  bytes,
  count64,
  cstr,
  decode,
  encodeInto,
  flag,
  formatIpv6,
  formatMac,
  headed,
  indexed,
  ip,
  ipv4,
  ipv6,
  list,
  littleEndian,
  mac,
  multi,
  parseIp,
  parseMac,
  pathAt,
  print,
  s16,
  s32,
  s64,
  s8,
  str,
  struct,
  u16,
  u32,
  u64,
  u8,
  unflagged,
  variant,
} from "../../src/kernel/codec/index.js";

const encode = <T>(codec: Codec<T>, value: T) => {
  const out = new Writer(4);
  encodeInto(out, codec, value);
  return out.finish();
};
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

const point = struct(12, { x: [0, u32], y: [4, u16], z: [8, s32] });
const rich = attributes({
  byte: [1, u8],
  signedByte: [2, s8],
  short: [3, u16],
  signedShort: [4, s16],
  word: [5, u32],
  signedWord: [6, s32],
  long: [7, u64],
  signedLong: [8, s64],
  port: [9, be16],
  bigWord: [10, be32],
  signedBigWord: [11, bes32],
  bigLong: [12, be64],
  name: [13, cstr],
  kind: [14, str],
  raw: [15, bytes],
  mac: [16, mac],
  four: [17, ipv4],
  six: [18, ipv6],
  any: [19, ip],
  yes: [20, flag],
  on: [21, bool8],
  wide: [22, bool32],
  point: [23, point],
  nest: [24, attributes({ inner: [1, u32] })],
  list: [25, list(1, u32)],
  indexed: [26, indexed(attributes({ value: [1, u16] }))],
  names: [27, multi(cstr)],
  options: [
    28,
    variant("kind", { bridge: attributes({ age: [4, u32] }), netem: headed(point, attributes({ seed: [1, u64] })) }),
  ],
  count: [29, count64],
  bigCount: [30, beCount64],
});

const address6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((raw) => formatIpv6(raw));
const text = fc.stringMatching(/^[a-z0-9éß]{1,12}$/);
const arbitrary = fc.record(
  {
    byte: fc.nat(255),
    signedByte: fc.integer({ min: -128, max: 127 }),
    short: fc.nat(65535),
    signedShort: fc.integer({ min: -32768, max: 32767 }),
    word: fc.nat(0xffffffff),
    signedWord: fc.integer(),
    long: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    signedLong: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    port: fc.nat(65535),
    bigWord: fc.nat(0xffffffff),
    signedBigWord: fc.integer(),
    bigLong: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    name: text,
    raw: fc.uint8Array({ maxLength: 40 }),
    mac: fc.uint8Array({ minLength: 6, maxLength: 6 }).map((raw) => formatMac(raw)),
    four: fc.ipV4(),
    six: address6,
    any: fc.oneof(fc.ipV4(), address6),
    yes: fc.constant(true),
    on: fc.boolean(),
    wide: fc.boolean(),
    point: fc.record({ x: fc.nat(0xffffffff), y: fc.nat(65535), z: fc.integer() }),
    nest: fc.record({ inner: fc.nat(9) }),
    list: fc.array(fc.nat(99), { maxLength: 5 }),
    indexed: fc.array(fc.record({ value: fc.nat(99) }), { maxLength: 5 }),
    names: fc.array(text, { minLength: 1, maxLength: 4 }),
    count: fc.maxSafeNat(),
    bigCount: fc.maxSafeNat(),
  },
  { requiredKeys: [] },
);
const kinds = fc.oneof(
  fc.record({ kind: fc.constant("bridge"), options: fc.record({ bridge: fc.record({ age: fc.nat(99) }) }) }),
  fc.record({
    kind: fc.constant("netem"),
    options: fc.record({
      netem: fc.record({
        header: fc.record({ x: fc.nat(9), y: fc.nat(9), z: fc.nat(9) }),
        attributes: fc.record({ seed: fc.bigInt({ min: 0n, max: 9n }) }),
      }),
    }),
  }),
  fc.record({ kind: fc.constant("of tomorrow"), options: fc.record({ other: fc.uint8Array({ maxLength: 9 }) }) }),
  fc.constant({}),
);
const unknownAttributes = fc.array(
  fc.record({
    type: fc.integer({ min: 100, max: 0x3fff }),
    nested: fc.boolean(),
    bytes: fc.uint8Array({ maxLength: 9 }),
  }),
  { minLength: 1, maxLength: 3 },
);

test("what is written is read, byte for byte, unknown attributes too", (t) => {
  fc.assert(
    fc.property(arbitrary, kinds, fc.option(unknownAttributes), (given, kind, unknown) => {
      const value = { ...given, ...kind, ...(unknown === null ? {} : { unknown }) };
      const encoded = encode(rich, value);
      const read = decode(rich, encoded);
      t.deepEqual({ ...read }, { ...value });
      t.is(hex(encode(rich, read)), hex(encoded));
    }),
    { numRuns: 300 },
  );
});

test("each value has its bytes", (t) => {
  const host = (number: number, size: number) => {
    const view = new DataView(new ArrayBuffer(size));
    if (size === 2) view.setUint16(0, number, littleEndian);
    else view.setUint32(0, number, littleEndian);
    return hex(new Uint8Array(view.buffer));
  };
  const attribute = (type: number, length: number) => host(4 + length, 2) + host(type, 2);
  t.is(hex(encode(rich, { port: 80 })), `${attribute(9, 2)}00500000`);
  t.is(hex(encode(rich, { name: "lo" })), `${attribute(13, 3)}6c6f0000`);
  t.is(hex(encode(rich, { kind: "veth" })), `${attribute(14, 4)}76657468`);
  t.is(hex(encode(rich, { six: "fd00::1" })), `${attribute(18, 16)}fd000000000000000000000000000001`);
  t.is(hex(encode(rich, { yes: true })), attribute(20, 0));
  t.is(hex(encode(rich, { yes: false })), "");
  t.is(hex(encode(rich, { nest: { inner: 1 } })), `${attribute(0x8000 | 24, 8)}${attribute(1, 4)}${host(1, 4)}`);
  t.is(hex(encode(unflagged(attributes({ x: [1, u8] })), { x: 1 })), `${attribute(1, 1)}01000000`);
  t.is(hex(encode(rich, { names: ["a", "b"] })), `${attribute(27, 2)}61000000${attribute(27, 2)}62000000`);
  t.is(hex(encode(rich, { bigLong: 1n })), `${attribute(12, 8)}0000000000000001`);
});

test("strings are read with a NUL or without one", (t) => {
  t.is(decode(cstr, Buffer.from("eth0")), "eth0");
  t.is(decode(str, Buffer.from("eth0\0\0")), "eth0");
  t.is(decode(cstr, Buffer.from("größe\0xx")), "größe");
  t.is(decode(cstr, Buffer.from("")), "");
});

test("IPv6 addresses have the one form of RFC 5952", (t) => {
  const forms = {
    "2001:0DB8::0001": "2001:db8::1",
    "0:0:0:0:0:0:0:0": "::",
    "::1": "::1",
    "1::": "1::",
    "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
    "2001:0:0:1:0:0:0:1": "2001:0:0:1::1",
    "2001:db8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
    "::ffff:192.0.2.1": "::ffff:192.0.2.1",
    "64:ff9b::192.0.2.33": "64:ff9b::c000:221",
  };
  for (const [given, canonical] of Object.entries(forms)) t.is(formatIpv6(parseIp(given)), canonical);
  for (const wrong of [
    "1:2:3",
    "::1::",
    "12345::",
    "1.2.3",
    "1.2.3.256",
    "01.2.3.4",
    "::1.2.3",
    "g::",
    "",
    "1:2:3:4:5:6:7:8:9",
    "1::2:3:4:5:6:7:8",
  ]) {
    t.throws(() => parseIp(wrong), { instanceOf: RangeError }, wrong);
  }
  t.throws(() => parseMac("02:00:00:00:00:zz"), { instanceOf: RangeError });
});

test("values that do not fit are refused when they are written", (t) => {
  for (const value of [
    { byte: 256 },
    { byte: -1 },
    { short: 1.5 },
    { word: 2 ** 32 },
    { signedByte: 128 },
    { count: -1 },
  ]) {
    t.throws(() => encode(rich, value), { instanceOf: RangeError, message: /is no/ }, JSON.stringify(value));
  }
  t.throws(() => encode(rich, { long: 2n ** 64n }), { instanceOf: RangeError });
  t.throws(() => encode(rich, { raw: new Uint8Array(70_000) }), { instanceOf: RangeError, message: /65,535/ });
  t.throws(() => encode(rich, { four: "::1" }), { instanceOf: RangeError });
});

test("bytes that end too early, or lie about their length, are malformed", (t) => {
  const good = encode(rich, { word: 1, nest: { inner: 2 }, point: { x: 1, y: 2, z: 3 } });
  for (let length = 0; length < good.length; length++) {
    try {
      decode(rich, good.subarray(0, length));
    } catch (error) {
      t.true(error instanceof MalformedError);
    }
  }
  const lies = Uint8Array.from(good);
  lies[0] = 200;
  t.throws(() => decode(rich, lies), { instanceOf: MalformedError, message: /attribute of length 200/ });
  lies[0] = 3;
  t.throws(() => decode(rich, lies), { instanceOf: MalformedError });
  t.throws(() => decode(ip, Buffer.alloc(5)), { instanceOf: MalformedError });
});

test("a struct of a newer kernel is longer, that of an older one shorter", (t) => {
  const grown = struct(12, { a: [0, u32], b: [4, u32], c: [8, u32] }, 4);
  t.deepEqual(decode(grown, encode(u32, 7)), { a: 7, b: 0, c: 0 });
  t.deepEqual(decode(struct(4, { a: [0, u32] }), Buffer.alloc(16)), { a: 0 });
  t.throws(() => decode(struct(8, { a: [0, u32] }), Buffer.alloc(4)), { instanceOf: MalformedError });
});

test("an offset has a name, also in lists, in variants and behind structs", (t) => {
  const message = headed(point, rich);
  const value = {
    header: { x: 1, y: 2, z: 3 },
    attributes: {
      word: 1,
      kind: "netem",
      indexed: [{ value: 1 }, { value: 2 }],
      options: { netem: { header: point.zero, attributes: { seed: 1n } } },
    },
  };
  const encoded = encode(message, value);
  const names = new Set(Array.from(encoded, (_, offset) => pathAt(message, encoded, offset)));
  t.deepEqual(
    [...names].filter((name) => name !== undefined),
    [
      "x",
      "y",
      "z",
      "word",
      "kind",
      "indexed",
      "indexed.0",
      "indexed.0.value",
      "indexed.1",
      "indexed.1.value",
      "options",
      "options.netem.x",
      "options.netem.y",
      "options.netem",
      "options.netem.z",
      "options.netem.seed",
    ],
  );
  t.is(pathAt(message, encoded, encoded.length + 4), undefined);
  t.is(pathAt(rich, encode(attributes({ x: [99, u8] }), { x: 1 }), 0), "attribute 99");
});

test("a variant goes by a sibling, or by what stands beside the nest that it is in", (t) => {
  // As statistics of a qdisc do: TCA_KIND decides about what is two nests further in.
  const app = variant("../../kind", { tbf: attributes({ tokens: [1, u32] }), red: attributes({ marked: [1, u32] }) });
  const message = headed(
    point,
    attributes({
      kind: [1, str],
      statistics: [7, attributes({ kind: [9, str], inner: [4, attributes({ app: [1, app] })] })],
    }),
  );
  const of = (kind: string, data: object) => ({
    header: point.zero,
    attributes: { kind, statistics: { kind: "not this one", inner: { app: data } } },
  });
  for (const value of [of("tbf", { tbf: { tokens: 7 } }), of("red", { red: { marked: 8 } })]) {
    const encoded = encode(message, value);
    t.deepEqual(decode(message, encoded), value);
    const names = Array.from(encoded, (_, offset) => pathAt(message, encoded, offset));
    t.is(
      names.at(-1),
      `statistics.inner.app.${"tbf" in value.attributes.statistics.inner.app ? "tbf.tokens" : "red.marked"}`,
    );
  }
  const foreign = encode(message, of("of tomorrow", { other: Uint8Array.of(1, 2, 3) }));
  t.deepEqual(decode(message, foreign).attributes.statistics?.inner?.app, { other: Uint8Array.of(1, 2, 3) });
});

test("values print on one line", (t) => {
  t.is(
    print({
      header: { index: 3 },
      attributes: { name: "eth0", list: [1, 2], raw: Uint8Array.of(1, 255), big: 5n, none: undefined },
    }),
    'header{index=3} attributes{name="eth0" list=[1 2] raw=0x01ff big=5}',
  );
});
