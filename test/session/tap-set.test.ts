/** The taps of a trace together: none runs ahead of the others. */
import { setTimeout as delay } from "node:timers/promises";
import test from "ava";
import { TapSet } from "../../src/session/tap-set.js";
import type { TraceTap } from "../../src/trace/trace.js";
import { scripted } from "../capture/scripted.js";

/** Takes a thousand bytes for a record; all of them wait until they are let go. */
class Feed implements TraceTap {
  readonly number = 0;
  readonly past = false;
  records = 0;
  waiting = 0;
  push(chunk: Uint8Array): void {
    this.records += chunk.length / 1000;
    this.waiting += chunk.length / 1000;
  }
  readonly quiet = (): void => undefined;
  readonly lost = (): void => undefined;
  readonly silent = (): void => undefined;
  readonly answers = (): void => undefined;
  readonly died = (): void => undefined;
  readonly end = (): void => undefined;
}

test("a tap whose records wait for the others is not read on, until most of them have been joined", async (t) => {
  using set = new TapSet({
    line: scripted("echo 'tcpdump: listening on eth0' >&2; exec cat /dev/zero"),
    taps: [{ node: "host", interface: "any", filter: "", hops: 1 }],
    snapshotLength: 262,
    block: true,
    recording: undefined,
    onBytes: () => undefined,
    pressure: undefined,
    onQuiet: () => undefined,
    onDeath: () => undefined,
  });
  const feed = new Feed();
  set.connect([feed]);
  await set.start();
  const settled = async (): Promise<number> => {
    for (let before = -1; before !== feed.records;) {
      before = feed.records;
      await delay(300);
    }
    return feed.records;
  };
  const first = await settled();
  t.true(first >= 16_384 && first < 16_384 + 132, `${first} records, and no more than one read above`);
  feed.waiting = 9000;
  await delay(100);
  t.is(feed.records, first, "most of them still wait");
  feed.waiting = 8000;
  const second = await settled();
  t.true(second > first && feed.waiting >= 16_384 && feed.waiting < 16_384 + 132, `${feed.waiting}`);
});
