/** The ways out of a lab, while it is brought up: as root veths of the machine, else pasta. */
import { closeDoors, openDoors } from "../lab/machine/doors.js";
import { acceptRules, type OpenDoor } from "../lab/machine/forward-chains.js";
import { Journal, readJournal } from "../lab/machine/journal.js";
import { Machine, ownNetns } from "../lab/machine/machine.js";
import { groupFor } from "../lab/machine/mark.js";
import { checkPasta, raisePasta } from "../lab/machine/pasta.js";
import { checkForwarding, machineInterfaces, machineNode } from "../lab/machine/preflight.js";
import { checkUplinks, uplinkEnd, uplinkNodes } from "../lab/machine/uplink-network.js";
import { raiseUplinks } from "../lab/machine/uplinks.js";
import { resolvText, writeResolv } from "../lab/resolv.js";
import { bootId } from "../lab/state.js";
import type { ResolvedTopology } from "../topology/resolved.js";
import type { OpenLab } from "./open-lab.js";

/** Names of the machine's ends of the uplinks of a topology. None without root: pasta needs none. */
export function uplinkEnds(topology: ResolvedTopology, machine: string | undefined): string[] {
  if (process.getuid?.() !== 0) return [];
  return uplinkNodes(topology, machine).map(({ name }) => uplinkEnd(topology.name, name));
}

/** Whether a topology has a way out at all. */
export function wantsUplink(topology: ResolvedTopology): boolean {
  return topology.nodes.some((node) => node.uplink);
}

/** What becomes of the uplinks, in words of a plan. @param before absent for a new lab */
export function uplinkChanges(topology: ResolvedTopology, before: ResolvedTopology | undefined) {
  const names = (of: ResolvedTopology | undefined) =>
    (of?.nodes ?? []).filter((node) => node.uplink).map(({ name }) => name);
  const [wanted, present] = [names(topology), names(before)];
  return [
    ...present
      .filter((name) => !wanted.includes(name))
      .map((name) => ({ text: `${name}: take the uplink away`, reason: "not in the topology" })),
    ...wanted
      .filter((name) => !present.includes(name))
      .map((name) => ({ text: `${name}: make an uplink to the machine's network`, reason: "new" })),
  ];
}

/** @throws Failure (usage, machine) where a topology asks for an uplink that cannot be; nothing is done before */
export function checkUplinkWishes(topology: ResolvedTopology, machine: string | undefined): void {
  const nodes = uplinkNodes(topology, machine);
  checkUplinks(topology, nodes);
  if (process.getuid?.() !== 0) checkPasta(nodes);
}

export class Uplinks implements Disposable {
  readonly #machine = new Machine();
  #opened: Journal | undefined;

  /** @param machineNode the node that is the machine itself */
  constructor(
    private readonly lab: OpenLab,
    private readonly topology: ResolvedTopology,
    private readonly machineNode: string | undefined,
  ) {}

  /** Opened when the first entry is due: a dry run leaves none. */
  get #journal(): Journal {
    if (this.#opened === undefined) {
      const folder = this.lab.found.folder.path;
      const known = readJournal(folder)?.header;
      const taken = new Set(this.#machine.links().map(({ group }) => group));
      const { name } = this.topology;
      const header = known ?? { lab: name, bootId: bootId(), netns: ownNetns(), group: groupFor(name, taken) };
      this.#opened = Journal.open(folder, header);
    }
    return this.#opened;
  }

  /** Writes resolv.conf for the nodes. To be called before the first container starts. */
  writeResolv(onWarning: (text: string) => void): void {
    const text = wantsUplink(this.topology) ? resolvText() : undefined;
    if (text === undefined && wantsUplink(this.topology))
      onWarning("the machine names no DNS server that the lab could ask: names of the outside are unknown in it");
    for (const { name } of this.topology.nodes)
      if (name !== this.machineNode) writeResolv(this.lab.found.folder, name, text);
  }

  /** @throws Failure (machine) where somebody's chain drops what the uplinks forward */
  check(): readonly OpenDoor[] {
    const interfaces = uplinkEnds(this.topology, this.machineNode);
    if (interfaces.length === 0) return [];
    return checkForwarding({ nftables: this.#machine.tables() }, new Set([4]), interfaces);
  }

  /** To be called when the nodes are there. */
  async raise(): Promise<void> {
    const { line, sockets, found } = this.lab;
    const folder = found.folder.path;
    if (line.rootless) {
      await raisePasta(this.topology, { line, journal: this.#journal, sockets, folder });
      return;
    }
    const itself = this.topology.nodes.some((node) => node.name === this.machineNode && node.uplink);
    const behind = itself ? machineInterfaces(this.topology, machineNode(this.topology)) : [];
    raiseUplinks(this.topology, this.machineNode, {
      machine: this.#machine,
      journal: this.#journal,
      sockets,
      folder,
      behind,
    });
  }

  /** Of a sandbox; a real lab opens all its doors together. */
  openDoors(doors: readonly OpenDoor[]): void {
    if (this.lab.line.rootless) return; // pasta forwards nothing
    const interfaces = uplinkEnds(this.topology, this.machineNode);
    const wanted = interfaces.flatMap((name) => acceptRules(this.topology.name, name));
    closeDoors(this.#machine.netfilter, this.topology.name, new Set(wanted.map(({ comment }) => comment ?? "")));
    openDoors(this.#machine.netfilter, this.#journal, doors, interfaces);
  }

  [Symbol.dispose](): void {
    this.#opened?.[Symbol.dispose]();
    this.#machine[Symbol.dispose]();
  }
}
