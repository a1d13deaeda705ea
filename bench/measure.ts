/** What the benches of labs and of containers share: times, their least, a line each, and a /run that is a tmpfs. */
import { spawnSync } from "node:child_process";
import { statfsSync } from "node:fs";

/** Of each figure the least of all rounds: whatever else runs on the machine only adds. */
export const least = (values: readonly number[]): number => Math.min(...values);

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

/** Milliseconds. */
export async function timed(act: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await act();
  return performance.now() - from;
}

export function print(what: string, milliseconds: number, ...notes: readonly string[]): void {
  console.log(`  ${what.padEnd(46)} ${milliseconds.toFixed(1).padStart(9)} ms   ${notes.join("   ")}`);
}

export const times = (theirs: number, ours: number): string => `${(theirs / ours).toFixed(2)} ×`;

/**
 * Where /run is on a disk, its file system is measured: on nearly every machine it is a tmpfs, and so it is made here, for
 * the bench alone, which starts anew in a mount namespace.
 */
export function withTmpfsRun(asRoot: boolean): void {
  const tmpfs = 0x01021994;
  if (!asRoot || statfsSync("/run").type === tmpfs) return;
  const inside = 'mount -t tmpfs -o mode=755 none /run && exec "$@"';
  const { status } = spawnSync(
    "unshare",
    ["-m", "sh", "-c", inside, "sh", process.execPath, ...process.argv.slice(1)],
    { stdio: "inherit" },
  );
  process.exit(status ?? 1);
}
