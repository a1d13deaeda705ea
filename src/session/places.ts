/** Where the files that ship with the program lie. */
import { existsSync } from "node:fs";
import path from "node:path";

/** The package's root: the nearest folder above with a package.json, as this file runs from a bundle, too. */
export const packageRoot = nearest(import.meta.dirname);

function nearest(folder: string): string {
  const above = path.dirname(folder);
  return above === folder || existsSync(path.join(folder, "package.json")) ? folder : nearest(above);
}

export const shippedTopologies = path.join(packageRoot, "topologies");
export const shippedCaptures = path.join(packageRoot, "captures");
