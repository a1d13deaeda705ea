// Makes dist/bundle of what tsc made: a file for each command, what they share in chunks. A start then reads few files, and
// evaluates what its command imports and nothing else. bin/modules.js loads them.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { build, transform } from "esbuild";

const target = "node20.19";

/** Native code, and packages that do not survive bundling: blessed requires by names it makes, pcap-parser warns. */
const external = ["koffi", "blessed", "pcap-parser", "typescript"];

/** The main file of oclif compares versions at every start, by the 47 modules of semver. We import these of its parts. */
const oclifParts = {
  name: "oclif-parts",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@oclif\/core$/ }, () => ({ path: "oclif-parts", namespace: "oclif-parts" }));
    onLoad({ filter: /./, namespace: "oclif-parts" }, () => ({
      resolveDir: path.resolve(import.meta.dirname, ".."),
      contents: `export * as Args from "@oclif/core/args";
        export * as Flags from "@oclif/core/flags";
        export { Command } from "@oclif/core/command";
        export { Config } from "@oclif/core/config";`,
    }));
  },
};

/** @param root the project's folder */
export async function bundle(root) {
  const outdir = path.join(root, "dist/bundle");
  const commands = readdirSync(path.join(root, "dist/commands")).filter((file) => file.endsWith(".js"));
  const entries = commands.map((file) => [`commands/${path.basename(file, ".js")}`, `dist/commands/${file}`]);
  rmSync(outdir, { recursive: true, force: true });
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: { main: "dist/commands/base/main.js", ...Object.fromEntries(entries) },
    outdir,
    chunkNames: "chunks/[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    mainFields: ["module", "main"],
    target,
    external,
    plugins: [oclifParts],
    logLevel: "warning",
    metafile: true,
    write: false,
  });
  for (const { path: file, text } of outputFiles) {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, await asFunction(text));
  }
  writeFileSync(path.join(outdir, "LICENSES.txt"), licences(root, Object.keys(metafile.inputs)));
}

/** The body of a function of `exports`, `require`, `module` and `importMeta`: esbuild itself splits none but ES modules. */
async function asFunction(text) {
  const { code } = await transform(text, {
    format: "cjs",
    platform: "node",
    target,
    supported: { "dynamic-import": false },
    define: { "import.meta": "importMeta" },
  });
  return code;
}

/** The licence of each package that went in. */
function licences(root, inputs) {
  const folders = inputs.map((file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]);
  return [...new Set(folders.filter((folder) => folder !== undefined))]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(path.join(root, folder, "package.json"), "utf8"));
      const file = readdirSync(path.join(root, folder)).find((each) => /^licen[cs]e/i.test(each));
      const text = file === undefined ? "" : readFileSync(path.join(root, folder, file), "utf8");
      return `${name} ${version} (${license})\n\n${text.trim()}\n`;
    })
    .join(`\n${"-".repeat(80)}\n\n`);
}
