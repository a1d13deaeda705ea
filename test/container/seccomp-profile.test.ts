/** Profiles in Docker's form, compiled and run in a simulator of classic BPF. */
import test from "ava";
import fc from "fast-check";
import { profileFilter } from "../../src/container/seccomp-profile.js";
import { comparisons } from "../../src/container/seccomp-tests.js";
import { architectures } from "../../src/container/system-calls.js";
import { runFilter } from "./bpf.js";

const ALLOW = 0x7fff0000;
const errno = (number: number) => 0x50000 | number;
const x64 = 0xc000003e;
const number = (name: string) => architectures.get("x64")!.numbers.get(name)!;

function filterOf(profile: object, capabilities: readonly string[] = [], kernel = "6.1.0"): Uint8Array {
  return profileFilter({ name: "p.json", text: JSON.stringify(profile), kernel }, "x64", capabilities);
}

const ask = (filter: Uint8Array, name: string, ...args: bigint[]) => runFilter(filter, x64, number(name), args);

test("names, actions and errno; what it does not name falls to its default, what nobody knows does not exist", (t) => {
  const filter = filterOf({
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 13,
    architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
    syscalls: [
      { names: ["read", "write", "no_such_call"], action: "SCMP_ACT_ALLOW" },
      { names: ["mkdir"], action: "SCMP_ACT_ERRNO", errnoRet: 28 },
      { names: ["reboot"], action: "SCMP_ACT_KILL_PROCESS" },
      { name: "chmod", action: "SCMP_ACT_LOG" },
    ],
  });
  t.is(ask(filter, "read"), ALLOW);
  t.is(ask(filter, "mkdir"), errno(28));
  t.is(ask(filter, "reboot"), 0x80000000);
  t.is(ask(filter, "chmod"), 0x7ffc0000);
  t.is(ask(filter, "rmdir"), errno(13));
  t.is(runFilter(filter, x64, 5000), errno(38));
  t.is(runFilter(filter, 0x40000003, 3), 0x80000000, "another architecture");
  t.is(runFilter(filterOf({ defaultAction: "SCMP_ACT_ALLOW" }), x64, 5000), ALLOW);
});

test("what depends on capabilities, on the architecture and on the kernel", (t) => {
  const profile = {
    defaultAction: "SCMP_ACT_ERRNO",
    archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] }],
    syscalls: [
      { names: ["mount"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38, excludes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["arch_prctl"], action: "SCMP_ACT_ALLOW", includes: { arches: ["amd64", "x32"] } },
      { names: ["ptrace"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "4.8" } },
      { names: ["mseal"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "6.10" } },
    ],
  };
  t.is(ask(filterOf(profile), "mount"), errno(1));
  t.is(ask(filterOf(profile, ["sys_admin"]), "mount"), ALLOW);
  t.is(ask(filterOf(profile), "clone3"), errno(38));
  t.is(ask(filterOf(profile, ["sys_admin"]), "clone3"), errno(1));
  t.is(ask(filterOf(profile), "arch_prctl"), ALLOW);
  t.is(ask(filterOf(profile), "ptrace"), ALLOW);
  t.is(ask(filterOf(profile), "mseal"), errno(1));
  t.is(ask(filterOf(profile, [], "6.10.2-cloud"), "mseal"), ALLOW);
});

test("Docker's rule for clone, and several rules for one call", (t) => {
  const filter = filterOf({
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [
      {
        names: ["clone"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value: 2114060288, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      },
      { names: ["personality"], action: "SCMP_ACT_ALLOW", args: [{ index: 0, value: 0, op: "SCMP_CMP_EQ" }] },
      { names: ["personality"], action: "SCMP_ACT_ALLOW", args: [{ index: 0, value: 8, op: "SCMP_CMP_EQ" }] },
      {
        names: ["kill"],
        action: "SCMP_ACT_ALLOW",
        args: [
          { index: 0, value: 1, op: "SCMP_CMP_NE" },
          { index: 1, value: 9, op: "SCMP_CMP_LT" },
        ],
      },
    ],
  });
  t.is(ask(filter, "clone", 0x1200011n), ALLOW);
  t.is(ask(filter, "clone", 0x10000000n), errno(1));
  t.deepEqual(
    [0n, 8n, 9n].map((value) => ask(filter, "personality", value)),
    [ALLOW, ALLOW, errno(1)],
  );
  t.is(ask(filter, "kill", 2n, 8n), ALLOW);
  t.is(ask(filter, "kill", 1n, 8n), errno(1));
  t.is(ask(filter, "kill", 2n, 9n), errno(1));
});

test("every comparison of 64 bits is what it says", (t) => {
  const holds: Readonly<Record<string, (a: bigint, b: bigint, c: bigint) => boolean>> = {
    SCMP_CMP_EQ: (a, b) => a === b,
    SCMP_CMP_NE: (a, b) => a !== b,
    SCMP_CMP_LT: (a, b) => a < b,
    SCMP_CMP_LE: (a, b) => a <= b,
    SCMP_CMP_GE: (a, b) => a >= b,
    SCMP_CMP_GT: (a, b) => a > b,
    SCMP_CMP_MASKED_EQ: (a, b, c) => (a & b) === c,
  };
  const half = fc.constantFrom(0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff);
  // A number of JSON is exact up to 2^53.
  const value = fc.tuple(fc.constantFrom(0, 1, 0x1fffff), half).map(([high, low]) => high * 2 ** 32 + low);
  const argument = fc.tuple(half, half).map(([high, low]) => (BigInt(high) << 32n) | BigInt(low));
  fc.assert(
    fc.property(
      fc.constantFrom(...comparisons),
      value,
      value,
      argument,
      fc.nat(5),
      (op, first, second, given, index) => {
        const filter = filterOf({
          defaultAction: "SCMP_ACT_ERRNO",
          syscalls: [
            { names: ["read"], action: "SCMP_ACT_ALLOW", args: [{ index, value: first, valueTwo: second, op }] },
          ],
        });
        const args = [0n, 0n, 0n, 0n, 0n, 0n].with(index, given);
        const expected = holds[op]!(given, BigInt(first), BigInt(second)) ? ALLOW : errno(1);
        return ask(filter, "read", ...args) === expected;
      },
    ),
    { numRuns: 2000, seed: Number(process.env.YAPC_NET_SEED ?? 1) },
  );
  t.pass();
});

for (const [what, profile] of [
  ["no JSON", "{"],
  ["a list", "[]"],
  ["no default", "{}"],
  ["an action that needs a listener", '{"defaultAction":"SCMP_ACT_NOTIFY"}'],
  ["flags", '{"defaultAction":"SCMP_ACT_ALLOW","flags":["SECCOMP_FILTER_FLAG_LOG"]}'],
  ["a key that is not known", '{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x"}'],
  ["another architecture", '{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_PPC64LE"]}'],
  ["a call without a name", '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ALLOW"}]}'],
  [
    "an argument that there is not",
    '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_ERRNO","args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}',
  ],
] as const) {
  test(`a profile with ${what} is an error, not a filter that does something else`, (t) => {
    t.throws(() => profileFilter({ name: "p.json", text: profile, kernel: "6.1" }, "x64", []), {
      code: "SECCOMP_PROFILE",
      message: /^cannot use the seccomp profile p\.json: /,
    });
  });
}
