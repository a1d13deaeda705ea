/** Paths inside the root of a container that is not there yet. */
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { posix } from "node:path";
import type { ContainerSite, LowerLayer } from "../model/container.js";
import { Failure, fileFailure } from "../model/failure.js";

/** As many as the kernel follows (path_resolution(7)). */
const maximumLinks = 40;

/** The path that a file of the container has once the links of its root are followed; links do not lead out. */
export function resolveInside(lower: LowerLayer, path: string): string {
  const base = lower.kind === "folder" ? lower.path : "";
  const ahead = posix.normalize(posix.join("/", path)).split("/").filter(Boolean);
  const done: string[] = [];
  for (let links = 0; ahead.length > 0;) {
    const part = ahead.shift() ?? "";
    if (part === "..") {
      done.pop();
      continue;
    }
    const here = `${base}/${[...done, part].join("/")}`;
    const last = ahead.length === 0;
    if (!last && isLink(here)) {
      if (++links > maximumLinks) {
        throw new Failure("usage", `too many links on the way to ${path} in the root of the container`, {
          code: "ELOOP",
        });
      }
      const text = readlinkSync(here);
      if (text.startsWith("/")) done.length = 0;
      ahead.unshift(...text.split("/").filter((piece) => piece !== "" && piece !== "."));
    } else {
      done.push(part);
    }
  }
  return `/${done.join("/")}`;
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}

/** The most that a passwd file may have. Bytes. */
const passwdMax = 1 << 20;

/** Text of a small file of the container-to-be: one of its own `files`, or one of its root; empty where there is none. */
export function readInside(site: Pick<ContainerSite, "lower" | "files">, path: string): string {
  const inside = resolveInside(site.lower, path);
  const own = site.files.find(([target]) => target === inside);
  if (own !== undefined) return own[1];
  const file = `${site.lower.kind === "folder" ? site.lower.path : ""}${inside}`;
  return readSmall(file) ?? "";
}

/** Of a plain file of a sane size. */
export function readSmall(file: string): string | undefined {
  try {
    const found = lstatSync(file, { throwIfNoEntry: false });
    return found?.isFile() === true && found.size <= passwdMax ? readFileSync(file, "utf8") : undefined;
  } catch (error) {
    throw fileFailure(`read ${file}`, error, "the root of a container must be readable for you");
  }
}
