/** Which trace `view` means: a path, or the name of one that lies here or ships with the program. */
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { Failure } from "../model/failure.js";
import { closest } from "../model/spelling.js";
import { shippedCaptures } from "./places.js";

const endings = /\.(trace|pcap|pcapng|cap)$/;

/** Names listed in a hint. */
const listed = 8;

/** @returns the path. @throws Failure (usage) that names the traces there are */
export function findTrace(text: string): string {
  const name = text.replace(/\/+$/, "") || text;
  const places = [name, `${name}.trace`, ...(name.includes("/") ? [] : [path.join(shippedCaptures, `${name}.trace`)])];
  const found = places.find((each) => existsSync(each));
  if (found !== undefined) {
    if (statSync(found).isDirectory() && !existsSync(path.join(found, "trace.json"))) throw noTrace(found);
    return found;
  }
  const folder = path.dirname(name);
  const here = namesIn(folder).map((each) => path.join(folder, each));
  const shipped = folder === "." ? namesIn(shippedCaptures).map(stem) : [];
  const near = closest(stem(name), [...here, ...shipped].map(stem));
  const meant = near === undefined ? undefined : [...here, ...shipped].find((each) => stem(each) === near);
  throw new Failure("usage", `no trace ${text}`, {
    hint: meant === undefined ? whatThereIs(here, shipped) : `did you mean '${meant}'?`,
    code: "ENOENT",
  });
}

/** A folder, and none that `trace` made: perhaps one that holds some. */
function noTrace(folder: string): Failure {
  const inside = namesIn(folder).map((name) => path.join(folder, name));
  return new Failure("usage", `${folder} is a folder, and no saved trace: it has no trace.json`, {
    ...(inside.length === 0 ? {} : { hint: whatThereIs(inside, []) }),
  });
}

function whatThereIs(here: readonly string[], shipped: readonly string[]): string {
  const lists = [
    here.length === 0 ? "" : `there are: ${here.slice(0, listed).join(", ")}${here.length > listed ? ", …" : ""}`,
    shipped.length === 0 ? "" : `with the program come: ${shipped.join(", ")}`,
    "yapc-net trace --save NAME makes one",
  ];
  return lists.filter((text) => text !== "").join("; ");
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => endings.test(name))
      .sort();
  } catch {
    return []; // no such folder, or not ours to read: nothing to offer
  }
}

function stem(file: string): string {
  return file.replace(endings, "");
}
