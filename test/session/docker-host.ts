/**
 * A real Docker engine in a network and a mount namespace of its own, with a client outside:
 *
 *     client eth0 ──── eth0 host docker0 ──── veth… eth0 (containers)
 *     203.0.113.2      203.0.113.1
 *
 * Nothing of the machine's network is touched. A shell holds the namespaces; it ends the engine, and with it everything,
 * when its standard input is closed: so also when the test dies.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { program, until } from "../e2e/cli.js";
import { missingTool } from "../tool-path.js";
import { HeldHost } from "./held-host.js";

export const engine = "unix:///run/d.sock";

const script = `
set -e
mount -t tmpfs tmpfs /run
mkdir /run/netns
ip link set lo up
ip netns add client
ip netns exec client sysctl -qw net.ipv4.ip_forward=0
ip link add eth0 type veth peer name eth0 netns client
ip address add 203.0.113.1/24 dev eth0
ip link set eth0 up
ip -n client address add 203.0.113.2/24 dev eth0
ip -n client link set eth0 up
ip -n client link set lo up
dockerd --data-root "$FOLDER/data" --exec-root /run/dk -H ${engine} --pidfile /run/d.pid >"$FOLDER/log" 2>&1 </dev/null &
engine=$!
echo $engine
cat >/dev/null
set +e
containers=$(timeout 10 docker -H ${engine} ps -aq)
[ -z "$containers" ] || timeout 20 docker -H ${engine} rm -f $containers >/dev/null 2>&1
kill $engine 2>/dev/null
wait $engine
rm -rf "$FOLDER"
`;

/** Programs, and the packages of Debian that bring them. */
const needed = {
  dockerd: "docker.io",
  docker: "docker.io",
  busybox: "busybox-static",
  curl: "curl",
  tcpdump: "tcpdump",
  unshare: "util-linux",
};

/** Why there can be no such engine here; undefined where there can. */
export async function missing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "needs root";
  for (const [file, debian] of Object.entries(needed))
    if (missingTool(file) !== undefined) return `needs ${file}: apt-get install --no-install-recommends ${debian}`;
  const linked = await program("sh", "-c", 'ldd "$(command -v busybox)" 2>&1');
  return linked.code === 0 ? "busybox is not static: apt-get install busybox-static" : undefined;
}

export class DockerHost extends HeldHost {
  /** Inode of its network namespace. */
  readonly netns: string;

  private constructor(
    shell: ChildProcess,
    readonly engine: number,
    readonly folder: string,
  ) {
    super(shell);
    this.netns = namespaceOf(this.pid);
  }

  /** Starts the engine and imports the image `bb`: busybox, its applets, and a page in /www. */
  static async start(): Promise<DockerHost> {
    const folder = mkdtempSync(path.join(os.tmpdir(), "yapc-docker-"));
    const shell = spawn("unshare", ["-nm", "--propagation", "private", "sh", "-c", script], {
      env: { ...process.env, FOLDER: folder, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` },
      stdio: ["pipe", "pipe", "inherit"],
    });
    const [pid] = await firstLine(shell);
    const host = new DockerHost(shell, Number(pid), folder);
    try {
      if (!(await until(async () => (await host.run("docker", "-H", engine, "info")).code === 0, 30)))
        throw new Error(`dockerd did not come up: ${readFileSync(path.join(folder, "log"), "utf8").slice(-2000)}`);
      await host.import();
      return host;
    } catch (error) {
      await host.stop();
      throw error;
    }
  }

  docker(...args: readonly string[]): Promise<string> {
    return this.ok("docker", "-H", engine, ...args);
  }

  /** Starts a container of the image. @returns its address in its first network */
  async container(name: string, options: readonly string[], ...command: readonly string[]): Promise<string> {
    await this.docker("run", "-d", "--name", name, ...options, "bb", ...command);
    const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    return this.docker("inspect", "-f", format, name);
  }

  /** Name of the veth on this host whose other end is a container's eth0: by the index that the container tells. */
  async portOf(container: string): Promise<string> {
    const peer = await this.docker("exec", container, "/bin/cat", "/sys/class/net/eth0/iflink");
    const links = JSON.parse(await this.ok("ip", "-j", "link")) as {
      readonly ifindex: number;
      readonly ifname: string;
    }[];
    return links.find(({ ifindex }) => ifindex === Number(peer))?.ifname ?? "";
  }

  /** Ends the engine and all that it started. */
  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.shell.once("close", resolve));
    if (this.shell.exitCode === null) {
      this.shell.stdin?.end();
      const limit = setTimeout(() => this.shell.kill("SIGKILL"), 60_000);
      await ended;
      clearTimeout(limit);
    }
    rmSync(this.folder, { recursive: true, force: true });
    for (const group of cgroups()) removeIfEmpty(group);
  }

  /** Processes that are still in its network namespace. */
  processes(): number[] {
    return processesIn(this.netns);
  }

  private async import(): Promise<void> {
    const tree = path.join(this.folder, "tree");
    // A link called busybox would point at itself.
    await this.ok(
      "sh",
      "-c",
      `mkdir -p ${tree}/bin ${tree}/www && cp "$(command -v busybox)" ${tree}/bin/ && echo hello >${tree}/www/index.html &&
       for applet in $(busybox --list); do [ $applet = busybox ] || ln -s busybox ${tree}/bin/$applet; done &&
       tar -C ${tree} -c . | docker -H ${engine} import - bb`,
    );
  }
}

/** @throws where the shell ends before it has written one */
async function firstLine(shell: ChildProcess): Promise<string[]> {
  if (shell.stdout === null) throw new Error("the shell's output is not piped");
  for await (const line of createInterface(shell.stdout)) return [line];
  throw new Error("the namespaces of the engine could not be made");
}

function namespaceOf(pid: number): string {
  return /\d+/.exec(readlinkSync(`/proc/${pid}/ns/net`))?.[0] ?? "";
}

export function processesIn(netns: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return namespaceOf(pid) === netns;
      } catch {
        return false; // it has ended
      }
    });
}

/** Where Docker keeps the groups of its containers, in every hierarchy. It leaves the empty folder behind. */
function cgroups(): string[] {
  const root = "/sys/fs/cgroup";
  return ["docker", ...readdirSync(root).map((name) => path.join(name, "docker"))].map((name) => path.join(root, name));
}

function removeIfEmpty(group: string): void {
  try {
    rmdirSync(group);
  } catch {
    // not there, or in use by another engine
  }
}
