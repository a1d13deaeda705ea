/**
 * What iptables-nft writes, read as nft(8) would say it. The bytes are those that iptables 1.8.9 gave the kernel for the
 * line beside them, as the kernel gives them back on x86-64 (little endian).
 */
import test from "ava";
import fc from "fast-check";
import type { NftStatement } from "../../src/model/nft.js";
import { decompileRule } from "../../src/kernel/nftables/index.js";
import { compatComment, readCompat } from "../../src/kernel/nftables/compat.js";
import { make } from "../../src/kernel/nftables/expressions.js";
import { littleEndian } from "../../src/kernel/codec/index.js";

/** `01 00*3 02`: hexadecimal bytes, `00*3` for three times 00. */
function bytes(text: string): Uint8Array {
  const parts = text.split(" ").map((part) => {
    const [digits = "", times = "1"] = part.split("*");
    return digits.repeat(Number(times));
  });
  return Uint8Array.from(Buffer.from(parts.join(""), "hex"));
}

type Line = readonly [iptables: string, name: string, revision: number, info: string, ...statements: NftStatement[]];

const match = (field: "fib daddr type" | "ct state" | "ct status" | "th sport" | "th dport") => {
  return (op: "==" | "!=", value: Extract<NftStatement, { kind: "match" }>["value"]): NftStatement => {
    return { kind: "match", field, op, value };
  };
};
const type = match("fib daddr type");
const state = match("ct state");
const status = match("ct status");

const matchLines: Line[] = [
  ["-m addrtype --dst-type LOCAL", "addrtype", 1, "00000400 00*4", type("==", "local")],
  ["-m addrtype ! --dst-type LOCAL,BROADCAST", "addrtype", 1, "00000c00 02000000", type("!=", ["local", "broadcast"])],
  [
    "-m conntrack --ctstate NEW,UNTRACKED",
    "conntrack",
    3,
    "00*146 01000000 0801 00*16",
    state("==", ["new", "untracked"]),
  ],
  ["-m conntrack ! --ctstate INVALID", "conntrack", 3, "00*146 01000100 0100 00*16", state("!=", "invalid")],
  [
    "-m state --state RELATED,ESTABLISHED",
    "conntrack",
    3,
    "00*146 01200000 0600 00*16",
    state("==", ["established", "related"]),
  ],
  ["-m conntrack --ctstate DNAT", "conntrack", 3, "00*146 01000000 8000 00*16", status("==", "dnat")],
  ["-m conntrack --ctstatus ASSURED", "conntrack", 3, "00*146 40000000 0000 0400 00*14", status("==", "assured")],
  [
    "-p tcp -m multiport --dports 80,443,8000:8010",
    "multiport",
    1,
    "0104 5000bb01401f4a1f 00*24 01 00*13",
    match("th dport")("==", [80, 443, { from: 8000, to: 8010 }]),
  ],
  [
    "-p tcp -m multiport ! --sports 80,443",
    "multiport",
    1,
    "0002 5000bb01 00*41 01",
    match("th sport")("!=", [80, 443]),
  ],
  // Older versions write the ports so; of 1.8.9 the native form is read by the rest of decompile.ts.
  ["-p tcp --dport 80", "tcp", 0, "0000ffff 50005000 00*4", match("th dport")("==", 80)],
  [
    "-p udp --sport 53 ! --dport 1000:2000",
    "udp",
    0,
    "35003500 e803d007 02 00",
    match("th sport")("==", 53),
    match("th dport")("!=", { from: 1000, to: 2000 }),
  ],
  ['-m comment --comment "web server"', "comment", 0, "77656220736572766572 00*246"],
];

const dnat = (to: { readonly address: string; readonly port?: number; readonly toPort?: number }): NftStatement => ({
  kind: "dnat",
  family: 4,
  ...to,
});

const targetLines: Line[] = [
  [
    "-j DNAT --to-destination 10.0.0.10:80",
    "DNAT",
    2,
    "03000000 0a00000a 00*12 0a00000a 00*12 00500050 0000 00*6",
    dnat({ address: "10.0.0.10", port: 80 }),
  ],
  [
    "-j DNAT --to-destination 10.0.0.10:80-90",
    "DNAT",
    2,
    "03000000 0a00000a 00*12 0a00000a 00*12 0050005a 0000 00*6",
    dnat({ address: "10.0.0.10", port: 80, toPort: 90 }),
  ],
  [
    "-j DNAT --to-destination 10.0.0.10 --random",
    "DNAT",
    2,
    "05000000 0a00000a 00*12 0a00000a 00*12 00*12",
    dnat({ address: "10.0.0.10" }),
  ],
  [
    "-j REDIRECT --to-ports 8080",
    "REDIRECT",
    0,
    "01000000 02000000 00*8 1f901f90 00*4",
    { kind: "redirect", port: 8080 },
  ],
  ["-j REDIRECT", "REDIRECT", 0, "01000000 00*20", { kind: "redirect" }],
  [
    "-j SNAT --to-source 203.0.113.1",
    "SNAT",
    0,
    "01000000 01000000 cb007101 cb007101 00*8",
    { kind: "snat", family: 4, address: "203.0.113.1" },
  ],
  [
    "-p tcp -j SNAT --to-source 203.0.113.1:1000-2000",
    "SNAT",
    0,
    "01000000 03000000 cb007101 cb007101 03e807d0 00*4",
    { kind: "snat", family: 4, address: "203.0.113.1", port: 1000, toPort: 2000 },
  ],
  ["-j MASQUERADE", "MASQUERADE", 0, "01000000 00*20", { kind: "masquerade" }],
  ["-j MASQUERADE --random", "MASQUERADE", 0, "01000000 04000000 00*16", { kind: "masquerade", random: true }],
  ["-j REJECT", "REJECT", 0, "03000000 00*4", { kind: "reject", with: "icmp" }],
  ["-p tcp -j REJECT --reject-with tcp-reset", "REJECT", 0, "07000000 00*4", { kind: "reject", with: "tcp reset" }],
  [
    "-j REJECT --reject-with icmp-host-prohibited",
    "REJECT",
    0,
    "06000000 00*4",
    { kind: "reject", with: "icmp", code: 10 },
  ],
  ['-j LOG --log-prefix "seen: "', "LOG", 0, "0400 7365656e3a20 00*24", { kind: "log", prefix: "seen: " }],
];

const targets6: Line[] = [
  [
    "-j DNAT --to-destination [fd00::10]:80",
    "DNAT",
    2,
    "03000000 fd00 00*13 10 fd00 00*13 10 00500050 0000 00*6",
    { kind: "dnat", family: 6, address: "fd00::10", port: 80 },
  ],
  ["-j REDIRECT --to-ports 8080", "REDIRECT", 0, "02000000 00*32 1f901f90", { kind: "redirect", port: 8080 }],
  ["-j MASQUERADE", "MASQUERADE", 0, "00*40", { kind: "masquerade" }],
  ["-j REJECT", "REJECT", 0, "04000000 00*4", { kind: "reject", with: "icmpv6" }],
];

/** What nft(8) has no words for: shown by its name, never read as something else. */
const unknownLines: readonly (readonly [string, "match" | "target", string, number, string])[] = [
  ["-m addrtype --src-type LOCAL", "match", "addrtype", 1, "04000000 00*4"],
  ["-m conntrack --ctorigsrc 10.0.0.1", "match", "conntrack", 3, "0a000001 00*12 ff*16 00*114 04000000 00*18"],
  ["-p tcp --syn (as older versions write it)", "match", "tcp", 0, "0000ffff 0000ffff 00 17 02 00"],
  ["-j DNAT --to-destination 10.0.0.10-10.0.0.12", "target", "DNAT", 2, "01000000 0a00000a 00*12 0a00000c 00*12 00*12"],
  ["-j DNAT of a revision to come", "target", "DNAT", 9, "03000000 0a00000a 00*12 0a00000a 00*12 00500050 0000 00*6"],
  ["-m addrtype, cut short", "match", "addrtype", 1, "00000400"],
  ["-j NFQUEUE", "target", "NFQUEUE", 0, "00000000"],
];

const run = littleEndian ? test : test.skip;

run("matches of iptables read as nft says them", (t) => {
  for (const [line, name, revision, info, ...statements] of matchLines) {
    const read = decompileRule("ip", [make("match", { name, revision, info: bytes(info) })]);
    t.deepEqual(read, statements, line);
  }
});

run("targets of iptables read as nft says them", (t) => {
  for (const [family, lines] of [["ip", targetLines] as const, ["ip6", targets6] as const])
    for (const [line, name, revision, info, ...statements] of lines) {
      const read = decompileRule(family, [make("target", { name, revision, info: bytes(info) })]);
      t.deepEqual(read, statements, `${family} ${line}`);
    }
});

run("what has no words stays unknown, under its name", (t) => {
  for (const [line, kind, name, revision, info] of unknownLines) {
    const expression = make(kind, { name, revision, info: bytes(info) });
    t.deepEqual(
      decompileRule("ip", [expression]),
      [{ kind: "unknown", name: kind, text: `xt ${kind} "${name}"` }],
      line,
    );
  }
});

run("the comment of a rule is found", (t) => {
  const comment = make("match", { name: "comment", revision: 0, info: bytes("77656220736572766572 00*246") });
  t.is(compatComment([make("counter", { bytes: 0, packets: 0 }), comment]), "web server");
  t.is(compatComment([]), undefined);
});

test("bytes of any kind and length are read or left, never an error", (t) => {
  const known = ["addrtype 1", "conntrack 3", "multiport 1", "tcp 0", "udp 0", "comment 0"].map((each) => [
    "match",
    each,
  ]);
  const others = ["DNAT 0", "DNAT 1", "DNAT 2", "SNAT 0", "SNAT 2", "MASQUERADE 0", "REDIRECT 0", "REJECT 0", "LOG 0"];
  const all = [...known, ...others.map((each) => ["target", each])];
  fc.assert(
    fc.property(fc.constantFrom(...all), fc.uint8Array({ maxLength: 200 }), ([kind = "", text = ""], info) => {
      const [name = "", revision = ""] = text.split(" ");
      const expression = make(kind === "match" ? "match" : "target", { name, revision: Number(revision), info });
      const read = readCompat(expression, { nfproto: 2 });
      return read === undefined || read.every((statement) => statement.kind !== "unknown");
    }),
    { numRuns: 5000 },
  );
  t.pass();
});
