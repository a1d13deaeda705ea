// Builds everything that is not in git: dist/ (tsc), dist/bundle (what bin/yapc-net.js starts) and its compiled code,
// yapc-init (cc), and the manifest of the commands, from which oclif prints help without loading them.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { bundle } from "./bundle.mjs";

const root = path.resolve(import.meta.dirname, "..");

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

run(process.execPath, "node_modules/typescript/bin/tsc", "-p", ".");
removeStale("dist/commands", "commands");
run("sh", "helper/build.sh");
await bundle(root);
run(process.execPath, "bin/compile.mjs");

rmSync(path.join(root, "oclif.manifest.json"), { force: true });
const { Plugin } = await import("@oclif/core");
const plugin = new Plugin({ root, type: "core", ignoreManifest: true, errorOnManifestCreate: true });
await plugin.load();
writeFileSync(path.join(root, "oclif.manifest.json"), JSON.stringify(plugin.manifest));

/** tsc leaves what it once made: a command whose source is gone would go on being one. */
function removeStale(made, sources) {
  for (const file of readdirSync(path.join(root, made)).filter((name) => name.endsWith(".js")))
    if (!existsSync(path.join(root, sources, file.replace(/js$/, "ts")))) rmSync(path.join(root, made, file));
}
