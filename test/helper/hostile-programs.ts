/**
 * Programs that are well formed and mean harm: through the real encoder, with fields that no plan of ours would hold.
 */
import { encodeProgram } from "../../src/container/encode.js";
import type { ContainerProgram, ProgramOperation } from "../../src/container/program.js";
import { bareProgram } from "../container/bare-program.js";

type Below = (limit: number) => number;

const numbers = [0, 1, 2, 7, 0o777, 0o7777, 0o10000, 253, 256, 257, 4096, 65535, 0x7fffffff, 0x80000000, 0xffffffff];
const wide = [0n, 1n, 1n << 41n, 1n << 63n, (1n << 64n) - 1n];
const paths = [
  ...["", "/", "//", ".", "..", "/..", "/../..", "a", "/a", "/a/", "/a/b/c", "/link", "/link/x", "/loop", "/loop/x"],
  ...["/pipe", "/dev", "/dev/null", "/dev/pts", "/proc", "/proc/self", "/proc/self/fd/3", "/proc/self/exe"],
  ...["/proc/1/root", "/sys", "/etc/passwd", "/a\nb", "\x01\xff", "%s%n%s%n", "//a//../b/", "/a/./b"],
  ...["x".repeat(255), "x".repeat(256)],
];
/** Around PATH_MAX and beyond: seldom, for the time that they take. */
const longPaths = ["/".repeat(5000), "/a".repeat(3000), "y".repeat(4095), "z".repeat(4096), "q".repeat(70_000)];
const types = [
  "",
  "tmpfs",
  "proc",
  "sysfs",
  "devpts",
  "overlay",
  "mqueue",
  "cgroup2",
  "ext4",
  "nonsense",
  "t".repeat(300),
];
const options = ["", "mode=755", "size=0", "lowerdir=/,upperdir=/a,workdir=/a", "\\,:,=", ",".repeat(5000)];

const kinds: readonly ProgramOperation["kind"][] = [
  ...(["base", "mkdir", "write", "copy", "symlink", "mount", "bind", "makeDevice", "bindDevice"] as const),
  ...(["mask", "readOnly", "hostname", "pivot"] as const),
];

/** A program whose fields are drawn from what parsers and kernels trip over. */
export function hostileProgram(below: Below): Uint8Array {
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const some = <T>(make: () => T, most: number): T[] => Array.from({ length: below(most + 1) }, make);
  const path = (): string => (below(300) === 0 ? pick(longPaths) : pick(paths));
  const operation = (): ProgramOperation =>
    // Every field that some kind has: the encoder takes those of this one.
    ({
      kind: pick(kinds),
      target: path(),
      inside: below(3) > 0,
      optional: below(3) > 0,
      mode: below(4) === 0 ? pick(numbers) : 0o755,
      flags: below(2) === 0 ? pick(numbers) : 1 << below(32),
      source: path(),
      like: path(),
      type: pick(types),
      options: pick(options),
      text: path(),
      name: path(),
      content: path(),
      device: { major: pick(numbers) & 0xffffff, minor: pick(numbers) & 0xff },
    });
  const program: ContainerProgram = {
    command: below(20) === 0 ? [] : [path(), ...some(path, 3)],
    environment: some(() => [path(), path()] as const, 3),
    workingDirectory: path(),
    user: { uid: pick(numbers), gid: pick(numbers), groups: some(() => pick(numbers), below(10) === 0 ? 300 : 4) },
    capabilities: pick(wide),
    filter: Uint8Array.from(
      some(() => below(256), below(30) === 0 ? 4000 : 5).flatMap((byte) => Array<number>(8).fill(byte)),
    ),
    limits: some(() => ({ resource: pick(numbers), soft: pick(wide), hard: pick(wide) }), below(10) === 0 ? 20 : 3),
    cgroupCount: pick(numbers),
    countsOom: below(2) === 0,
    operations: some(operation, 8),
  };
  return encodeProgram(program);
}

/** A program each for every operation that has a target, with every path around PATH_MAX and beyond. */
export function longTargets(): Uint8Array[] {
  const rest = { inside: true, mode: 0o755, flags: 0, source: "/", type: "tmpfs", options: "", text: "", content: "" };
  return kinds
    .filter((kind) => !["base", "hostname", "pivot"].includes(kind))
    .flatMap((kind) => longPaths.map((target) => ({ ...rest, kind, target, device: { major: 1, minor: 3 } })))
    .map((operation) => encodeProgram({ ...bareProgram, command: ["x"], operations: [operation as ProgramOperation] }));
}
