/** Plans carried out on the real kernel: any lab becomes any other as if built from nothing; a failed step undoes the rest. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { LabFolder } from "../../src/lab/state.js";
import { Failure } from "../../src/model/failure.js";
import type { Snapshot } from "../../src/model/snapshot.js";
import { down } from "../../src/session/down.js";
import { exec } from "../../src/session/exec.js";
import { changeLink } from "../../src/session/link.js";
import { inspect } from "../../src/session/inspect.js";
import { OpenLab } from "../../src/session/open-lab.js";
import { findLab } from "../../src/session/target.js";
import { up, type UpResult } from "../../src/session/up.js";
import { until } from "../e2e/cli.js";
import { seededRandom } from "../e2e/random.js";
import { anyTopology } from "../plan/any-topology.js";
import { type KernelPart, lacking, without } from "./kernel-parts.js";
import { reading } from "./reading.js";

const soak = process.env.YAPC_NET_SOAK === "1";
const seed = Number(process.env.YAPC_NET_SEED ?? 20262);
const folder = mkdtempSync(path.join(os.tmpdir(), "yapc-lab-test-"));
test.after.always(() => rmSync(folder, { recursive: true, force: true }));

const topologies = path.resolve(import.meta.dirname, "../../../topologies");
const shipped = readdirSync(topologies).filter((file) => file.endsWith(".json") && file !== "schema.json");
const quiet = { onWarning: () => undefined };
let labs = 0;

/** A name of the test's own, ended with it. */
function lab(t: ExecutionContext): string {
  const name = `a${process.pid.toString(36)}-${++labs}`;
  t.teardown(() => down({ lab: name, ...quiet }).catch(() => undefined));
  return name;
}

function start(name: string, file: string): Promise<UpResult> {
  return up({
    file,
    name,
    dryRun: false,
    strict: false,
    real: false,
    assignments: file.endsWith("web-farm.json") ? ["count=4"] : [],
    signal: new AbortController().signal,
    ...quiet,
  });
}

const read = async (name: string): Promise<Snapshot> =>
  (await inspect({ lab: name, nodes: [], machine: false, all: false, ...quiet })).snapshot;

let written = 0;
function write(topology: unknown): string {
  const file = path.join(folder, `${++written}.json`);
  writeFileSync(file, typeof topology === "string" ? topology : JSON.stringify(topology));
  return file;
}

/** `up` of B over A reads back the same as B from nothing, and once more is zero operations. */
async function becomes(t: ExecutionContext, from: string, to: string, story: string): Promise<void> {
  // One name for both: MAC addresses follow from it.
  const name = lab(t);
  await start(name, to);
  const fresh = reading(await read(name));
  await down({ lab: name, ...quiet });
  await start(name, from);
  const { operations } = await start(name, to);
  t.deepEqual(reading(await read(name)), fresh, `${story}\n${operations.map(({ text }) => text).join("\n")}`);
  await down({ lab: name, ...quiet });
}

test.serial("shipped labs become each other", async (t) => {
  const random = seededRandom(seed);
  const pairs = shipped.flatMap((from) => shipped.filter((to) => to !== from).map((to) => [from, to] as const));
  const chosen = soak ? pairs : pairs.toSorted(() => random() - 0.5).slice(0, 6);
  t.timeout(chosen.length * 60_000);
  t.log(`seed ${seed}: ${chosen.length} of ${pairs.length} pairs`);
  for (const [from, to] of chosen)
    await becomes(t, path.join(topologies, from), path.join(topologies, to), `${from} -> ${to}`);
});

test.serial("generated labs become each other", async (t) => {
  const count = soak ? 100 : 10;
  t.timeout(count * 60_000);
  // A spanning tree costs 2 × 2 s at the least, three times a pair: one pair in five has them.
  const texts = fc
    .sample(anyTopology, { numRuns: 2 * count, seed })
    .map((text, index) =>
      text.replaceAll('"stp":true', index % 10 < 2 ? '"stp":true,"forwardDelay":2' : '"stp":false'),
    );
  const missing = new Set<KernelPart>();
  for (let index = 0; index < count; index++) {
    for (;;) {
      const [from, to] = [2 * index, 2 * index + 1].map((number) => without(texts[number]!, missing));
      try {
        await becomes(t, write(from), write(to), `pair ${index}:\n${from}\n->\n${to}`);
        break;
      } catch (error) {
        const part = lacking(error);
        if (part === undefined || missing.has(part)) throw error;
        missing.add(part);
      }
    }
  }
  t.log(`seed ${seed}: ${count} pairs`);
  for (const part of missing) t.log(`this kernel has no ${part}: without it`);
  t.pass();
});

/*
 *   web -x- host:br0 - router -x- isp - net      x: down in the first file, up in the second
 */
const withLinks = (up: boolean) => ({
  nodes: {
    host: {},
    web: { neighbours: [{ interface: "eth0", address: "10.0.0.9", mac: "02:00:00:00:00:09" }] },
    router: { interfaces: { wan: ["192.0.2.1/24", "fd00:2::1/64"] } },
    isp: {
      interfaces: { eth0: ["192.0.2.2/24", "fd00:2::2/64"], eth1: ["198.51.100.1/24", "fd00:3::1/64"] },
      routes: [
        { to: "10.77.0.0/16", via: "192.0.2.1" },
        { to: "fd77::/32", via: "fd00:2::1" },
      ],
    },
    net: { interfaces: { eth0: ["198.51.100.2/24", "fd00:3::2/64"] } },
  },
  networks: {
    lan: { bridge: "host:br0", subnets: ["10.0.0.0/24", "fd00:1::/64"], members: { web: { up }, router: {} } },
  },
  links: [{ ends: ["router:wan", "isp:eth0"], up }, ["isp:eth1", "net:eth0"]],
});

test.serial("routes over links that are down wait until they are up: by the file, or by link --up", async (t) => {
  const [down, up] = [write(withLinks(false)), write(withLinks(true))];
  await becomes(t, down, up, "down -> up");
  await becomes(t, up, down, "up -> down");
  const name = lab(t);
  await start(name, up);
  const whole = reading(await read(name));
  const written = ({ nodes }: Snapshot) =>
    nodes.flatMap(({ name: node, routes }) =>
      routes.filter(({ protocol }) => protocol === 4).map(({ destination }) => `${node} ${destination}`),
    );
  t.true(written(await read(name)).includes("isp fd77::/32"));
  await start(name, down);
  // Who is left to send sends to where the way ends.
  t.deepEqual(written(await read(name)).toSorted(), ["host 0.0.0.0/0", "host ::/0", "net 0.0.0.0/0", "net ::/0"]);
  for (const end of ["web:eth0", "router:wan"])
    await changeLink({
      lab: name,
      end,
      both: true,
      up: true,
      reset: false,
      signal: new AbortController().signal,
      ...quiet,
    });
  t.deepEqual(reading(await read(name)), whole);
});

test.serial("what a container wrote stays while its node does, a layer for each root", async (t) => {
  const name = lab(t);
  const other = path.join(folder, "root");
  mkdirSync(path.join(other, "bin"), { recursive: true });
  copyFileSync("/bin/busybox", path.join(other, "bin/busybox"));
  const wrote = path.join(new LabFolder(name).containers, "a");
  const nodes = (a: object): string => write({ nodes: { b: {}, ...a } });
  const over = (root: string, mark: string): object => ({
    a: { container: { root, command: ["busybox", "sh", "-c", `echo ${mark} >>/mark; exec busybox sleep 1000`] } },
  });
  const marks = (): string[] =>
    readdirSync(wrote).flatMap((layer) => {
      const mark = path.join(wrote, layer, "upper/mark");
      return existsSync(mark) ? readFileSync(mark, "utf8").trim().split("\n") : [];
    });
  const marked = (...expected: string[]) => until(() => isDeepStrictEqual(marks().sort(), expected));
  await start(name, nodes(over("/", "one")));
  t.true(await marked("one"));
  await start(name, nodes(over("/", "two")));
  t.true(await marked("one", "two"));
  await start(name, nodes(over(other, "three")));
  t.true(await marked("one", "three", "two"), marks().join(" "));
  await start(name, nodes({}));
  t.false(existsSync(wrote));
  await start(name, nodes(over("/", "four")));
  t.true(await marked("four"), "a node of that name begins anew");
});

/** node a ─ node b, with whatever else. */
const pair = (more: object = {}, a: object = {}) => ({
  nodes: { a: { interfaces: { eth0: "10.1.0.1/24" }, ...a }, b: { interfaces: { eth0: "10.1.0.2/24" } } },
  links: [["a:eth0", "b:eth0"]],
  ...more,
});

const failing: readonly [story: string, act: (name: string) => Promise<unknown>, topology: object, says: RegExp][] = [
  [
    "an interface whose name another link has taken",
    (name) =>
      exec({
        lab: name,
        node: "b",
        argv: ["ip", "link", "property", "add", "dev", "eth0", "altname", "br0"],
        outside: false,
      }),
    pair({
      nodes: {
        a: {
          interfaces: { eth0: "10.1.0.1/24" },
          firewall: { input: { policy: "drop" } },
          sysctls: { "net.ipv4.ip_default_ttl": 33 },
        },
        b: { interfaces: { eth0: "10.1.0.2/24" } },
        c: { interfaces: { eth0: "10.3.0.1/24" } },
      },
      links: [
        ["a:eth0", "b:eth0"],
        ["c:eth0", "b:br0"],
      ],
    }),
    /br0/,
  ],
  [
    "a value that a sysctl does not take",
    () => Promise.resolve(),
    pair({}, { interfaces: { eth0: "10.1.0.1/24", lo: "10.5.0.1/32" }, sysctls: { "net.ipv4.ip_default_ttl": 9999 } }),
    /ip_default_ttl|sysctl/,
  ],
];

test.serial("a command that was killed half way: the next finishes it, and another goes back", async (t) => {
  const name = lab(t);
  const state = new LabFolder(name);
  const sleeping = (seconds: number) => ({ container: { command: ["sleep", String(seconds)] } });
  const first = write(pair({}, sleeping(1000)));
  const { nodes } = pair({}, sleeping(2000));
  const second = write(pair({ nodes: { ...nodes, c: sleeping(3000) } }));
  await start(name, first);
  const before = state.read()!;
  await start(name, second);
  const after = state.read()!;
  const built = reading(await read(name));
  // All was done but for the record: so far a command came that was killed at its last step.
  const kill = () => state.write({ ...before, towards: after.topology });
  kill();
  const finished = (await start(name, second)).operations.map(({ text }) => text);
  t.deepEqual(
    finished.filter((text) => /start|stop/.test(text)),
    ["a: stop sleep 2000", "c: stop sleep 3000", "a: start sleep 2000", "c: start sleep 3000"],
    "what runs is not known",
  );
  t.deepEqual(reading(await read(name)), built);
  t.deepEqual((await start(name, second)).operations, []);
  kill();
  const back = (await start(name, first)).operations.map(({ text }) => text);
  t.true(back.includes("a: start sleep 1000") && back.includes("c: remove node"), back.join("\n"));
  t.deepEqual((await start(name, first)).operations, []);
});

test.serial("a sysctl that a file no longer asks for reads what it read before", async (t) => {
  const name = lab(t);
  const asked = (ttl: number, more: object = {}) =>
    write(pair({}, { sysctls: { "net.ipv4.ip_default_ttl": ttl, "net.ipv4.conf.eth0.log_martians": 1 }, ...more }));
  const values = async () => {
    using open = await OpenLab.connect(findLab(name));
    return await open.line.readSysctls("a", ["net.ipv4.ip_default_ttl", "net.ipv4.conf.eth0.log_martians"]);
  };
  await start(name, write(pair()));
  const before = await values();
  await start(name, asked(33));
  t.deepEqual(await values(), ["33", "1"]);
  t.deepEqual((await start(name, asked(33))).operations, []);
  // A step that fails takes the new value back, and has not become the old one.
  await t.throwsAsync(start(name, asked(44, { container: { command: ["/no/such/program"] } })), {
    instanceOf: Failure,
  });
  t.deepEqual(await values(), ["33", "1"]);
  await start(name, asked(55));
  await start(name, write(pair()));
  t.deepEqual(await values(), before);
  t.deepEqual((await start(name, write(pair()))).operations, []);

  // Also where the lab began with it; and a node that was made anew has those of a new namespace.
  const second = lab(t);
  await start(second, asked(33));
  t.true((await start(second, write(pair()))).operations.some(({ text }) => text.includes("ip_default_ttl=64")));
  await start(second, asked(33, { container: { command: ["sleep", "100"] } }));
  t.deepEqual(
    (await start(second, write(pair({}, { container: { command: ["sleep", "100"] } })))).operations.map(
      ({ text }) => text,
    ),
    ["a: write 1 sysctl: net.ipv4.ip_default_ttl=64", "a: write 1 sysctl: net.ipv4.conf.eth0.log_martians=0"],
  );
});

for (const [story, act, topology, says] of failing) {
  test.serial(`a step that fails undoes the ones before it: ${story}`, async (t) => {
    const name = lab(t);
    const first = write(pair());
    await start(name, first);
    await act(name);
    const before = reading(await read(name));
    const error = await t.throwsAsync(start(name, write(topology)), { instanceOf: Failure });
    t.regex(error.message, says);
    t.notRegex(error.message, /undoing failed/);
    t.deepEqual(reading(await read(name)), before);
    t.deepEqual((await start(name, first)).operations, []);
  });
}
