// Builds everything that is not in git: dist/ (tsc), the command manifest (oclif starts faster with it), yapc-init (cc).
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const root = path.resolve(import.meta.dirname, "..");

function run(command, ...args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

run(process.execPath, "node_modules/typescript/bin/tsc", "-p", ".");
if (existsSync(path.join(root, "helper/build.sh"))) run("sh", "helper/build.sh");

rmSync(path.join(root, "oclif.manifest.json"), { force: true });
const { Plugin } = await import("@oclif/core");
const plugin = new Plugin({ root, type: "core", ignoreManifest: true, errorOnManifestCreate: true });
await plugin.load();
writeFileSync(path.join(root, "oclif.manifest.json"), JSON.stringify(plugin.manifest));
