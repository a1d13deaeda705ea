/** `up --real`: the machine itself as a node of a lab: adopted by init, looked over first, its changes kept in a journal. */
import { closeSync, openSync } from "node:fs";
import { closeDoors, openDoors } from "../lab/machine/doors.js";
import { acceptRules, type OpenDoor } from "../lab/machine/forward-chains.js";
import { forwardersOf, forwardingSysctls } from "../lab/machine/forwarding.js";
import { Journal, type JournalContents, readJournal } from "../lab/machine/journal.js";
import { checkPlace, ownNamespace, ownNetns } from "../lab/machine/machine.js";
import { groupFor } from "../lab/machine/mark.js";
import { ownPart } from "../lab/machine/own-part.js";
import {
  forwardingInterfaces,
  machineInterfaces,
  machineNode,
  neededSysctls,
  preflight,
} from "../lab/machine/preflight.js";
import { MachineSite } from "../lab/machine/site.js";
import { bootId, type LabRecord, type MachineRecord } from "../lab/state.js";
import { Failure } from "../model/failure.js";
import type { Snapshot } from "../model/snapshot.js";
import type { ResolvedTopology } from "../topology/resolved.js";
import type { OpenLab } from "./open-lab.js";
import { uplinkEnds } from "./uplinks.js";

/** @throws Failure (machine) without root, Failure (usage) where the topology has no node for the machine */
export function checkReal(topology: ResolvedTopology): void {
  machineNode(topology);
  if (process.getuid?.() !== 0)
    throw new Failure("machine", "--real builds on this machine itself, which only root may do", {
      hint: "run it as root, or leave --real away: the lab then lives in namespaces of its own",
      code: "EPERM",
    });
}

/**
 * A topology as it is built on the machine. In a sandbox a node in one network forwards nothing; the machine has the
 * networks outside of the lab as well, so that with NAT it forwards.
 */
export function onTheMachine(topology: ResolvedTopology): ResolvedTopology {
  const machine = machineNode(topology);
  const translates = machine.nftables.some(({ chains }) => chains.some(({ hook }) => hook?.type === "nat"));
  if (!translates) return topology;
  const name = forwardingSysctls[4];
  const sysctls = [...machine.sysctls.filter((entry) => entry.name !== name), { name, value: "1" }];
  return { ...topology, nodes: topology.nodes.map((node) => (node === machine ? { ...node, sysctls } : node)) };
}

/** What the record of a lab with a node on the machine says of it. */
export function realRecord(topology: ResolvedTopology): MachineRecord {
  const node = machineNode(topology);
  return { node: node.name, needs: neededSysctls(node) };
}

export class RealMachine implements Disposable {
  private constructor(
    private readonly lab: OpenLab,
    private readonly journal: Journal,
    /** For `apply`: what is done on the machine is marked and journalled. */
    readonly site: MachineSite,
    private readonly snapshot: Snapshot,
    private readonly doors: readonly OpenDoor[],
    /** Between which the machine forwards. */
    private readonly interfaces: readonly string[],
  ) {}

  /** For a lab that is being made. @throws Failure (machine) where it cannot stand beside what is there */
  static async enter(lab: OpenLab, topology: ResolvedTopology, onWarning: (text: string) => void) {
    const namespace = openSync(ownNamespace, "r");
    try {
      await lab.line.adoptNode(machineNode(topology).name, namespace);
    } finally {
      closeSync(namespace);
    }
    const snapshot = await lab.snapshot();
    const taken = new Set(snapshot.nodes.flatMap((node) => node.interfaces.map(({ group }) => group)));
    const header = { lab: topology.name, bootId: bootId(), netns: ownNetns(), group: groupFor(topology.name, taken) };
    const journal = Journal.open(lab.found.folder.path, header);
    return RealMachine.#check(lab, topology, snapshot, journal, onWarning);
  }

  /** For a lab that runs: what there was to warn of was said when it was made. */
  static open(lab: OpenLab, topology: ResolvedTopology, snapshot: Snapshot) {
    const { folder, record } = lab.found;
    if (record.machine?.node !== topology.machine)
      throw new Failure("usage", `the machine is node '${record.machine?.node ?? ""}' of lab '${record.name}'`, {
        hint: `end it first: yapc-net down ${record.name}`,
      });
    const known = readJournal(folder.path);
    if (known === undefined)
      throw new Failure("kernel", `the journal of lab '${record.name}' is lost`, {
        hint: `end it: yapc-net down ${record.name}`,
      });
    checkPlace(known.header);
    return RealMachine.#check(lab, topology, snapshot, Journal.open(folder.path, known.header), () => undefined);
  }

  /** Looks the machine over. The journal becomes ours. */
  static #check(
    lab: OpenLab,
    topology: ResolvedTopology,
    snapshot: Snapshot,
    journal: Journal,
    onWarning: (text: string) => void,
  ): RealMachine {
    try {
      const node = machineNode(topology);
      const machine = snapshot.nodes.find(({ name }) => name === node.name);
      if (machine === undefined) throw new Error(`${node.name} was not adopted`);
      const interfaces = [...forwardingInterfaces(topology, node), ...uplinkEnds(topology, node.name)];
      const { doors, warnings } = preflight(topology, node, machine, contentsOf(lab), interfaces);
      for (const text of warnings) onWarning(text);
      const forwarders = forwardersOf(machine.interfaces, machine.nftables);
      const site = new MachineSite(topology.name, node.name, journal, machineInterfaces(topology, node), forwarders);
      return new RealMachine(lab, journal, site, snapshot, doors, interfaces);
    } catch (error) {
      journal[Symbol.dispose]();
      throw error;
    }
  }

  /** What a plan may see of the snapshot: of the machine only what is the lab's own. */
  get visible(): Snapshot {
    const { lab, node } = this.site;
    return {
      ...this.snapshot,
      nodes: this.snapshot.nodes.map((each) => (each.name === node ? ownPart(each, lab, contentsOf(this.lab)) : each)),
    };
  }

  /** Lets packets of the lab past the chains of others. To be called when the network stands. */
  openDoors(): void {
    const { lab, node } = this.site;
    const client = this.lab.sockets.netfilter(node);
    const wanted = this.interfaces.flatMap((name) => acceptRules(lab, name));
    closeDoors(client, lab, new Set(wanted.map(({ comment }) => comment ?? "")));
    openDoors(client, this.journal, this.doors, this.interfaces);
  }

  [Symbol.dispose](): void {
    this.journal[Symbol.dispose]();
  }
}

function contentsOf(lab: OpenLab): JournalContents {
  const contents = readJournal(lab.found.folder.path);
  if (contents === undefined) throw new Error("a journal was opened here");
  return contents;
}

/** Whether a lab has its machine node on the machine itself. */
export function isReal(record: LabRecord): boolean {
  return record.machine?.node !== undefined;
}
