/** Trace events of the kernel: a page of the ring as Linux 6.18 gave it, and pages made by hand. */
import test from "ava";
import { parseFormat } from "../../src/kernel/tracefs/format.js";
import { readTracePage } from "../../src/kernel/tracefs/page.js";

/** /sys/kernel/tracing/events/net/netif_receive_skb/format */
const format = `name: netif_receive_skb
ID: 2303
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:void * skbaddr;	offset:8;	size:8;	signed:0;
	field:unsigned int len;	offset:16;	size:4;	signed:0;
	field:__data_loc char[] name;	offset:20;	size:4;	signed:0;

print fmt: "dev=%s skbaddr=%p len=%u", __get_str(name), REC->skbaddr, REC->len
`;

test("the fields of an event are where its format says", (t) => {
  const { id, fields } = parseFormat(format);
  t.is(id, 2303);
  t.deepEqual(fields.get("skbaddr"), { offset: 8, size: 8 });
  t.deepEqual(fields.get("len"), { offset: 16, size: 4 });
  t.deepEqual(fields.get("name"), { offset: 20, size: 4 });
});

type Word = readonly [type: number, delta: number, ...data: number[]];

/** A page of the ring: each event a word of type and delta, and words behind it. */
function page(stamp: bigint, events: readonly Word[], { commit = 0, missed = false } = {}): Uint8Array {
  const words = events.flatMap(([type, delta, ...data]) => [(delta * 32 + type) >>> 0, ...data]);
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, stamp, true);
  view.setUint32(8, (commit === 0 ? words.length * 4 : commit) + (missed ? 0x8000_0000 : 0), true);
  for (const [at, word] of words.entries()) view.setUint32(16 + at * 4, word, true);
  return bytes;
}

function read(bytes: Uint8Array, base = 0n): { readonly events: [number, number, number][]; readonly missed: boolean } {
  const events: [number, number, number][] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const missed = readTracePage(bytes, base, (time, at, length) =>
    events.push([time, length, length >= 4 ? view.getUint32(at, true) : -1]),
  );
  return { events, missed };
}

test("events stand behind their times: short, long, padded over, and after a long time", (t) => {
  const stamp = 1_795_982_501_000_000_000n;
  const { events, missed } = read(
    page(stamp, [
      [2, 100, 7, 8],
      [0, 50, 4 + 8, 9, 10], // a word of its own tells its length
      [29, 5, 12, 0xdead, 0xbeef], // one that was discarded, as long as the word behind it says
      [30, 3, 1], // 2^27 + 3 nanoseconds pass
      [1, 1, 11],
      [31, Number((stamp + 10_000_000_000n) & 0x7ff_ffffn), Number(((stamp + 10_000_000_000n) >> 27n) & 0xffff_ffffn)],
      [1, 2, 12],
      [29, 0, 0], // the end of what was written
      [1, 1, 13],
    ]),
    stamp - 1_000n,
  );
  t.deepEqual(events, [
    [1_100, 8, 7],
    [1_150, 8, 9],
    [1_155 + 2 ** 27 + 3 + 1, 4, 11],
    [10_000_001_002, 4, 12],
  ]);
  t.false(missed);
  t.true(read(page(stamp, [[1, 1, 1]], { missed: true })).missed);
});

test("a torn page ends the reading, not the program", (t) => {
  const whole = page(5n, [
    [2, 100, 7, 8],
    [1, 1, 11],
  ]);
  for (let length = 0; length < 64; length++) t.notThrows(() => read(whole.subarray(0, length)));
  for (let word = 0; word < 32; word++) {
    const bytes = page(5n, [[word, 1000, 0xffff_ffff, 0xffff_ffff]], { commit: 4080 });
    t.notThrows(() => read(bytes), `type ${word}`);
  }
});
