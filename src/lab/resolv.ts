/** /etc/resolv.conf of a lab that has a way out: the machine's, without servers that only the machine itself can ask. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { isLoopback, parseAddress } from "../model/address.js";
import type { LabFolder } from "./state.js";

/** The machine's own, and where systemd-resolved keeps the servers that stand behind its stub on 127.0.0.53. */
const sources = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/** @returns undefined where the machine names no server that a lab can ask */
export function resolvText(read: (file: string) => string | undefined = readText): string | undefined {
  for (const source of sources) {
    const lines = (read(source) ?? "").split("\n").map((line) => line.trim());
    const usable = lines.filter((line) => /^(nameserver|search|options|domain)\s/.test(line) && !isLocalServer(line));
    if (usable.some((line) => line.startsWith("nameserver"))) return `${usable.join("\n")}\n`;
  }
  return undefined;
}

function isLocalServer(line: string): boolean {
  const [word, server = ""] = line.split(/\s+/);
  const address = parseAddress(server);
  return word === "nameserver" && (address === undefined || isLoopback(address));
}

function readText(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

/** @param text undefined: the node sees the machine's own */
export function writeResolv(folder: LabFolder, node: string, text: string | undefined): void {
  const file = path.join(folder.resolv, node);
  // Written in place: a bind mount follows the inode, not the name.
  if (text === undefined) rmSync(file, { force: true });
  else writeFileSync(file, text, { mode: 0o644 });
}

/** What a container of the node finds in /etc/resolv.conf. */
export function readResolv(folder: LabFolder, node: string): string {
  return readText(path.join(folder.resolv, node)) ?? "";
}
