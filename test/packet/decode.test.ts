import { strictEqual } from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import fc from "fast-check";
import { addressToBytes, parseAddress } from "../../src/model/address.js";
import { AddressBook, ipv6Text, macNumber, macText } from "../../src/packet/address.js";
import { Columns, Kind, Mark } from "../../src/packet/columns.js";
import { Decoder } from "../../src/packet/decode.js";
import { sameInvariants } from "../../src/packet/fingerprint.js";
import { LinkType } from "../../src/packet/protocol.js";
import { describe, type Field } from "../../src/packet/describe.js";
import { RowPool, RUN } from "../../src/packet/row-pool.js";
import { pcapHeader, pcapRecord } from "../../src/packet/pcap.js";
import { arp, bytes, echo, flag, icmpError, ip, ipFrame, mac, tcp, udp, udpDatagram } from "../trace/frames.js";
import { skip, testWith } from "../tools.js";

const fuzzRuns = process.env.YAPC_NET_SOAK ? 500_000 : 20_000;

interface Decoded {
  readonly columns: Columns;
  readonly book: AddressBook;
  /** One row a frame. */
  readonly rows: readonly number[];
}

function decoded(frames: readonly Uint8Array[], linkType: number = LinkType.ethernet): Decoded {
  const columns = new Columns();
  const book = new AddressBook();
  const decoder = new Decoder(columns, book);
  const rows = frames.map((frame) => {
    // Not at the beginning of its buffer, as in a capture.
    const buffer = bytes(new Uint8Array(16).fill(0xee), frame, 0xee);
    const row = columns.take();
    decoder.decode(row, linkType, buffer, 16, frame.length, frame.length);
    return row;
  });
  return { columns, book, rows };
}

const ends = { source: "203.0.113.2", sourcePort: 40000, destination: "203.0.113.1", destinationPort: 8080 };
const inside = { source: "203.0.113.2", sourcePort: 40000, destination: "10.0.0.10", destinationPort: 80 };

test("what forwarding and NAT change is left out, everything else counts", (t) => {
  const segment = { id: 7, sequence: 5, acknowledgement: 9, flags: flag.ack, payload: 20, stamps: [1, 2] as const };
  const { columns, rows } = decoded([
    tcp({ ...ends, ...segment }),
    tcp({ ...inside, ...segment, ttl: 63, vlan: 9, sourceMac: "02:00:00:00:00:99" }),
    tcp({ ...ends, ...segment, id: 8 }),
    tcp({ ...ends, ...segment, sequence: 6 }),
    tcp({ ...ends, ...segment, stamps: [1, 3] }),
    tcp({ ...ends, ...segment, window: 501 }),
    tcp({ ...ends, ...segment, payload: 21 }),
    tcp({ ...ends, ...segment, flags: flag.ack | flag.psh }),
  ]);
  t.deepEqual(
    rows.map((row) => sameInvariants(columns, rows[0]!, row)),
    [true, true, false, false, false, false, false, false],
  );
});

test("a clamped MSS does not make another SYN of it", (t) => {
  const { columns, rows } = decoded([
    tcp({ ...ends, flags: flag.syn, mss: 1460, stamps: [1, 0] }),
    tcp({ ...ends, flags: flag.syn, mss: 1360, stamps: [1, 0] }),
  ]);
  t.true(sameInvariants(columns, rows[0]!, rows[1]!));
  t.deepEqual([columns.mss[rows[0]!], columns.mss[rows[1]!]], [1460, 1360]);
});

test("columns of each protocol", (t) => {
  const quoted = ip({ ...ends, id: 77 }, 17, udpDatagram(ends, new Uint8Array(4)));
  const {
    columns: c,
    book,
    rows,
  } = decoded([
    udp({ ...ends, payload: new Uint8Array(4) }),
    echo({ source: "fd00::1", destination: "fd00::2", identifier: 3, sequence: 4 }),
    icmpError({ source: "198.51.100.1", destination: "203.0.113.2" }, 3, 4, quoted, 1400),
    arp(1, { mac: "02:00:00:00:00:01", address: "10.0.0.1" }, { address: "10.0.0.2" }),
    ipFrame({ ...ends, id: 5, fragmentOffset: 1480 }, 17, new Uint8Array(30)),
    udp({ source: "fd00::1", destination: "fd00::2", id: 99, more: true, sourcePort: 1, destinationPort: 2 }),
    ipFrame(ends, 47, new Uint8Array(12)),
    bytes(mac("01:80:c2:00:00:0e"), mac("02:00:00:00:00:01"), 0x88, 0xcc, new Uint8Array(20)),
  ]);
  const [datagram, ping, error, question, fragment, first, gre, lldp] = rows as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  t.deepEqual([c.kind[datagram], c.sourcePort[datagram], c.payload[datagram]], [Kind.udp, 40000, 4]);
  t.deepEqual([c.kind[ping], c.sourcePort[ping], c.sequence[ping]], [Kind.echo, 3, 0x80000004]);
  t.is(book.text(6, c.source[ping]!), "fd00::1");
  t.deepEqual(
    [c.kind[error], c.sourcePort[error], c.destinationPort[error], c.innerIdentification[error], c.window[error]],
    [Kind.icmpError, 40000, 8080, 77, 1400],
  );
  t.deepEqual([c.kind[question], c.flags[question], book.text(4, c.destination[question]!)], [Kind.arp, 1, "10.0.0.2"]);
  t.is(c.marks[question]! & Mark.group, Mark.group);
  t.deepEqual([c.kind[fragment], c.fragmentOffset[fragment], c.payload[fragment]], [Kind.fragment, 1480, 30]);
  t.deepEqual(
    [c.kind[first], c.identification[first], c.marks[first]! & Mark.firstFragment],
    [Kind.udp, 99, Mark.firstFragment],
  );
  t.deepEqual([c.kind[gre], c.protocol[gre]], [Kind.ip, 47]);
  t.deepEqual([c.kind[lldp], c.window[lldp]], [Kind.frame, 0x88cc]);
});

test("SLL2 and raw IP carry the same packet as Ethernet", (t) => {
  const packet = ip({ ...ends, id: 7 }, 17, udpDatagram(ends, new Uint8Array(9)));
  const cooked = bytes(0x08, 0, 0, 0, 0, 0, 0, 42, 0, 1, 4, 6, mac("02:00:00:00:00:01"), 0, 0, packet);
  const columns = new Columns();
  const decoder = new Decoder(columns, new AddressBook());
  const row = (linkType: number, frame: Uint8Array): [number, number] => {
    const number = columns.take();
    return [number, decoder.decode(number, linkType, frame, 0, frame.length, frame.length)];
  };
  const [ethernet] = row(LinkType.ethernet, ipFrame({ ...ends, id: 7 }, 17, udpDatagram(ends, new Uint8Array(9))));
  const [any, index] = row(LinkType.linuxCooked2, cooked);
  const [raw] = row(LinkType.raw, packet);
  t.true(sameInvariants(columns, ethernet, any));
  t.true(sameInvariants(columns, ethernet, raw));
  t.is(index, 42);
  t.is(columns.marks[any]! & Mark.outgoing, Mark.outgoing);
  t.is(columns.length[any], columns.length[ethernet]);
});

/** Link layers of captures that others made, each with the same datagram inside: as tcpdump(1) writes and reads them. */
const foreign: readonly { name: string; linkType: number; family: 4 | 6; header: Uint8Array }[] = [
  {
    name: "Linux cooked v1, sent",
    linkType: LinkType.linuxCooked,
    family: 4,
    header: bytes(0, 4, 0, 1, 0, 6, mac("02:00:00:00:00:01"), 0, 0, 8, 0),
  },
  {
    name: "Linux cooked v1, multicast, with a VLAN tag",
    linkType: LinkType.linuxCooked,
    family: 6,
    header: bytes(0, 2, 0, 1, 0, 6, mac("02:00:00:00:00:01"), 0, 0, 0x81, 0, 0, 7, 0x86, 0xdd),
  },
  { name: "BSD loopback, little-endian", linkType: LinkType.null, family: 4, header: bytes(2, 0, 0, 0) },
  { name: "BSD loopback, big-endian, macOS", linkType: LinkType.null, family: 6, header: bytes(0, 0, 0, 30) },
  { name: "BSD loopback, little-endian, FreeBSD", linkType: LinkType.null, family: 6, header: bytes(28, 0, 0, 0) },
  { name: "OpenBSD loopback", linkType: LinkType.loop, family: 6, header: bytes(0, 0, 0, 24) },
  { name: "IPv4 alone", linkType: LinkType.ipv4, family: 4, header: bytes() },
  { name: "IPv6 alone", linkType: LinkType.ipv6, family: 6, header: bytes() },
];
const endsOf = { 4: ends, 6: { ...ends, source: "fd00::1", destination: "fd00::2" } } as const;

test("link layers of other captures carry the same packet as Ethernet, and are described", (t) => {
  for (const { name, linkType, family, header } of foreign) {
    const packet = ip({ ...endsOf[family], id: 7 }, 17, udpDatagram(ends, new Uint8Array(9)));
    const frame = ipFrame({ ...endsOf[family], id: 7 }, 17, udpDatagram(ends, new Uint8Array(9)));
    const columns = new Columns();
    const decoder = new Decoder(columns, new AddressBook());
    const [ethernet, other] = [columns.take(), columns.take()];
    decoder.decode(ethernet, LinkType.ethernet, frame, 0, frame.length, frame.length);
    const record = bytes(header, packet);
    t.is(decoder.decode(other, linkType, record, 0, record.length, record.length), 0, name);
    t.true(sameInvariants(columns, ethernet, other), name);
    const labels = describe(record, linkType).map(({ label }) => label);
    t.deepEqual(labels.slice(-3), [family === 4 ? "IPv4" : "IPv6", "UDP", "Payload"], name);
    const mark = columns.marks[other]! & (Mark.outgoing | Mark.group);
    t.is(mark, name.endsWith("sent") ? Mark.outgoing : name.includes("multicast") ? Mark.group : 0, name);
    if (name.endsWith("sent")) t.is(columns.length[other], columns.length[ethernet]);
  }
});

testWith("tcpdump")("tcpdump reads the same out of those link layers", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "yapc-net-links-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const { name, linkType, family, header } of foreign) {
    const { source, destination } = endsOf[family];
    const packet = ip({ ...endsOf[family], id: 7 }, 17, udpDatagram(ends, new Uint8Array(9)));
    const path = join(folder, "one.pcap");
    writeFileSync(path, Buffer.concat([pcapHeader(linkType), pcapRecord(1n, bytes(header, packet))]));
    const { stdout } = spawnSync("tcpdump", ["-nn", "-t", "-r", path], { encoding: "utf8" });
    t.true(stdout.includes(`${source}.40000 > ${destination}.8080: UDP, length 9`), `${name}: ${stdout}`);
  }
});

testWith("tcpdump")("VXLAN: the outer packet is the packet, the one inside is shown too", (t) => {
  const inner = tcp({ ...inside, flags: flag.syn });
  const outer = { source: "192.0.2.1", destination: "192.0.2.2", sourcePort: 50_000, destinationPort: 4789 };
  const frame = ipFrame({ ...outer, id: 9 }, 17, udpDatagram(outer, bytes(8, 0, 0, 0, 0, 0, 42, 0, inner)));
  const { columns: c, rows, book } = decoded([frame]);
  t.deepEqual([c.kind[rows[0]!], book.text(4, c.source[rows[0]!]!)], [Kind.udp, "192.0.2.1"]);
  t.deepEqual(
    describe(frame, LinkType.ethernet).map(({ label, value }) => `${label}: ${value}`),
    [
      "Ethernet: 02:00:00:00:00:01 > 02:00:00:00:00:02",
      "IPv4: 192.0.2.1 > 192.0.2.2",
      "UDP: 50000 > 4789",
      "VXLAN: network 42",
      "Ethernet: 02:00:00:00:00:01 > 02:00:00:00:00:02",
      "IPv4: 203.0.113.2 > 10.0.0.10",
      "TCP: 40000 > 80 SYN",
    ],
  );
  const folder = mkdtempSync(join(tmpdir(), "yapc-net-vxlan-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "one.pcap"), Buffer.concat([pcapHeader(1), pcapRecord(1n, frame)]));
  const { stdout } = spawnSync("tcpdump", ["-nn", "-t", "-r", join(folder, "one.pcap")], { encoding: "utf8" });
  t.regex(stdout, /VXLAN, flags \[I\] \(0x08\), vni 42\n.*203\.0\.113\.2\.40000 > 10\.0\.0\.10\.80: Flags \[S\]/);
  // To that port, and something else.
  const plain = ipFrame(outer, 17, udpDatagram(outer, new Uint8Array(40)));
  t.deepEqual(
    describe(plain, LinkType.ethernet).map(({ label }) => label),
    ["Ethernet", "IPv4", "UDP", "Payload"],
  );
});

/** Every field lies in the record, and inside of its layer. */
function checkRanges(fields: readonly Field[], from: number, to: number): boolean {
  return fields.every(
    (field) =>
      field.offset >= from &&
      field.length >= 0 &&
      field.offset + field.length <= to &&
      checkRanges(field.fields, 0, to) &&
      field.label !== "",
  );
}

const seeds: readonly Uint8Array[] = [
  tcp({ ...ends, flags: flag.syn, mss: 1460, stamps: [1, 2] }),
  tcp({ source: "fd00::1", destination: "fd00::2", payload: 30, vlan: 7 }),
  udp({ source: "fd00::1", destination: "fd00::2", id: 99, more: true, payload: new Uint8Array(20) }),
  echo({ source: "10.0.0.1", destination: "10.0.0.2" }),
  icmpError({ source: "10.0.0.9", destination: "10.0.0.1" }, 11, 0, ip(ends, 6, new Uint8Array(20))),
  icmpError(
    { source: "fd00::9", destination: "fd00::1" },
    2,
    0,
    ip({ source: "fd00::1", destination: "fd00::2" }, 17, new Uint8Array(20)),
    1280,
  ),
  arp(2, { mac: "02:00:00:00:00:01", address: "10.0.0.1" }, { mac: "02:00:00:00:00:02", address: "10.0.0.2" }),
  vxlan(vxlan(tcp(ends))),
  ...foreign.map(({ header, family }) => bytes(header, ip(endsOf[family], 17, udpDatagram(ends, new Uint8Array(9))))),
];

/** A frame in a datagram in a frame. */
function vxlan(frame: Uint8Array): Uint8Array {
  const outer = { ...ends, destinationPort: 4789 };
  return ipFrame(outer, 17, udpDatagram(outer, bytes(8, 0, 0, 0, 0, 0, 42, 0, frame)));
}

test("fuzz: damaged frames are decoded and described without a fault, inside of their bytes", (t) => {
  const columns = new Columns();
  const book = new AddressBook();
  const decoder = new Decoder(columns, book);
  const edits = fc.array(fc.tuple(fc.nat(200), fc.integer({ min: 0, max: 255 })), { maxLength: 5 });
  const linkTypes = fc.constantFrom<number>(...Object.values(LinkType), 9999);
  const frame = fc.oneof(
    fc.tuple(fc.constantFrom(...seeds), edits, fc.nat(100)).map(([seed, changes, cut]) => {
      const damaged = Uint8Array.from(seed);
      for (const [at, value] of changes) damaged[at % damaged.length] = value;
      return damaged.subarray(0, damaged.length - (cut % (damaged.length + 1)));
    }),
    fc.uint8Array({ maxLength: 120 }),
  );
  fc.assert(
    fc.property(frame, linkTypes, fc.nat(2000), (one, linkType, extra) => {
      const row = columns.take();
      decoder.decode(row, linkType, one, 0, one.length, one.length + extra);
      const again = columns.take();
      decoder.decode(again, linkType, bytes(one, one), 0, one.length, one.length + extra);
      // What lies behind a record never changes what is read of it.
      const same = sameInvariants(columns, row, again);
      const payload = columns.payload[row]!;
      columns.release(again);
      columns.release(row);
      return same && payload <= 65_535 + 2100 && checkRanges(describe(one, linkType), 0, one.length);
    }),
    { numRuns: fuzzRuns, seed: 20261123 },
  );
  t.is(columns.used, 0);
});

test("rows: none is given out twice, whatever the order in which they come back", (t) => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat()), { maxLength: 2000 });
  fc.assert(
    fc.property(steps, (all) => {
      const pool = new RowPool(RUN * 2);
      const held: number[] = [];
      for (const [take, which] of all) {
        if (take || held.length === 0) {
          let row = pool.take();
          if (row < 0) {
            pool.grow(pool.capacity * 2);
            row = pool.take();
          }
          strictEqual(row >= 0 && row < pool.capacity && !held.includes(row), true);
          held.push(row);
        } else pool.release(held.splice(which % held.length, 1)[0]!);
        strictEqual(pool.used, held.length);
      }
    }),
    { numRuns: 500, seed: 20261130 },
  );
  t.pass();
});

test("rows: a few that stay do not keep the others from being used again", (t) => {
  const pool = new RowPool(RUN * 4);
  const take = (count: number): number[] =>
    Array.from({ length: count }, () => {
      const row = pool.take();
      if (row >= 0) return row;
      pool.grow(pool.capacity * 2);
      return pool.take();
    });
  const neighbours = (rows: readonly number[]): number => rows.filter((row, at) => row === rows[at - 1]! + 1).length;
  const first = take(RUN * 128);
  t.is(neighbours(first), first.length - 1);
  // One in eight stays, round after round: never more rows than twice those that are in use at once, and a run.
  let staying: number[] = [];
  for (let round = 0; round < 40; round++) {
    const rows = round === 0 ? first : take(RUN * 128);
    for (const row of rows.filter((_, at) => at % 8 !== 0)) pool.release(row);
    for (const row of staying) pool.release(row);
    staying = rows.filter((_, at) => at % 8 === 0);
  }
  t.true(pool.capacity <= RUN * 512, `${pool.capacity} rows for ${RUN * 144} at once`);
  for (const row of staying) pool.release(row);
  t.is(pool.used, 0);
  // All are back: they come as neighbours again.
  t.is(neighbours(take(RUN * 4)) >= RUN * 4 - 8, true);
});

test("the field tree says what tshark says", (t) => {
  const frame = tcp({ ...ends, id: 4660, flags: flag.syn, sequence: 4000000000, mss: 1460, stamps: [11, 0], ttl: 61 });
  const find = (label: string): string => {
    const all = describe(frame, LinkType.ethernet).flatMap((layer) => [
      layer,
      ...layer.fields,
      ...layer.fields.flatMap((field) => field.fields),
    ]);
    return all.find((field) => field.label === label)?.value ?? "";
  };
  const ours = [
    find("Time to live"),
    find("Identification").split(" ")[0],
    find("Sequence number"),
    find("Maximum segment size"),
    find("Window"),
  ];
  const names = ["ip.ttl", "ip.id", "tcp.seq_raw", "tcp.options.mss_val", "tcp.window_size_value"];
  const folder = mkdtempSync(join(tmpdir(), "yapc-net-describe-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "frame.pcap");
  writeFileSync(path, Buffer.concat([pcapHeader(1), pcapRecord(1n, frame)]));
  const run = spawnSync("tshark", ["-n", "-r", path, "-T", "fields", ...names.flatMap((name) => ["-e", name])], {
    encoding: "utf8",
  });
  if (run.error) {
    skip(t, "needs tshark");
    return;
  }
  t.deepEqual(
    ours,
    run.stdout
      .trim()
      .split("\t")
      .map((value) => String(Number(value))),
  );
});

test("layers of an ICMP error: the packet inside is a layer too", (t) => {
  t.deepEqual(
    describe(seeds[4]!, LinkType.ethernet).map((layer) => `${layer.label}: ${layer.value}`),
    [
      "Ethernet: 02:00:00:00:00:01 > 02:00:00:00:00:02",
      "IPv4: 10.0.0.9 > 10.0.0.1",
      "ICMP: time exceeded",
      "IPv4: 203.0.113.2 > 203.0.113.1",
      "TCP: cut off",
    ],
  );
});

test("addresses have numbers and texts", (t) => {
  const book = new AddressBook();
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (address) => {
      const view = new DataView(address.buffer, address.byteOffset);
      const number = book.number(view, 0);
      strictEqual(book.number(view, 0), number);
      strictEqual(book.numberOf(6, book.value(6, number)), number);
    }),
  );
  for (const text of ["2001:db8::1:0:0:1", "::", "1:0:2:3:4:5:6:7"]) {
    const address = parseAddress(text)!;
    t.is(book.text(6, book.numberOf(6, address.value)), text);
    t.is(ipv6Text(Uint8Array.of(0, ...addressToBytes(address)), 1), text);
  }
  t.is(macText(macNumber("02:00:0a:00:00:01")), "02:00:0a:00:00:01");
});
