/**
 * Uplinks without root: pasta (passt.top), one a node. It has a tap device in the node, and speaks for it on the machine
 * with sockets of its own, as any program of this user may.
 */
import { spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { InitLine } from "../../init/api.js";
import { links } from "../../kernel/index.js";
import { Failure } from "../../model/failure.js";
import type { NodeSockets } from "../../observe/sockets.js";
import type { ResolvedTopology } from "../../topology/resolved.js";
import { type Journal, type MadeOf, madeOf, readJournal } from "./journal.js";
import { endProcess, processesOf } from "./marked-process.js";
import { freeNetwork, labNetworks, uplinkName, type UplinkNetwork, uplinkNodes } from "./uplink-network.js";
import { masqueradeInNode } from "./uplinks.js";

export interface PastaSite {
  readonly line: InitLine;
  readonly journal: Journal;
  readonly sockets: NodeSockets;
  /** The lab's state folder. */
  readonly folder: string;
}

/** Milliseconds until a pasta has to have made its device. */
const patience = 10_000;

/** @throws Failure (machine) with the line that installs it */
export function checkPasta(nodes: readonly { readonly name: string }[]): void {
  const [first] = nodes;
  if (first === undefined || spawnSync("pasta", ["--version"]).error === undefined) return;
  throw new Failure(
    "machine",
    `the uplink of node '${first.name}' needs pasta, without root, and it is not installed`,
    {
      hint: "apt-get install passt; or run as root",
      code: "ENOENT",
    },
  );
}

/** Brings uplinks to what the topology says: to be called when the nodes are there. Twice is as good as once. */
export async function raisePasta(topology: ResolvedTopology, site: PastaSite): Promise<void> {
  const { journal, folder, line } = site;
  const statuses = await line.nodes();
  const wanted = uplinkNodes(topology).map(({ name }) => name);
  const running = processesOf(readJournal(folder));
  const namespaceOf = (node: string) => statuses.find(({ name }) => name === node);
  const kept = new Set<string>();
  for (const node of wanted) {
    const process = running.find(({ pidFile }) => pidFile === pidFileOf(folder, node));
    // A node that was made anew has another namespace, and the old pasta keeps the old one.
    if (process !== undefined && hasUplink(site, node)) kept.add(process.pidFile);
  }
  for (const process of running.filter(({ pidFile }) => !kept.has(pidFile))) {
    endProcess(process);
    journal.gone({ kind: "process", program: process.program, pidFile: process.pidFile });
  }
  const used = labNetworks(topology);
  for (const node of wanted) {
    const status = namespaceOf(node);
    if (kept.has(pidFileOf(folder, node)) || status === undefined) continue;
    const network = freeNetwork(`${topology.name}/${node}`, used);
    used.push(network.network);
    await startPasta(node, `/proc/${line.pid}/fd/${status.descriptor}`, network, site);
    masqueradeInNode(site.sockets.netfilter(node), topology.name);
  }
}

/** Whether the machine would have an uplink's process to end. */
export function pastaMarks(folder: string): MadeOf<"process">[] {
  return madeOf(readJournal(folder)?.made ?? [], "process");
}

function pidFileOf(folder: string, node: string): string {
  return path.join(folder, `uplink-${node}.pid`);
}

function hasUplink({ sockets }: PastaSite, node: string): boolean {
  const list = sockets.route(node).execute(links.list({ statistics: false }));
  return list.some(({ name, up }) => name === uplinkName && up);
}

async function startPasta(
  node: string,
  namespace: string,
  { network, machine, node: address }: UplinkNetwork,
  site: PastaSite,
): Promise<void> {
  const { journal, folder, line } = site;
  const pidFile = pidFileOf(folder, node);
  const log = path.join(folder, `uplink-${node}.log`);
  journal.make({ kind: "process", program: "pasta", pidFile });
  const ports = ["-t", "none", "-u", "none", "-T", "none", "-U", "none"];
  const addressing = ["-4", "-I", uplinkName, "-a", address, "-n", String(network.length), "-g", machine];
  const place = ["--userns", `/proc/${line.pid}/ns/user`, "--netns", namespace];
  rmSync(pidFile, { force: true });
  const output = openSync(log, "w", 0o600);
  const child = spawn(
    "pasta",
    ["--foreground", "--quiet", "--config-net", ...addressing, ...ports, ...place, "--pid", pidFile],
    // In a session of its own: Ctrl-C of the command that started it is not for it.
    { detached: true, stdio: ["ignore", output, output], cwd: "/" },
  );
  closeSync(output);
  const end = new AbortController();
  for (const event of ["error", "exit"] as const)
    child.once(event, () => {
      end.abort();
    });
  child.unref();
  const deadline = Date.now() + patience;
  while (!end.signal.aborted && Date.now() < deadline) {
    if (hasUplink(site, node)) return;
    await delay(10);
  }
  // Without a syslog daemon it says so after every line.
  const words = readFileSync(log, "utf8").split("\n");
  const reason = words.filter((line) => line !== "" && !line.includes("syslog")).join("; ");
  throw new Failure("machine", `pasta cannot make the uplink of node '${node}': ${reason || "it gives no reason"}`, {
    ...(reason.includes("tun") ? { hint: "this user must be able to open /dev/net/tun" } : {}),
  });
}
