/** Taps: how tcpdump is called, what it says, and every way in which it fails. */
import { setTimeout as delay } from "node:timers/promises";
import test from "ava";
import fc from "fast-check";
import { Tap, type TapOptions } from "../../src/capture/tap.js";
import { tcpdumpArguments, TcpdumpMessages } from "../../src/capture/tcpdump.js";
import type { InitLine } from "../../src/init/api.js";
import { Failure } from "../../src/model/failure.js";
import { scripted } from "./scripted.js";

test("tcpdump is called for one interface, without promiscuous mode, unbuffered, with nanoseconds", (t) => {
  t.is(
    tcpdumpArguments({ interface: "eth0", filter: "port 80 or (ip[6:2] & 0x1fff != 0)", snapshotLength: 262 }).join(
      " ",
    ),
    "tcpdump -i eth0 -p -n --immediate-mode --time-stamp-precision=nano -s 262 -U -w - port 80 or (ip[6:2] & 0x1fff != 0)",
  );
  t.is(tcpdumpArguments({ interface: "eth0", filter: "", snapshotLength: 64 }).at(-1), "-", "no filter, no argument");
});

/** What tcpdump 4.99.3 says, and what is to be made of it. */
const sayings: readonly {
  readonly text: string;
  readonly listening?: boolean;
  readonly dropped?: number;
  readonly words?: string;
}[] = [
  { text: "tcpdump: listening on va, link-type EN10MB (Ethernet), snapshot length 262144 bytes\n", listening: true },
  {
    text: "tcpdump: listening on va, link-type EN10MB (Ethernet), snapshot length 262 bytes\ntcpdump: 3 packets captured, 5 packets received by filter, 2 packets dropped by kernel\n3 packets captured\n9 packets received by filter\n4 packets dropped by kernel\n",
    listening: true,
    dropped: 4,
  },
  {
    text: "tcpdump: listening on va, link-type EN10MB (Ethernet), snapshot length 262 bytes\ntcpdump: pcap_loop: The interface disappeared\n3 packets captured\n3 packets received by filter\n0 packets dropped by kernel\n",
    listening: true,
    dropped: 0,
    words: "The interface disappeared",
  },
  {
    text: "tcpdump: va: You don't have permission to perform this capture on that device\n(socket: Operation not permitted)\n",
    words: "va: You don't have permission to perform this capture on that device (socket: Operation not permitted)",
  },
  {
    text: "tcpdump: can't parse filter expression: syntax error\n",
    words: "can't parse filter expression: syntax error",
  },
  { text: "sh: tcpdump: killed", words: "sh: tcpdump: killed" },
];

test("its messages mean the same wherever they are cut", (t) => {
  for (const { text, listening = false, dropped, words = "" } of sayings)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: text.length })), (cuts) => {
        const said = new TcpdumpMessages();
        const places = [0, ...cuts.sort((a, b) => a - b), text.length];
        for (const [index, place] of places.entries()) said.push(text.slice(places[index - 1] ?? 0, place));
        return said.listening === listening && said.dropped === dropped && said.lastWords === words;
      }),
      { numRuns: 100, seed: 1 },
    );
  t.pass();
});

interface Seen {
  readonly bytes: string;
  readonly drops: readonly number[];
  readonly deaths: readonly string[];
}

function watched(filter = ""): {
  readonly options: TapOptions;
  readonly seen: () => Seen;
  readonly died: Promise<void>;
} {
  let bytes = "";
  const drops: number[] = [];
  const deaths: string[] = [];
  let dead: () => void;
  const died = new Promise<void>((resolve) => (dead = resolve));
  return {
    options: {
      hop: { node: "web", interface: "eth0" },
      filter,
      snapshotLength: 262,
      onBytes: (chunk) => (bytes += Buffer.from(chunk).toString()),
      onDrops: (dropped) => drops.push(dropped),
      onDeath: (reason) => {
        deaths.push(`${reason} after ${bytes}`);
        dead();
      },
    },
    seen: () => ({ bytes, drops, deaths }),
    died,
  };
}

const listens = "echo 'tcpdump: listening on eth0, link-type EN10MB (Ethernet), snapshot length 262 bytes' >&2;";

test("a tap that is stopped has read all that tcpdump wrote, its last counts too", async (t) => {
  const { options, seen } = watched();
  const script = `trap 'echo "tcpdump: 1 packet captured, 1 packet received by filter, 1 packet dropped by kernel" >&2' USR1
trap 'printf tail; echo "9 packets captured" >&2; echo "3 packets dropped by kernel" >&2; exit 0' INT
printf head; ${listens} while :; do sleep 0.01; done`;
  const tap = await Tap.start(scripted(script), options);
  tap.ask();
  while (seen().drops.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await tap.stop();
  await tap.ended;
  t.deepEqual(seen(), { bytes: "headtail", drops: [1, 3], deaths: [] });
});

test("a tap that dies midway says why, once what it had written was read", async (t) => {
  const disappeared = watched();
  await Tap.start(
    scripted(`${listens} printf bytes; echo 'tcpdump: pcap_loop: The interface disappeared' >&2; exit 1`),
    disappeared.options,
  );
  await disappeared.died;
  t.deepEqual(disappeared.seen().deaths, ["The interface disappeared after bytes"]);

  const killed = watched();
  await Tap.start(scripted(`${listens} printf bytes; kill -9 $$`), killed.options);
  await killed.died;
  t.deepEqual(killed.seen().deaths, ["tcpdump was ended by SIGKILL after bytes"]);
});

test("a tap that is asked and does not answer is said to be silent, until it answers that all is read", async (t) => {
  const { options } = watched();
  const told: boolean[] = [];
  const words = 'echo "tcpdump: 1 packet captured, 1 packet received by filter, 0 packets dropped by kernel" >&2';
  const script = `trap '${words}' USR1; ${listens} while :; do sleep 0.01; done`;
  let pid = 0;
  const line = scripted(script);
  const tap = await Tap.start(
    {
      ...line,
      spawn: async (...how) => {
        const process = await line.spawn(...how);
        pid = process.pid;
        return process;
      },
    }, // a tap asks for nothing else
    { ...options, onSilence: (silent) => told.push(silent) },
  );
  const asking = setInterval(() => tap.ask(), 50);
  t.teardown(() => clearInterval(asking));
  process.kill(pid, "SIGSTOP");
  const stopped = Date.now();
  while (told.length === 0) await delay(20);
  t.deepEqual(told, [true]);
  t.true(Date.now() - stopped >= 1900, "not before two seconds");
  process.kill(pid, "SIGCONT");
  while (told.length === 1) await delay(20);
  t.deepEqual(told, [true, false]);
  // Stopped again, it is let run on at the end, and what it says then counts.
  process.kill(pid, "SIGSTOP");
  await Promise.all([tap.stop(), tap.ended]);
});

test("how far it has come is believed once all that it had written then has been read", async (t) => {
  const { options, seen } = watched();
  const words = 'echo "tcpdump: 6 packets captured, 6 packets received by filter, 0 packets dropped by kernel" >&2';
  const quiet: string[] = [];
  const script = `trap '${words}; sleep 0.2; printf tail' USR1; trap 'exit 0' INT; ${listens} printf he; while :; do sleep 0.01; done`;
  const tap = await Tap.start(scripted(script), {
    ...options,
    delivered: () => seen().bytes.length,
    onQuiet: () => quiet.push(seen().bytes),
  });
  tap.ask();
  while (seen().bytes !== "hetail") await delay(5);
  t.deepEqual(quiet, ["hetail"], "six records: not when two of them had come");
  tap.abandon();
});

test("while those who take its records are behind, a tap is not read, and is not called silent", async (t) => {
  const { options, seen } = watched();
  const told: boolean[] = [];
  let caughtUp: () => void = () => undefined;
  const behind = new Promise<void>((resolve) => (caughtUp = resolve));
  let pressed = false;
  const tap = await Tap.start(
    scripted(`trap '' USR1; ${listens} printf first; sleep 0.3; printf second; while :; do sleep 0.01; done`),
    {
      ...options,
      onSilence: (silent) => told.push(silent),
      pressure: () => {
        if (pressed) return undefined;
        pressed = true;
        return behind;
      },
    },
  );
  const asking = setInterval(() => tap.ask(), 50);
  t.teardown(() => clearInterval(asking));
  await delay(2600);
  t.deepEqual([seen().bytes, told], ["first", []]);
  caughtUp();
  while (seen().bytes !== "firstsecond") await delay(5);
  tap.abandon();
  t.pass();
});

test("a tap that never answers is killed at its end, and that is told", async (t) => {
  const { options, died, seen } = watched();
  const tap = await Tap.start(scripted(`trap '' USR1 INT; ${listens} while :; do sleep 0.01; done`), options);
  await tap.stop();
  await died;
  t.deepEqual(seen().deaths, ["it did not answer after "]);
});

test("a tap that is let go of is not said to have died", async (t) => {
  const { options, seen } = watched();
  const tap = await Tap.start(scripted(`${listens} exec sleep 60`), options);
  tap.abandon();
  await tap.ended;
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(seen().deaths, []);
});

test("a tap that does not start says what is missing, and whose fault it is", async (t) => {
  const starting = (script: string, filter?: string) => Tap.start(scripted(script), watched(filter).options);
  const refused = await t.throwsAsync(
    starting(
      `echo "tcpdump: eth0: You don't have permission to perform this capture on that device" >&2; echo "(socket: Operation not permitted)" >&2; exit 1`,
      "port 80",
    ),
    { instanceOf: Failure },
  );
  t.like(refused, {
    kind: "machine",
    message:
      "no tap at web:eth0: You don't have permission to perform this capture on that device (socket: Operation not permitted)",
  });
  const misspelt = await t.throwsAsync(
    starting(`echo "tcpdump: can't parse filter expression: syntax error" >&2; exit 1`, "tpc port 80"),
    { instanceOf: Failure },
  );
  t.like(misspelt, {
    kind: "usage",
    message: "tcpdump refuses the filter 'tpc port 80': can't parse filter expression: syntax error",
  });
  const silent = await t.throwsAsync(starting("exit 127"), { instanceOf: Failure });
  t.like(silent, { kind: "machine", message: "no tap at web:eth0: tcpdump ended with status 127" });

  const nowhere: Pick<InitLine, "spawn"> = {
    spawn: () => Promise.reject(new Failure("kernel", "cannot run tcpdump", { code: "ENOENT" })),
  };
  const missing = await t.throwsAsync(Tap.start(nowhere as InitLine, watched().options), { instanceOf: Failure });
  t.like(missing, {
    kind: "machine",
    message: "no tcpdump on this machine: the tap at web:eth0 cannot start",
    hint: "sudo apt-get install tcpdump",
  });
});
