/**
 * The client of a lab's init: starts one (`startInit`), or reaches the one of a running lab (`connectInit`).
 */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { constants as os } from "node:os";
import { join } from "node:path";
import { Watch } from "../kernel/poll.js";
import { SystemCallError } from "../kernel/system-error.js";
import { close, connect, constants, open, pidfdOpen, socket, socketpair, unixAddress } from "../kernel/syscalls.js";
import { Failure } from "../model/failure.js";
import type {
  ContainerOutput,
  ExitStatus,
  InitLine,
  InitProcess,
  MappedIds,
  NodeStatus,
  SpawnRequest,
  SysctlEntry,
  TerminalSize,
} from "./api.js";
import { Connection, type Reply, initGone } from "./connection.js";
import { helperProgram, sealedCopy } from "./helper-binary.js";
import { findIdRanges, mappedIds } from "./id-ranges.js";
import { LabProcess, exitStatus } from "./process.js";
import { descriptorsMax, FieldWriter, protocolVersion, request, spawnFlag } from "./protocol.js";
import { readToEnd } from "./read-to-end.js";

export interface InitOptions {
  /** The lab's state folder: holds `init.sock` and `init.pid`. Made (0700) where it is not there. */
  readonly stateFolder: string;
}

export interface StartOptions extends InitOptions {
  /**
   * Without root: a user namespace (nsfs descriptor, stays the caller's) to live in, instead of a new one. That of a
   * container which the same user runs (rootless Podman), whose network namespace can then be adopted and entered.
   */
  readonly userNamespace?: number;
}

/** Starts the init of a new lab. Until `commit` the lab ends with this process. */
export async function startInit({ stateFolder, userNamespace }: StartOptions): Promise<InitLine> {
  mkdirSync(stateFolder, { recursive: true, mode: 0o700 });
  const [ours, theirs] = socketpair(constants.AF_UNIX, constants.SOCK_SEQPACKET);
  const connection = new Connection(ours);
  try {
    const join = userNamespace === undefined ? [] : [userNamespace];
    const how = userNamespace === undefined ? rangeWords() : ["join"];
    const starter = spawn(`/proc/self/fd/${helperProgram()}`, [stateFolder, ...how], {
      argv0: "yapc-init",
      cwd: "/",
      detached: true,
      env: {},
      stdio: ["ignore", "ignore", "ignore", theirs, ...join],
    });
    // Its failure shows as the end of the connection, too; without a listener it would end this process.
    starter.on("error", () => connection[Symbol.dispose]());
    starter.unref();
  } finally {
    close(theirs);
  }
  return greet(connection, stateFolder);
}

/** In the order of helper/ids.h. */
function rangeWords(): string[] {
  const ranges = process.getuid?.() === 0 ? undefined : findIdRanges();
  if (ranges === undefined) return [];
  return [ranges.users, ranges.groups].flatMap(({ program, first, count }) => [program, String(first), String(count)]);
}

/** Connects to the init of a running lab. Throws a Failure `NO_LAB` where none runs. */
export async function connectInit({ stateFolder }: InitOptions): Promise<InitLine> {
  const fd = socket(constants.AF_UNIX, constants.SOCK_SEQPACKET, 0);
  try {
    connectBelow(fd, stateFolder);
  } catch (error) {
    close(fd);
    const absent = error instanceof SystemCallError && ["ENOENT", "ECONNREFUSED", "ENOTDIR"].includes(error.code);
    if (absent) throw new Failure("usage", `no lab runs in ${stateFolder}`, { code: "NO_LAB", cause: error });
    throw new Failure("kernel", `cannot reach the lab in ${stateFolder}`, { cause: error, ...codeOf(error) });
  }
  return greet(new Connection(fd), stateFolder);
}

/** A socket address holds 107 bytes: the folder goes by descriptor, so that its path may be longer. */
function connectBelow(fd: number, folder: string): void {
  const directory = open(folder, constants.O_PATH);
  try {
    connect(fd, unixAddress(`/proc/self/fd/${directory}/init.sock`));
  } finally {
    close(directory);
  }
}

function codeOf(error: unknown): { code?: string } {
  return error instanceof SystemCallError ? { code: error.code } : {};
}

async function greet(connection: Connection, stateFolder: string): Promise<InitLine> {
  try {
    const { fields } = await connection.call(request.hello, new FieldWriter());
    const version = fields.u32();
    if (version !== protocolVersion) {
      throw new Failure("usage", `the lab in ${stateFolder} was started by another version of yapc-net`, {
        code: "PROTOCOL",
        hint: "end it with the version that started it",
      });
    }
    const rootless = fields.u8() === 1;
    // Init wrote it before it listened.
    const [pid = "", startTime = ""] = readFileSync(join(stateFolder, "init.pid"), "utf8").trim().split(" ");
    return new LabInit(connection, Number(pid), startTime, rootless, mappedIds(Number(pid)));
  } catch (error) {
    connection[Symbol.dispose]();
    throw error;
  }
}

class LabInit implements InitLine {
  readonly gone: Promise<void>;
  readonly #pidfd: number;
  readonly #death: Watch;
  #disposed = false;
  #ended = false;

  constructor(
    readonly connection: Connection,
    readonly pid: number,
    readonly startTime: string,
    readonly rootless: boolean,
    readonly ids: MappedIds,
  ) {
    // The connection stands, so init lives, and the number is still its own.
    this.#pidfd = pidfdOpen(pid);
    let settle: () => void = () => undefined;
    this.gone = new Promise((resolve) => (settle = resolve));
    this.#death = new Watch(
      this.#pidfd,
      () => {
        this.#ended = true;
        settle();
        this[Symbol.dispose]();
      },
      { keepsAlive: false },
    );
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#death[Symbol.dispose]();
    close(this.#pidfd);
    this.connection[Symbol.dispose]();
  }

  async createNodes(nodes: readonly { readonly name: string; readonly container: boolean }[]): Promise<void> {
    // A name has at most 128 bytes: a thousand of them fit one message.
    for (let at = 0; at < nodes.length; at += 1000) {
      const some = nodes.slice(at, at + 1000);
      const names = (container: boolean) => some.filter((node) => node.container === container).map(({ name }) => name);
      await this.connection.call(request.createNodes, new FieldWriter().strings(names(false)).strings(names(true)));
    }
  }

  async adoptNode(name: string, namespace: number): Promise<void> {
    await this.connection.call(request.adoptNode, new FieldWriter().string(name), name, [namespace]);
  }

  async removeNode(name: string): Promise<void> {
    await this.connection.call(request.removeNode, new FieldWriter().string(name), name);
  }

  async nodes(): Promise<readonly NodeStatus[]> {
    const found: NodeStatus[] = [];
    for (let more = true; more;) {
      const { fields } = await this.connection.call(request.listNodes, new FieldWriter().u32(found.length));
      more = fields.u8() === 1;
      for (let count = fields.u32(); count > 0; count--) found.push(readNodeStatus(fields));
    }
    return found;
  }

  openNamespace(node: string): number {
    return onlyDescriptor(this.connection.callNow(request.openNamespaces, new FieldWriter().strings([node]), node));
  }

  openNetlink(node: string, protocol: number): number {
    return this.openSocket(node, constants.AF_NETLINK, constants.SOCK_RAW, protocol);
  }

  openSocket(node: string, family: number, type: number, protocol: number): number {
    const fields = new FieldWriter().strings([node]).u32(family).u32(type).u32(protocol);
    return onlyDescriptor(this.connection.callNow(request.openSockets, fields, node));
  }

  openNamespaces(nodes: readonly string[]): Promise<readonly number[]> {
    return this.#openEach(nodes, (some) => [request.openNamespaces, new FieldWriter().strings(some)]);
  }

  openNetlinks(nodes: readonly string[], protocol: number): Promise<readonly number[]> {
    const { AF_NETLINK, SOCK_RAW } = constants;
    return this.#openEach(nodes, (some) => [
      request.openSockets,
      new FieldWriter().strings(some).u32(AF_NETLINK).u32(SOCK_RAW).u32(protocol),
    ]);
  }

  /** As many requests as it takes, one after the other: descriptors that are under way count against a limit, too. */
  async #openEach(
    nodes: readonly string[],
    ask: (some: readonly string[]) => [kind: number, fields: FieldWriter],
  ): Promise<readonly number[]> {
    const opened: number[] = [];
    try {
      for (let at = 0; at < nodes.length; at += descriptorsMax) {
        const some = nodes.slice(at, at + descriptorsMax);
        const reply = await this.connection.call(...ask(some));
        opened.push(...reply.descriptors);
        if (reply.descriptors.length !== some.length) throw missingDescriptor();
      }
      return opened;
    } catch (error) {
      for (const descriptor of opened) close(descriptor);
      throw error;
    }
  }

  async readSysctls(node: string, names: readonly string[]): Promise<readonly (string | undefined)[]> {
    const values: (string | undefined)[] = [];
    // A name has at most 255 bytes: so many of them fit one message.
    for (let at = 0; at < names.length; at += 600) {
      const some = names.slice(at, at + 600);
      const { fields } = await this.connection.call(
        request.readSysctls,
        new FieldWriter().string(node).strings(some),
        node,
      );
      for (let count = some.length; count > 0; count--) {
        const there = fields.u8() === 1;
        const value = fields.string();
        values.push(there ? value : undefined);
      }
    }
    return values;
  }

  async writeSysctls(node: string, entries: readonly SysctlEntry[]): Promise<void> {
    const fields = new FieldWriter().string(node).u32(entries.length);
    for (const [name, value, optional = false] of entries) fields.string(name).string(value).u8(Number(optional));
    await this.connection.call(request.writeSysctls, fields, node);
  }

  async readProcNet(node: string, path: string): Promise<string> {
    const reply = await this.connection.call(request.openProcNet, new FieldWriter().string(node).string(path), node);
    return readToEnd(onlyDescriptor(reply));
  }

  async spawn(spawned: SpawnRequest): Promise<InitProcess> {
    const { node = "", place, stdio } = spawned;
    const flags =
      (spawned.tied ? spawnFlag.tied : 0) |
      (stdio === "pty" ? spawnFlag.pty : 0) |
      (place === "container" ? spawnFlag.container : 0) |
      (spawned.ownView === true ? spawnFlag.ownView : 0) |
      (spawned.user === undefined ? 0 : spawnFlag.user);
    const fields = new FieldWriter()
      .string(node)
      .u8(flags)
      .string(spawned.workingDirectory ?? "")
      .strings(spawned.argv)
      .strings(spawned.environment.map(([name, value]) => `${name}=${value}`));
    if (spawned.user !== undefined) {
      const { uid, gid, groups } = spawned.user;
      for (const number of [uid, gid, groups.length, ...groups]) fields.u32(number);
    }
    if (stdio === "pty") fields.u32(sizeWord(spawned.size));
    return this.#start(request.spawn, fields, node, stdio === "pty" ? [] : stdio);
  }

  async startContainer(
    node: string,
    program: Uint8Array,
    files: readonly number[],
    output: ContainerOutput,
  ): Promise<InitProcess> {
    const flags = "logPath" in output ? 0 : output.stdio === "pty" ? spawnFlag.pty : spawnFlag.stdio;
    const tied = "logPath" in output || !output.tied ? 0 : spawnFlag.tied;
    const fields = new FieldWriter()
      .string(node)
      .u8(flags | tied)
      .string("logPath" in output ? output.logPath : "");
    if (!("logPath" in output) && output.stdio === "pty") fields.u32(sizeWord(output.size));
    const stdio = "logPath" in output || output.stdio === "pty" ? [] : output.stdio;
    const memory = sealedCopy("yapc-program", program);
    try {
      return await this.#start(request.startContainer, fields, node, [memory, ...stdio, ...files]);
    } finally {
      close(memory);
    }
  }

  async #start(kind: number, fields: FieldWriter, node: string, descriptors: readonly number[]): Promise<InitProcess> {
    const { started, exit } = this.connection.start(kind, fields, node === "" ? "the lab" : node, descriptors);
    const reply = await started;
    return new LabProcess(this.connection, reply.fields.u32(), reply.fields.u32(), reply.descriptors[0], exit);
  }

  async stopContainer(node: string, grace: number): Promise<ExitStatus | undefined> {
    const status = async () => (await this.nodes()).find(({ name }) => name === node);
    const process = (await status())?.process;
    if (process === undefined) return undefined;
    const id = () => new FieldWriter().u32(process);
    const ended = this.connection.exitOf(id(), node);
    const send = (signal: number) => this.connection.call(request.signal, id().u32(signal), node);
    const timer = setTimeout(() => void send(os.signals.SIGKILL).catch(() => undefined), grace);
    try {
      // It may end by itself in this moment: then there is nothing to signal, and its exit is what counts.
      await send(os.signals.SIGTERM).catch(() => undefined);
      return exitStatus(await ended);
    } catch (error) {
      if (error instanceof Failure && error.code === "ESRCH") return (await status())?.lastExit;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async commit(): Promise<void> {
    await this.connection.call(request.commit, new FieldWriter());
  }

  async shutdown(): Promise<void> {
    if (this.#ended) return;
    if (this.#disposed) throw initGone();
    // Init does not answer: it ends, and the call with it.
    this.connection.call(request.shutdown, new FieldWriter()).catch(() => undefined);
    this.#death.ref();
    await this.gone;
  }
}

/** As helper/wire.h has it. */
function sizeWord({ columns, rows }: TerminalSize = { columns: 80, rows: 24 }): number {
  return ((columns & 0xffff) << 16) | (rows & 0xffff);
}

function onlyDescriptor({ descriptors: [descriptor] }: Reply): number {
  if (descriptor === undefined) throw missingDescriptor();
  return descriptor;
}

function missingDescriptor(): Failure {
  return new Failure("kernel", "yapc-init answered without a descriptor", { code: "PROTOCOL" });
}

function readNodeStatus(fields: Reply["fields"]): NodeStatus {
  const name = fields.string();
  const container = fields.u8() === 1;
  const netns = fields.u64().toString();
  const descriptor = fields.u32();
  const [process, pid] = [fields.u32(), fields.u32()];
  const ended = fields.u8() === 1;
  const lastExit = exitStatus({ waitStatus: fields.u32(), outOfMemory: fields.u8() === 1 });
  return {
    name,
    container,
    netns,
    descriptor,
    ...(process === 0 ? {} : { process, pid }),
    ...(ended ? { lastExit } : {}),
  };
}
