/**
 * The same specification in ours and in runc, as a static program sees it from inside (probe.c): they differ in what
 * docs/security.md lists, each line of it with its reason, and in nothing else.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { findIdRanges } from "../../src/init/id-ranges.js";
import type { SpawnRequest } from "../../src/init/api.js";
import { readToEnd } from "../../src/init/read-to-end.js";
import { close, constants, open, pipe2 } from "../../src/kernel/syscalls.js";
import { defaultCapabilities, environment, lab, startBox } from "../init/lab.js";
import { writeBundle } from "./bundle.js";
import { type Difference, type Report, differences, isListed, listedDifferences, readReport } from "./report.js";
import { busyboxRoot } from "./roots.js";

const [uid, gid] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
const asRoot = uid === 0;
const project = join(import.meta.dirname.replace("/dist/", "/"), "../..");
const page = readFileSync(join(project, "docs/security.md"), "utf8");

interface ProbedSpec {
  readonly capabilities: readonly string[];
  readonly seccomp: boolean;
}

const confined: ProbedSpec = { capabilities: defaultCapabilities, seccomp: true };
/** What holds without a filter, too, and for one who may mount. */
const trusted: ProbedSpec = { capabilities: [...defaultCapabilities, "sys_admin", "net_admin"], seccomp: false };

let folder: string | undefined;
test.after.always(() => {
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/** The probe, built once; undefined with the reason logged where that cannot be. */
function probe(t: ExecutionContext, ...programs: readonly string[]): string | undefined {
  folder ??= mkdtempSync(join(tmpdir(), "yapc-probe-"));
  const built = join(folder, "probe");
  const flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Os", "-static"];
  const compiled = spawnSync(process.env.CC ?? "cc", [...flags, "-o", built, join(project, "test/container/probe.c")]);
  const missing = programs.find((name) => spawnSync(name, ["--version"]).status !== 0);
  if (compiled.status === 0 && missing === undefined) return built;
  t.log(
    missing === undefined
      ? "SKIP no C compiler that links statically"
      : `SKIP no ${missing}: apt-get install ${missing}`,
  );
  t.pass();
  return undefined;
}

/** What the container is to be, for both. Each gets a root of its own: runc writes into it. */
function box(t: ExecutionContext, program: string, { capabilities, seccomp }: ProbedSpec) {
  const root = busyboxRoot(t, (at) => copyFileSync(program, join(at, "probe")));
  if (root === undefined) return undefined;
  const keyring = spawnSync(program, ["keyring"], { encoding: "utf8" }).stdout;
  const variables: SpawnRequest["environment"] = [...environment, ["OUTSIDE_KEYRING", keyring]];
  const limits = asRoot ? { pids: 200 } : {};
  return { command: ["/probe"], root, environment: variables, capabilities, seccomp, workingDirectory: "/bin", limits };
}

type Box = NonNullable<ReturnType<typeof box>>;

interface Ours {
  /** As its command sees it. */
  readonly own: Report;
  /** As one that joins it does. */
  readonly joined: Report;
}

const known = new Map<ProbedSpec, Promise<Ours>>();

/** The reports of a specification, taken once. */
function oursOf(t: ExecutionContext, program: string, spec: ProbedSpec): Promise<Ours> | undefined {
  const ours = known.get(spec);
  if (ours !== undefined) return ours;
  const made = box(t, program, spec);
  const taken = made === undefined ? undefined : probeOurs(t, made);
  if (taken !== undefined) known.set(spec, taken);
  return taken;
}

async function probeOurs(t: ExecutionContext, box: Box): Promise<Ours> {
  const place = await lab(t);
  await place.init.createNodes([{ name: "box", container: true }]);
  const nothing = open("/dev/null", constants.O_RDONLY);
  t.teardown(() => close(nothing));
  const report = async (start: (stdio: [number, number, number]) => Promise<{ readonly exit: Promise<unknown> }>) => {
    const [output, theirs] = pipe2();
    const process = await start([nothing, theirs, theirs]).finally(() => close(theirs));
    const text = await readToEnd(output);
    t.deepEqual(await process.exit, { code: 0 }, text);
    return readReport(text);
  };
  const own = await report(async (stdio) => {
    const { process } = await startBox(t, place, "box", { ...box, output: { stdio, tied: true } });
    return process;
  });
  await startBox(t, place, "box", { ...box, command: ["sleep", "1000"] });
  const joined = await report((stdio) =>
    place.init.spawn({
      node: "box",
      place: "container",
      argv: box.command,
      environment: box.environment,
      workingDirectory: box.workingDirectory,
      stdio,
      tied: true,
    }),
  );
  return { own, joined };
}

function probeRunc(t: ExecutionContext, { root, limits, ...spec }: Box): Report {
  const bundle = mkdtempSync(join(tmpdir(), "yapc-bundle-"));
  t.teardown(() => rmSync(bundle, { recursive: true, force: true }));
  const ranges = findIdRanges();
  const mapped = {
    users: [{ first: uid, count: 1 }, ...(ranges === undefined ? [] : [ranges.users])],
    groups: [{ first: gid, count: 1 }, ...(ranges === undefined ? [] : [ranges.groups])],
  };
  writeBundle(
    bundle,
    { ...spec, hostname: "box" },
    { rootfs: root, user: { uid: 0, gid: 0, groups: [] }, limits, ...(asRoot ? {} : { mapped }) },
  );
  const run = spawnSync(
    "runc",
    ["--root", join(bundle, "state"), "run", "--bundle", bundle, `yapc-probe-${process.pid}`],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, XDG_RUNTIME_DIR: bundle },
    },
  );
  t.is(run.status, 0, run.stderr);
  return readReport(run.stdout);
}

const told = ({ key, ours, theirs }: Difference) => `${key}\n   ours  ${ours}\n   other ${theirs}`;

test("what a container sees is what runc gives it, except for the differences that docs/security.md lists", async (t) => {
  const program = probe(t, "runc");
  if (program === undefined) return;
  const rows = listedDifferences(page).filter(({ as }) => as === "both" || as === (asRoot ? "root" : "user"));
  t.true(rows.length > 5);
  const found: Difference[] = [];
  for (const spec of [confined, trusted]) {
    const ours = await oursOf(t, program, spec);
    const theirs = box(t, program, spec);
    if (ours === undefined || theirs === undefined) return;
    found.push(...differences(ours.own, probeRunc(t, theirs)));
  }
  const unlisted = found.filter((difference) => !rows.some((row) => isListed(difference, row)));
  t.deepEqual(unlisted.map(told), [], "not listed in docs/security.md");
  const gone = rows.filter((row) => !row.sometimes && !found.some((difference) => isListed(difference, row)));
  t.deepEqual(
    gone.map(({ pattern }) => pattern),
    [],
    "listed, and no longer so",
  );
});

test("whoever joins a container sees what its command does, and has no more rights", async (t) => {
  const program = probe(t);
  if (program === undefined) return;
  for (const spec of [confined, trusted]) {
    const reports = await oursOf(t, program, spec);
    if (reports === undefined) return;
    const { own, joined } = reports;
    const others = differences(joined, own).filter(({ key }) => !/^(process pid|processes \d+)$/.test(key));
    t.deepEqual(others.map(told), []);
    t.true(own.size > 550, String(own.size));
  }
});

test("14, 16: nothing can be typed into a terminal, the session keyring is not the machine's (CVE-2017-5226)", async (t) => {
  const program = probe(t);
  if (program === undefined) return;
  const [filtered, open] = [await oursOf(t, program, confined), await oursOf(t, program, trusted)];
  if (filtered === undefined || open === undefined) return;
  for (const report of [filtered.own, filtered.joined, open.own, open.joined]) {
    for (const descriptor of [0, 1, 2]) t.is(report.get(`terminal ${descriptor}`), "no tty, TIOCSTI ENOTTY");
  }
  t.is(filtered.own.get("keyring session"), "EPERM");
  for (const report of [open.own, open.joined]) {
    if (report.get("keyring session") === "ENOSYS") t.log("SKIP the kernel has no keys");
    else t.is(report.get("keyring of the machine"), "another");
  }
});
