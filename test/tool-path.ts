/** Where tests and benchmarks look for somebody else's tools. Not npm's: node_modules/.bin has an `nft` that is something else. */
import { findProgram } from "../src/init/find-program.js";

export const toolPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The first of these programs that is not on this machine. */
export function missingTool(...programs: readonly string[]): string | undefined {
  const folders = [...toolPath.split(":"), ...(process.env.PATH ?? "").split(":")];
  const searched = folders.filter((folder) => !folder.endsWith("node_modules/.bin"));
  return programs.find((program) => findProgram(program, searched.join(":")) === undefined);
}
