/**
 * `doctor`: what this machine can do, found out by doing it: a lab of two nodes is made and each feature tried in it.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { InitLine } from "../init/api.js";
import { findHierarchies } from "../init/cgroup.js";
import { startInit } from "../init/client.js";
import { findProgram } from "../init/find-program.js";
import { links, nftables, qdiscs, UnsupportedError } from "../kernel/index.js";
import { Failure } from "../model/failure.js";
import { NodeSockets } from "../observe/sockets.js";
import { searchPath } from "./exec.js";

export interface Check {
  readonly name: string;
  /** `missing`: labs or traces do not work without it. `limited`: something does not, and `text` says what. */
  readonly state: "ok" | "limited" | "missing";
  readonly text: string;
  /** The line that mends it. */
  readonly fix?: string;
}

/** Oldest kernel that the project is made for. */
const kernelFloor = [5, 15] as const;

export async function doctor(): Promise<readonly Check[]> {
  return [checkNode(), checkKernel(), ...programChecks(), ...(await labChecks()), ...limitChecks()];
}

function checkNode(): Check {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const good = major > 20 || (major === 20 && minor >= 19);
  return {
    name: "Node.js",
    state: good ? "ok" : "missing",
    text: process.version,
    ...(good ? {} : { fix: "install Node.js 20.19 or newer: https://nodejs.org" }),
  };
}

function checkKernel(): Check {
  const release = os.release();
  const [major = 0, minor = 0] = release.split(".").map(Number);
  const older = (than: readonly [number, number]): boolean => major < than[0] || (major === than[0] && minor < than[1]);
  if (older(kernelFloor)) return { name: "kernel", state: "limited", text: `${release}: older than 5.15, not tested` };
  if (older([6, 1]))
    return { name: "kernel", state: "limited", text: `${release}: fewer reasons of drops than 6.1 has` };
  return { name: "kernel", state: "ok", text: release };
}

interface Program {
  readonly name: string;
  readonly package: string;
  /** What does not work without it. */
  readonly purpose: string;
  readonly needed: boolean;
}

const programs: readonly Program[] = [
  { name: "tcpdump", package: "tcpdump", purpose: "trace", needed: true },
  { name: "busybox", package: "busybox-static", purpose: "the servers in the topologies that ship", needed: false },
  { name: "curl", package: "curl", purpose: "requests in the examples", needed: false },
];

function programChecks(): Check[] {
  return programs.map(({ name, package: debian, purpose, needed }) => {
    const found = findProgram(name, searchPath);
    if (found !== undefined) return { name, state: "ok", text: found };
    return {
      name,
      state: needed ? "missing" : "limited",
      text: `not found; needed for ${purpose}`,
      fix: `sudo apt-get install ${debian}`,
    };
  });
}

async function labChecks(): Promise<Check[]> {
  const folder = mkdtempSync(path.join(os.tmpdir(), "yapc-net-doctor-"));
  const name = process.getuid?.() === 0 ? "namespaces" : "user namespaces";
  let line: InitLine;
  try {
    line = await startInit({ stateFolder: path.join(folder, "lab") });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    const failure = error instanceof Failure ? error : undefined;
    return [
      {
        name,
        state: "missing",
        text: error instanceof Error ? error.message : String(error),
        ...(failure?.hint === undefined ? {} : { fix: failure.hint }),
      },
    ];
  }
  try {
    await line.createNodes([
      { name: "one", container: false },
      { name: "two", container: true },
    ]);
    using sockets = new NodeSockets(line);
    return [
      { name, state: "ok", text: line.rootless ? `as uid ${process.getuid?.() ?? 0}, without root` : "as root" },
      ...(line.rootless ? [idCheck(line.ids.users)] : []),
      ...featureChecks(sockets),
    ];
  } finally {
    await line.shutdown().catch(() => undefined);
    line[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  }
}

function idCheck(users: number): Check {
  const name = "ids of containers";
  if (users > 1) return { name, state: "ok", text: `${users} users, by newuidmap` };
  return {
    name,
    state: "limited",
    text: "root alone; without more: no other `user` of a container, no setgroups (apt-get) in it",
    fix: "sudo apt-get install uidmap, and a line for yourself in /etc/subuid and /etc/subgid (usermod --add-subuids)",
  };
}

function featureChecks(sockets: NodeSockets): Check[] {
  const route = sockets.route("one");
  const netfilter = sockets.netfilter("one");
  const end = { name: "y0", netnsFd: sockets.namespace("one") };
  const peer = { name: "y1", netnsFd: sockets.namespace("two") };
  const attempt = (name: string, state: "limited" | "missing", loss: string, action: () => void): Check => {
    try {
      action();
      return { name, state: "ok", text: "works" };
    } catch (error) {
      const reason =
        error instanceof UnsupportedError
          ? `this kernel is built without it (${error.feature.symbol})`
          : error instanceof Error
            ? error.message
            : String(error);
      return { name, state, text: `${reason}; without it: ${loss}` };
    }
  };
  const device = (): number => route.execute(links.get("y0")).index;
  return [
    attempt("veth", "missing", "no links", () => route.execute(links.add({ kind: "veth", ...end, peer }))),
    attempt("bridge", "missing", "no networks", () => route.execute(links.add({ kind: "bridge", name: "b0" }))),
    attempt("nf_tables with NAT", "missing", "no nat, no firewall", () =>
      nftables.replaceTables(netfilter, [
        {
          family: "inet",
          name: "probe",
          chains: [
            {
              name: "post",
              hook: { type: "nat", hook: "postrouting", priority: 100, policy: "accept" },
              rules: [{ statements: [{ kind: "masquerade" }] }],
            },
          ],
        },
      ]),
    ),
    attempt("rate (tbf)", "limited", "no `rate` on links", () =>
      route.execute(qdiscs.set(device(), { kind: "tbf", rate: 1e6, burst: 4096, limit: 65536 })),
    ),
    attempt("delay and loss (netem)", "limited", "no `delay`, `loss`, … on links", () =>
      route.execute(qdiscs.set(device(), { kind: "netem", delay: 1e6 })),
    ),
    attempt("macvlan", "limited", "no macvlan interfaces", () =>
      route.execute(links.add({ kind: "macvlan", name: "m0", parent: device(), mode: "bridge" })),
    ),
    attempt("vxlan", "limited", "no vxlan interfaces", () =>
      route.execute(links.add({ kind: "vxlan", name: "x0", vxlan: { id: 1, port: 4789 } })),
    ),
    attempt("vlan", "limited", "no vlan interfaces", () =>
      route.execute(links.add({ kind: "vlan", name: "v0", parent: device(), id: 5 })),
    ),
    attempt("vrf", "limited", "no vrf interfaces", () =>
      route.execute(links.add({ kind: "vrf", name: "r0", table: 10 })),
    ),
  ];
}

function limitChecks(): Check[] {
  const has = new Set(findHierarchies().flatMap((hierarchy) => hierarchy.has));
  const missing = (["cpu", "memory", "pids"] as const).filter((controller) => !has.has(controller));
  const overlay = /\boverlay$/m.test(readFileSync("/proc/filesystems", "utf8"));
  return [
    {
      name: "container limits",
      state: missing.length === 0 ? "ok" : "limited",
      text:
        missing.length === 0
          ? "cpu, memory and pids can be limited"
          : `${missing.join(", ")} cannot be limited: no cgroup that this user may write`,
      ...(missing.length > 0 && process.getuid?.() !== 0
        ? { fix: "run inside a delegated scope: systemd-run --user --scope -p Delegate=yes bash" }
        : {}),
    },
    overlay
      ? { name: "overlayfs", state: "ok", text: "known to the kernel" }
      : {
          name: "overlayfs",
          state: "missing",
          text: "not known to the kernel: no containers",
          fix: "sudo modprobe overlay",
        },
  ];
}
