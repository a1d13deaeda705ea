/** Where the files that ship with the program lie. */
import { existsSync } from "node:fs";
import path from "node:path";

/** The package's root: two folders up from src/session, three from dist/src/session. */
export const packageRoot =
  [path.resolve(import.meta.dirname, "../../.."), path.resolve(import.meta.dirname, "../..")].find((folder) =>
    existsSync(path.join(folder, "package.json")),
  ) ?? path.resolve(import.meta.dirname, "../../..");

export const shippedTopologies = path.join(packageRoot, "topologies");
export const shippedCaptures = path.join(packageRoot, "captures");
