/** A running lab, opened: its line to init and the sockets of its nodes, closed together. */
import { connectInit } from "../init/client.js";
import type { InitLine } from "../init/api.js";
import { observe } from "../observe/snapshot.js";
import { NodeSockets } from "../observe/sockets.js";
import type { Snapshot } from "../model/snapshot.js";
import type { FoundLab } from "./target.js";

export class OpenLab implements Disposable {
  readonly sockets: NodeSockets;

  constructor(
    readonly found: FoundLab,
    readonly line: InitLine,
    onWarning?: (text: string) => void,
  ) {
    this.sockets = new NodeSockets(line, onWarning);
  }

  static async connect(found: FoundLab): Promise<OpenLab> {
    return new OpenLab(found, await connectInit({ stateFolder: found.folder.path }));
  }

  snapshot(): Promise<Snapshot> {
    const { record } = this.found;
    return observe(this.line, this.sockets, {
      lab: record.name,
      ...(record.topology.machine === undefined ? {} : { machine: record.topology.machine }),
      order: record.topology.nodes.map((node) => node.name),
      now: Date.now(),
    });
  }

  [Symbol.dispose](): void {
    this.sockets[Symbol.dispose]();
    this.line[Symbol.dispose]();
  }
}
