/** What a crash may leave: the things of a lab that are there, and a listing of what is not ours to touch. */
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { isRoot, program } from "./cli.js";

/** One line for each thing on this machine that belongs to a lab. */
export function remains(stateRoot: string, lab: string): string[] {
  const folder = path.join(stateRoot, lab);
  return [
    ...processes().flatMap(({ pid, command, cgroup }) =>
      command.includes(folder) || cgroup.includes(`/yapc-net-${lab}/`) ? [`process ${pid} ${command}`] : [],
    ),
    ...listing("/run/netns").flatMap((name) => (name.startsWith(`${lab}-`) ? [`/run/netns/${name}`] : [])),
    ...mounts().flatMap((line) => (line.includes(folder) ? [`mount ${line}`] : [])),
    ...cgroupFolders(lab),
    ...listing(stateRoot).flatMap((name) =>
      name === lab || name === `${lab}.lock` ? [path.join(stateRoot, name)] : [],
    ),
  ];
}

/** The same, without what nature leaves behind of a lab whose init was killed. */
export function unnatural(things: readonly string[]): string[] {
  return things.filter((each) => !each.startsWith("/"));
}

function processes(): { readonly pid: number; readonly command: string; readonly cgroup: string }[] {
  return listing("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, "latin1").replaceAll("\0", " ");
      const cgroup = readFileSync(`/proc/${name}/cgroup`, "latin1");
      // The CLI names a lab in its arguments, too: only what belongs to the lab counts.
      return command.includes("yapc-net.js") ? [] : [{ pid: Number(name), command, cgroup }];
    } catch {
      return []; // gone meanwhile
    }
  });
}

function cgroupFolders(lab: string): string[] {
  const name = `yapc-net-${lab}`;
  return mounts()
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => path.join(line.split(" ")[4] ?? "/", name))
    .filter((folder) => existsSync(folder));
}

function mounts(): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8").trim().split("\n");
}

function listing(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Links, addresses, routes, rules and mounts of the machine itself, as its own tools list them. */
export async function machineListing(): Promise<string> {
  const tools: [string, ...string[]][] = [
    ["ip", "-o", "link"],
    ["ip", "-o", "addr"],
    ["ip", "route", "show", "table", "all"],
    ["ip", "rule"],
    ...(isRoot ? [["nft", "list", "ruleset"] satisfies [string, ...string[]]] : []),
  ];
  const texts = await Promise.all(tools.map(([file, ...args]) => program(file, ...args).catch(() => undefined)));
  return [
    ...texts.map((each) => each?.stdout.replace(/(valid|preferred)_lft \d+sec/g, "") ?? ""),
    // Other tests may hold named namespaces meanwhile.
    ...mounts()
      .filter((line) => !line.includes("/netns"))
      .map((line) => line.split(" ").slice(3, 5).join(" ")),
    readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8"),
  ].join("\n");
}

/** Runs a program with an environment of its own. @returns what it wrote to its standard output */
export function runProgram(
  file: string,
  args: readonly string[],
  { cwd, environment }: { readonly cwd: string; readonly environment: Readonly<Record<string, string>> },
): Promise<{ readonly code: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, env: environment, stdio: ["ignore", "pipe", "ignore"] });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (part: string) => (text += part));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? 255, text }));
  });
}
