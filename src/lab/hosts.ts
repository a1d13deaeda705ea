/** /etc/hosts of the nodes: a file a node in the lab's folder, which init binds over /etc/hosts for what runs there. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { HostsLine } from "../topology/resolved.js";
import type { LabFolder } from "./state.js";

const loopbackLines = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";

/** Nodes with the same lines share one list: in a lab of 1,000 a text of 1,000 lines is put together once. */
const texts = new WeakMap<readonly HostsLine[], string>();

export function hostsText(lines: readonly HostsLine[]): string {
  let text = texts.get(lines);
  if (text === undefined) {
    text = loopbackLines + lines.map(([address, names]) => `${address}\t${names.join(" ")}\n`).join("");
    texts.set(lines, text);
  }
  return text;
}

export function writeHosts(folder: LabFolder, node: string, lines: readonly HostsLine[]): void {
  // Written in place: a bind mount follows the inode, not the name.
  writeFileSync(path.join(folder.hosts, node), hostsText(lines), { mode: 0o644 });
}

export function readHosts(folder: LabFolder, node: string): string {
  try {
    return readFileSync(path.join(folder.hosts, node), "utf8");
  } catch {
    return loopbackLines;
  }
}
