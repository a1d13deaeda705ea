/** bin/modules.js: compiled code is used where it fits, and whatever else lies in its place does no harm. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { seededRandom } from "../e2e/random.js";

const project = path.resolve(import.meta.dirname, "../../..");
const program = JSON.stringify(path.join(project, "bin/modules.js"));

const chunk = `exports.twice = (number) => 2 * number;`;
const main = `const { twice } = require("./chunks/twice.js");
exports.answer = () => twice(/^[─▶]$/.test("\\u25b6") ? 21 : 0);
exports.where = () => [importMeta.dirname, importMeta.url, require("node:path").sep];
exports.later = () => Promise.resolve().then(() => require(importMeta.dirname + "/chunks/twice.js").twice(4));`;

function bundle(t: ExecutionContext): { readonly folder: string; readonly compiled: string } {
  const folder = mkdtempSync(path.join(os.tmpdir(), "yapc-modules-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  mkdirSync(path.join(folder, "chunks"));
  writeFileSync(path.join(folder, "main.js"), main);
  writeFileSync(path.join(folder, "chunks/twice.js"), chunk);
  node(`compile(${JSON.stringify(folder)})`);
  return { folder, compiled: path.join(folder, "compiled", `${process.version}-${process.arch}`) };
}

/** In a process of its own: V8 also remembers what it compiled before. @returns what the code prints as JSON */
function node(code: string, ...flags: readonly string[]): unknown {
  const text = execFileSync(process.execPath, [
    ...flags,
    "-e",
    `const { Modules, compile } = require(${program}); ${code}`,
  ]);
  return text.length === 0 ? undefined : JSON.parse(text.toString());
}

const use = (folder: string, ...flags: readonly string[]) =>
  node(
    `const modules = new Modules(${JSON.stringify(folder)});
    const { answer } = modules.load(${JSON.stringify(path.join(folder, "main.js"))});
    console.log(JSON.stringify({ answer: answer(), ...modules.counts }));`,
    ...flags,
  );

test("compiled code is used, for all modules of the bundle", (t) => {
  const { folder, compiled } = bundle(t);
  t.deepEqual(use(folder), { answer: 42, ready: 2, fresh: 0 });
  rmSync(compiled, { recursive: true });
  t.deepEqual(use(folder), { answer: 42, ready: 0, fresh: 2 });

  const real = path.join(project, "dist/bundle");
  const names = readdirSync(real, { recursive: true, encoding: "utf8" });
  const sources = names.filter((name) => name.endsWith(".js"));
  const made = names.filter(
    (name) => name.endsWith(".js.bin") && name.includes(`/${process.version}-${process.arch}/`),
  );
  t.true(sources.length > 40);
  t.is(made.length, sources.length);
  const files = sources.filter((name) => name.startsWith("commands/")).map((name) => path.join(real, name));
  const counts = node(
    `const modules = new Modules(${JSON.stringify(real)});
    for (const file of ${JSON.stringify(files)}) modules.load(file);
    console.log(JSON.stringify(modules.counts));`,
  ) as { readonly ready: number; readonly fresh: number };
  t.is(counts.fresh, 0);
  t.true(counts.ready > files.length);
});

test("a module knows where it is, and one that is loaded twice is one", (t) => {
  const { folder } = bundle(t);
  t.deepEqual(
    node(
      `const modules = new Modules(${JSON.stringify(folder)});
      const main = modules.load(${JSON.stringify(path.join(folder, "main.js"))});
      main.later().then((eight) => console.log(JSON.stringify([...main.where(), eight, modules.counts.ready])));`,
    ),
    [folder, `file://${folder}/main.js`, "/", 8, 2],
  );
});

test("code of another source is not run, though it be as long", (t) => {
  const { folder } = bundle(t);
  writeFileSync(path.join(folder, "chunks/twice.js"), chunk.replace("2 *", "3 *"));
  t.deepEqual(use(folder), { answer: 63, ready: 1, fresh: 1 });
});

test("code that is damaged, cut off or no file at all is not run", (t) => {
  const { folder, compiled } = bundle(t);
  const file = path.join(compiled, "chunks/twice.js.bin");
  const whole = readFileSync(file);
  const random = seededRandom(20263);
  const damaged = Array.from({ length: 200 }, (_, index) => {
    const bytes = Buffer.from(whole);
    const at = index < 64 ? index : Math.floor(random() * bytes.length);
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << Math.floor(random() * 8)), at);
    return bytes;
  });
  mkdirSync(path.join(folder, "damaged"));
  const others = [whole.subarray(0, 8), whole.subarray(0, -1), Buffer.alloc(0), Buffer.alloc(3)];
  for (const [index, bytes] of [...damaged, ...others].entries())
    writeFileSync(path.join(folder, "damaged", String(index)), bytes);
  const results = node(
    `const fs = require("node:fs");
    const folder = ${JSON.stringify(path.join(folder, "damaged"))};
    const results = fs.readdirSync(folder).map((name) => {
      fs.copyFileSync(folder + "/" + name, ${JSON.stringify(file)});
      const modules = new Modules(${JSON.stringify(folder)});
      const { answer } = modules.load(${JSON.stringify(path.join(folder, "main.js"))});
      return [answer(), modules.counts.ready, modules.counts.fresh].join();
    });
    console.log(JSON.stringify(results));`,
  ) as string[];
  t.is(results.length, 204);
  t.deepEqual([...new Set(results)], ["42,1,1"]);
  rmSync(file);
  mkdirSync(file);
  t.deepEqual(use(folder), { answer: 42, ready: 1, fresh: 1 });
});

test("another node, or the same with other flags of V8, compiles for itself", (t) => {
  const { folder, compiled } = bundle(t);
  t.deepEqual(use(folder, "--no-opt"), { answer: 42, ready: 0, fresh: 2 });
  cpSync(compiled, path.join(folder, `compiled/v99.0.0-${process.arch}`), { recursive: true });
  rmSync(compiled, { recursive: true });
  t.deepEqual(use(folder), { answer: 42, ready: 0, fresh: 2 });
});
