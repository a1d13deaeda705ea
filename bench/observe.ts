/**
 * A snapshot of N namespaces, each with a veth pair to the machine's bridge and an address, beside what iproute2 needs for
 * its addresses alone: `ip -all netns exec ip -j addr`. Ours and theirs in turn, the least of some rounds. Root.
 *
 *   node dist/bench/observe.js [namespaces...]
 */
import { spawnSync } from "node:child_process";
import { OpenMachine } from "../src/session/open-machine.js";

const inside = "YAPC_NET_BENCH_INSIDE";
const rounds = 3;

/** Everything happens in network and mount namespaces of its own, with an own /run. */
function enter(): never {
  const script = 'mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up && exec "$@"';
  const own = ["-nm", "--propagation", "private", "sh", "-c", script, "sh", process.execPath, ...process.argv.slice(1)];
  const { status } = spawnSync("unshare", own, { stdio: "inherit", env: { ...process.env, [inside]: "1" } });
  process.exit(status ?? 1);
}

function run(file: string, args: readonly string[], input?: string): string {
  const { status, stdout, stderr } = spawnSync(file, args, {
    encoding: "utf8",
    maxBuffer: 1 << 30,
    ...(input === undefined ? {} : { input }),
  });
  if (status !== 0) throw new Error(`${file} ${args.join(" ")}: ${stderr.slice(0, 500)}`);
  return stdout;
}

/** Adds namespaces to those that are there. A bridge takes no more than 1,023 ports: the second thousand has another. */
function grow(from: number, to: number): void {
  for (let n = from; n < to; n += 1) run("ip", ["netns", "add", `n${n}`]);
  const links: string[] = [];
  for (let n = from; n < to; n += 1) {
    if (n % 1000 === 0) links.push(`link add br${n / 1000} type bridge`, `link set br${n / 1000} up`);
    links.push(
      `link add v${n} type veth peer name eth0 netns n${n}`,
      `link set v${n} master br${Math.floor(n / 1000)} up`,
    );
  }
  run("ip", ["-batch", "-"], links.join("\n"));
  for (let n = from; n < to; n += 1)
    run(
      "ip",
      ["-n", `n${n}`, "-batch", "-"],
      `address add 10.${(n >> 8) & 255}.${n & 255}.2/24 dev eth0\nlink set eth0 up`,
    );
}

async function timed(act: () => unknown): Promise<number> {
  const from = process.hrtime.bigint();
  await act();
  return Number(process.hrtime.bigint() - from) / 1e6;
}

async function observe(expected: number): Promise<void> {
  await using machine = await OpenMachine.open({ all: true, onWarning: () => undefined });
  const { nodes } = await machine.snapshot();
  const addresses = nodes.flatMap(({ interfaces }) => interfaces.flatMap((one) => one.addresses));
  if (nodes.length < expected + 1 || addresses.length < expected) throw new Error(`only ${nodes.length} nodes`);
}

async function main(): Promise<void> {
  const sizes = process.argv.slice(2).map(Number);
  let made = 0;
  let first: { readonly size: number; readonly ours: number } | undefined;
  for (const size of sizes.length > 0 ? sizes : [100, 1000]) {
    grow(made, size);
    made = size;
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      ours.push(await timed(() => observe(size)));
      theirs.push(await timed(() => run("ip", ["-all", "netns", "exec", "ip", "-j", "addr"])));
    }
    const [mine, yours] = [Math.min(...ours), Math.min(...theirs)];
    const growth = first === undefined ? "" : `   ${(mine / first.ours).toFixed(1)} × the time of ${first.size}`;
    console.log(
      `${String(size).padStart(5)} namespaces   snapshot ${mine.toFixed(0).padStart(6)} ms   ` +
        `ip -all netns exec ip -j addr ${yours.toFixed(0).padStart(6)} ms   ${(yours / mine).toFixed(2)} ×${growth}`,
    );
    first ??= { size, ours: mine };
  }
}

if (process.getuid?.() !== 0) console.log("SKIP needs root");
else if (process.env[inside] !== "1") enter();
else await main();
