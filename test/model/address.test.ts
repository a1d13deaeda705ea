import { deepStrictEqual } from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import {
  addressAt,
  addressFromBytes,
  addressToBytes,
  broadcastOf,
  canonicalAddress,
  contains,
  formatAddress,
  formatMac,
  formatPrefix,
  hostRange,
  isLinkLocal,
  isLoopback,
  isMulticast,
  isUnicastMac,
  overlaps,
  parseAddress,
  parseInterfaceAddress,
  parseMac,
  parseNetwork,
  parsePrefix,
  sameAddress,
} from "../../src/model/address.js";

const anyAddress = fc.oneof(
  fc.bigInt(0n, (1n << 32n) - 1n).map((value) => ({ family: 4 as const, value })),
  fc.bigInt(0n, (1n << 128n) - 1n).map((value) => ({ family: 6 as const, value })),
  // Sparse ones, where the zero runs are.
  fc
    .array(fc.constantFrom(0n, 0n, 0n, 1n, 0xfe80n), { minLength: 8, maxLength: 8 })
    .map((groups) => ({ family: 6 as const, value: groups.reduce<bigint>((sum, group) => (sum << 16n) | group, 0n) })),
);

test("what is written is read back as the same address", (t) => {
  fc.assert(
    fc.property(anyAddress, (address) => {
      deepStrictEqual(parseAddress(formatAddress(address)), address);
      deepStrictEqual(addressFromBytes(addressToBytes(address)), address);
    }),
  );
  t.pass();
});

test("IPv6 is spelled as RFC 5952 says", (t) => {
  const spelled: [string, string][] = [
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["fe80::", "fe80::"],
    ["::ffff:10.0.0.1", "::ffff:10.0.0.1"],
    ["64:ff9b::10.0.0.1", "64:ff9b::a00:1"],
  ];
  for (const [text, canonical] of spelled) t.is(canonicalAddress(text), canonical, text);
});

test("text that is no address is refused", (t) => {
  const wrong = ["", "10.0.0", "10.0.0.256", "010.0.0.1", "1.2.3.4.5", "10.0.0.1 ", ":", ":::", "1::2::3", "12345::"];
  wrong.push(
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "g::1",
    "fe80::1%eth0",
    "10.0.0.1::1",
    "1::10.0.0",
  );
  for (const text of wrong) t.is(parseAddress(text), undefined, text);
  t.is(addressFromBytes(new Uint8Array(5)), undefined);
});

test("a prefix has no host bits; an interface address has a length", (t) => {
  t.is(formatPrefix(parsePrefix("10.0.0.0/24")!), "10.0.0.0/24");
  t.is(formatPrefix(parsePrefix("10.0.0.1")!), "10.0.0.1/32");
  t.is(formatPrefix(parsePrefix("::/0")!), "::/0");
  for (const text of ["10.0.0.1/24", "10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10.0.0.0/024", "10.0.0.0/8/8"]) {
    t.is(parsePrefix(text), undefined, text);
  }
  t.is(parseInterfaceAddress("10.0.0.1/24")?.length, 24);
  t.is(parseInterfaceAddress("10.0.0.1"), undefined);
  t.is(formatPrefix(parseNetwork("10.0.0.1/24")!), "10.0.0.0/24");
  t.is(formatPrefix(parseNetwork("fd00::1")!), "fd00::1/128");
  t.is(parseNetwork("10.0.0.0/33"), undefined);
});

test("containment, overlap and host ranges", (t) => {
  const prefix = (text: string) => parsePrefix(text)!;
  t.true(contains(prefix("10.0.0.0/8"), prefix("10.1.0.0/16")));
  t.false(contains(prefix("10.1.0.0/16"), prefix("10.0.0.0/8")));
  t.false(contains(prefix("0.0.0.0/0"), prefix("::/0")));
  t.true(contains(prefix("fd00:10::/64"), parseAddress("fd00:10::2")!));
  t.true(contains(prefix("10.0.0.0/24"), parseAddress("10.0.0.255")!));
  t.false(contains(prefix("10.0.0.0/24"), parseAddress("10.0.1.0")!));
  t.true(contains(prefix("::/0"), parseAddress("fd00::1")!));
  t.true(sameAddress(parseAddress("fd00:0::1")!, parseAddress("fd00::1")!));
  t.false(sameAddress(parseAddress("::1")!, parseAddress("0.0.0.1")!));
  t.true(overlaps(prefix("10.1.0.0/16"), prefix("10.0.0.0/8")));
  t.false(overlaps(prefix("10.1.0.0/16"), prefix("10.2.0.0/16")));
  const range = (text: string) => {
    const { first, last } = hostRange(prefix(text));
    const family = prefix(text).family;
    return [formatAddress({ family, value: first }), formatAddress({ family, value: last })];
  };
  t.deepEqual(range("10.0.0.0/24"), ["10.0.0.1", "10.0.0.254"]);
  t.deepEqual(range("10.0.0.0/31"), ["10.0.0.0", "10.0.0.1"]);
  t.deepEqual(range("10.0.0.7/32"), ["10.0.0.7", "10.0.0.7"]);
  t.deepEqual(range("fd00::/126"), ["fd00::1", "fd00::3"]);
  t.is(formatAddress(broadcastOf(prefix("10.0.0.0/24"))!), "10.0.0.255");
  t.is(broadcastOf(prefix("10.0.0.0/31")), undefined);
  t.is(addressAt(prefix("10.0.0.0/30"), 4n), undefined);
  t.is(formatAddress(addressAt(prefix("10.0.0.0/30"), 3n)!), "10.0.0.3");
});

test("kinds of addresses", (t) => {
  const address = (text: string) => parseAddress(text)!;
  t.true(isLinkLocal(address("fe80::1")) && isLinkLocal(address("febf::1")) && !isLinkLocal(address("fec0::1")));
  t.true(isLinkLocal(address("169.254.1.1")) && !isLinkLocal(address("169.253.1.1")));
  t.true(isMulticast(address("ff02::1")) && isMulticast(address("239.0.0.1")) && !isMulticast(address("240.0.0.1")));
  t.true(isLoopback(address("127.9.9.9")) && isLoopback(address("::1")) && !isLoopback(address("::2")));
});

test("link-layer addresses", (t) => {
  t.is(formatMac(parseMac("02:00:5E:10:00:01")!), "02:00:5e:10:00:01");
  for (const text of ["02:00:5e:10:00", "02-00-5e-10-00-01", "2:0:5e:10:0:1", ""])
    t.is(parseMac(text), undefined, text);
  t.true(isUnicastMac(parseMac("02:00:00:00:00:01")!));
  t.false(isUnicastMac(parseMac("01:00:5e:00:00:01")!));
  t.false(isUnicastMac(parseMac("00:00:00:00:00:00")!));
});
