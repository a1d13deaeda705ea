/** What `npm pack` makes is the whole program: unpacked beside its dependencies alone, it does its work. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { has } from "../tools.js";
import { cli, program, project } from "./cli.js";

test("the package, unpacked beside nothing but its dependencies, builds a lab and shows a trace", async (t) => {
  if (!has(t, "npm")) return;
  const place = cli(t);
  // Below `npm test` of root, npm_config_cache is root's: an ordinary user has none.
  const own = ["--cache", path.join(place.folder, "npm"), "--userconfig", path.join(place.folder, "npmrc")];
  const quiet = ["--silent", "--no-update-notifier"];
  const packed = await program("npm", "pack", project, ...quiet, ...own, "--pack-destination", place.folder);
  t.is(packed.code, 0, packed.stderr);
  await program("tar", "-xzf", path.join(place.folder, packed.stdout.trim()), "-C", place.folder);
  const unpacked = path.join(place.folder, "package");
  const { dependencies } = JSON.parse(readFileSync(path.join(unpacked, "package.json"), "utf8")) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  mkdirSync(path.join(unpacked, "node_modules"));
  for (const name of Object.keys(dependencies))
    symlinkSync(path.join(project, "node_modules", name), path.join(unpacked, "node_modules", name));

  const run = (...args: readonly string[]) =>
    place.start(args, { executable: path.join(unpacked, "bin/yapc-net.js") }).ended;
  const lab = place.lab("packed");
  for (const [args, says] of [
    [["--help"], /^ {2}up +Start a lab/m],
    [["up", "--help"], /--dry-run/],
    [["validate", "docker-bridge"], /valid \(3 nodes/],
    [["view", "request", "-o", "table"], /host:yapc0/],
    [["up", "veth-pair", "--name", lab], new RegExp(`'${lab}'`)],
    [["inspect", lab], /veth1/],
    [["down", lab], /: 0$/m],
  ] as const) {
    const { code, stdout, stderr } = await run(...args);
    t.is(code, 0, `${args.join(" ")}: ${stderr}`);
    t.regex(stdout, says);
  }
  // What npm does where the package is installed: the script "install".
  const compiled = path.join(unpacked, "dist/bundle/compiled");
  t.false(existsSync(compiled), "it is made for the node that is there");
  t.is((await program(process.execPath, path.join(unpacked, "bin/compile.mjs"))).code, 0);
  t.deepEqual(readdirSync(compiled), [`${process.version}-${process.arch}`]);
  t.regex((await run("validate", "docker-bridge")).stdout, /valid \(3 nodes/);
  t.deepEqual(readdirSync(path.join(unpacked, "dist")).toSorted(), ["bundle", "src"], "no tests, no benchmarks");
});
