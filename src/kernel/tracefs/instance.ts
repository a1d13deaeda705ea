/**
 * A trace instance of our own (tracefs, Documentation/trace/ftrace.rst, "Instances"): its own ring, its own events, so that
 * nothing that others trace is changed. Whoever is killed leaves it behind, with its events on, and it goes with the next
 * trace of its kind or with `gc`: the name tells whose it was.
 */
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { Failure } from "../../model/failure.js";
import { type EventFormat, parseFormat } from "./format.js";

const roots = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
const prefix = "yapc-net-";

/** Folder of the instances; undefined where no tracefs is mounted. */
function instancesFolder(): string | undefined {
  return roots.map((root) => path.join(root, "instances")).find((folder) => existsSync(folder));
}

export class TraceInstance implements Disposable {
  readonly #folder: string;
  readonly #descriptors: number[] = [];

  /** @throws Failure (machine) */
  constructor() {
    const instances = instancesFolder();
    if (process.getuid?.() !== 0)
      throw new Failure("machine", "trace events of the kernel are open to root only", {
        hint: "run it with sudo",
        code: "EPERM",
      });
    if (instances === undefined)
      throw new Failure("machine", "the kernel's trace events cannot be reached: no tracefs is mounted", {
        hint: "mount -t tracefs tracefs /sys/kernel/tracing",
        code: "ENOENT",
      });
    if (os.endianness() !== "LE")
      throw new Failure("machine", "trace events are read on little-endian machines only", { code: "ENOTSUP" });
    this.#folder = path.join(instances, `${prefix}${process.pid}-${startTimeOf(process.pid) ?? ""}`);
    try {
      mkdirSync(this.#folder);
    } catch (error) {
      throw new Failure("machine", `the kernel makes no trace instance ${this.#folder}`, { cause: error });
    }
  }

  format(event: string): EventFormat {
    return parseFormat(readFileSync(path.join(this.#folder, "events", event, "format"), "latin1"));
  }

  /** @param file such as `trace_clock` @throws Failure (machine) */
  write(file: string, text: string): void {
    try {
      writeFileSync(path.join(this.#folder, file), text);
    } catch (error) {
      throw new Failure("machine", `the kernel refuses '${text}' in ${path.join(this.#folder, file)}`, {
        cause: error,
      });
    }
  }

  /** Descriptors of the raw rings, one a processor: a read gives a page, or EAGAIN. They end with the instance. */
  openRings(): readonly number[] {
    const processors = readdirSync(path.join(this.#folder, "per_cpu"));
    for (const each of processors) {
      const ring = path.join(this.#folder, "per_cpu", each, "trace_pipe_raw");
      this.#descriptors.push(openSync(ring, constants.O_RDONLY | constants.O_NONBLOCK));
    }
    return this.#descriptors;
  }

  [Symbol.dispose](): void {
    for (const descriptor of this.#descriptors.splice(0)) closeSync(descriptor);
    if (existsSync(this.#folder)) rmdirSync(this.#folder);
  }
}

/** Instances of processes that are gone. */
export function staleInstances(): string[] {
  const folder = instancesFolder();
  if (folder === undefined) return [];
  return namesIn(folder).filter((name) => {
    const [, pid, started] = /^yapc-net-(\d+)-(\d*)$/.exec(name) ?? [];
    return pid !== undefined && startTimeOf(Number(pid)) !== started;
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // not ours to read: no root
  }
}

/**
 * Removes what `staleInstances` found. One that is in use stays, whatever its name says: of a process of another PID
 * namespace.
 * @returns those that are gone now
 */
export function removeInstances(names: readonly string[]): string[] {
  const folder = instancesFolder();
  return names.filter((name) => {
    try {
      rmdirSync(path.join(folder ?? "", name));
      return true;
    } catch {
      return false; // EBUSY, or gone already
    }
  });
}

/** Field 22 of /proc/PID/stat; undefined where there is no such process. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
