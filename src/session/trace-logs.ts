/** The logs of the containers of a trace: lines that stand in its time line, behind the last hop of what they answer. */
import path from "node:path";
import { followLogs, type LogFollower } from "../capture/container-log.js";
import { followEngineLog } from "../capture/engine-log.js";
import { type LogLine, stampOf } from "../capture/log-line.js";
import type { LabFolder } from "../lab/state.js";
import type { Hop } from "../model/hop.js";
import type { Snapshot } from "../model/snapshot.js";
import type { LogEvent } from "../model/trace.js";
import { engineSockets } from "../observe/docker-api.js";

export interface ContainerLogs {
  /** @param epoch nanoseconds since 1970 that are time 0; older lines are no news */
  follow(epoch: bigint, onLine: (line: LogEvent) => void): LogFollower;
}

/** Containers that have a hop in the trace. */
function containersOf(snapshot: Snapshot, hops: readonly Hop[]): string[] {
  const tapped = new Set(hops.map(({ node }) => node));
  return snapshot.nodes.filter(({ name, role }) => role === "container" && tapped.has(name)).map(({ name }) => name);
}

/** Of a lab: what its init keeps. */
export function labLogs(folder: LabFolder, snapshot: Snapshot, hops: readonly Hop[]): ContainerLogs {
  const nodes = new Map(containersOf(snapshot, hops).map((node) => [path.basename(folder.log(node)), node]));
  return {
    follow: (epoch, onLine) =>
      followLogs(folder.logs, [...nodes.keys()], (file, line) => tell(nodes.get(file) ?? file, line, epoch, onLine)),
  };
}

/** Of this machine: what the engine that runs a container keeps, where it has a name there. */
export function engineLogs(snapshot: Snapshot, hops: readonly Hop[], onWarning: (text: string) => void): ContainerLogs {
  return {
    follow(epoch, onLine) {
      const sockets = engineSockets(process.env);
      const followed = containersOf(snapshot, hops).map((container) =>
        followEngineLog({
          sockets,
          container,
          since: epoch,
          onLine: (line) => tell(container, line, epoch, onLine),
          onFailure: (reason) => onWarning(`the log of ${container} cannot be read from its engine (${reason})`),
        }),
      );
      return {
        flush: () => undefined,
        [Symbol.dispose]() {
          for (const each of followed) each[Symbol.dispose]();
        },
      };
    },
  };
}

function tell(node: string, line: LogLine, epoch: bigint, onLine: (line: LogEvent) => void): void {
  const stamp = stampOf(line.time);
  if (stamp === undefined || stamp < epoch) return;
  onLine({ type: "log", node, time: Number(stamp - epoch), stream: line.stream, text: line.text });
}
