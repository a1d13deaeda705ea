/** The system call filter, run in a simulator of classic BPF against the policy that it was compiled from. */
import test from "ava";
import { capabilityMask, capabilitiesOf } from "../../src/container/capabilities.js";
import { defaultFilter } from "../../src/container/seccomp.js";
import { allowed, allowedWith } from "../../src/container/seccomp-policy.js";
import { architectures } from "../../src/container/system-calls.js";
import { Failure } from "../../src/model/failure.js";
import { runFilter as run } from "./bpf.js";

const ALLOW = 0x7fff0000;
const EPERM = 0x50001;
const ENOSYS = 0x50026;
const KILL = 0x80000000;
const audit = { x64: 0xc000003e, arm64: 0xc00000b7, i386: 0x40000003 };

const number = (architecture: "x64" | "arm64", name: string) => architectures.get(architecture)!.numbers.get(name)!;

for (const architecture of ["x64", "arm64"] as const) {
  test(`${architecture}: every call number does what the policy says, for no, some and all capabilities`, (t) => {
    for (const capabilities of [[], ["net_raw", "sys_chroot"], ["sys_admin"], [...allowedWith.keys()]]) {
      const filter = defaultFilter(architecture, capabilities);
      const names = new Set([...allowed, ...capabilities.flatMap((name) => allowedWith.get(name) ?? [])]);
      for (const [name, call] of architectures.get(architecture)!.numbers) {
        if (["clone", "clone3", "socket", "personality"].includes(name) && !names.has(name)) continue;
        t.is(
          run(filter, audit[architecture], call),
          names.has(name) ? ALLOW : EPERM,
          `${name} with ${capabilities.join()}`,
        );
      }
    }
  });

  test(`${architecture}: calls that depend on what they are asked for`, (t) => {
    const filter = defaultFilter(architecture, []);
    const ask = (name: string, ...args: bigint[]) => run(filter, audit[architecture], number(architecture, name), args);
    t.is(ask("clone", 0x1200011n), ALLOW); // what fork does
    for (const flag of [0x20000n, 0x2000000n, 0x4000000n, 0x8000000n, 0x10000000n, 0x20000000n, 0x40000000n]) {
      t.is(ask("clone", flag | 17n), EPERM);
    }
    t.is(ask("clone3"), ENOSYS);
    for (let family = 0n; family <= 50n; family++) {
      // DECnet, ECONET, ATMSVC, IRDA, WANPIPE, IUCV, CAIF, ALG, VSOCK, and what is yet to come
      const refused = [12n, 19n, 20n, 23n, 25n, 34n, 37n, 38n, 40n].includes(family) || family > 45n;
      t.is(ask("socket", family), refused ? EPERM : ALLOW, `family ${family}`);
    }
    t.is(ask("socket", (1n << 32n) | 38n), EPERM); // the kernel reads an int
    t.is(ask("socket", (1n << 32n) | 2n), ALLOW);
    for (const persona of [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn]) t.is(ask("personality", persona), ALLOW);
    t.is(ask("personality", 0x40000n), EPERM);
    for (const name of [
      "io_uring_setup",
      "keyctl",
      "userfaultfd",
      "bpf",
      "perf_event_open",
      "unshare",
      "setns",
      "mount",
    ]) {
      t.is(ask(name), EPERM);
    }
  });
}

test("calls of another architecture end the process, those of x32 and of the future do not exist", (t) => {
  const filter = defaultFilter("x64", []);
  t.is(run(filter, audit.i386, 11), KILL);
  t.is(run(filter, audit.arm64, 0), KILL);
  for (const call of [0x40000000, 0x40000001, 0xffffffff, 600, 100_000]) t.is(run(filter, audit.x64, call), ENOSYS);
  t.is(run(filter, audit.x64, 400), EPERM); // a number without a call
});

test("the numbers are those of the kernel's headers", (t) => {
  const expected = {
    read: [0, 63],
    execve: [59, 221],
    newfstatat: [262, 79],
    clone3: [435, 435],
    mseal: [462, 462],
    statmount: [457, 457],
    wait4: [61, 260],
  };
  for (const [name, numbers] of Object.entries(expected)) {
    t.deepEqual([number("x64", name), number("arm64", name)], numbers, name);
  }
  t.is(architectures.get("arm64")!.numbers.get("open"), undefined);
});

test("an architecture without a table is an error, not an open door", (t) => {
  t.throws(() => defaultFilter("mips", []), { instanceOf: Failure, code: "NO_FILTER" });
});

test("capabilities: a name that there is not, or not yet, is an error", (t) => {
  t.is(capabilityMask(["chown", "net_raw"], 40), 0x2001n);
  t.deepEqual(capabilitiesOf(0x2001n), ["chown", "net_raw"]);
  t.throws(() => capabilityMask(["cap_net_raw"], 40), { message: "there is no capability cap_net_raw" });
  t.throws(() => capabilityMask(["bpf"], 37), { message: "there is no capability bpf on this kernel" });
});
