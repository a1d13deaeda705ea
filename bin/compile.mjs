// Compiles dist/bundle for the node that runs this: the last step of the build, and of an installation by npm (the script
// "install" of package.json). In a checkout that is not built yet there is nothing to do.
import { existsSync } from "node:fs";
import path from "node:path";
import { compile } from "./modules.js";

const folder = path.resolve(import.meta.dirname, "../dist/bundle");
if (existsSync(folder)) compile(folder);
