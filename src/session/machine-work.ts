/** All that bringing up a lab has to do with the machine itself: its node there, and the ways out. */
import type { ApplyContext } from "../lab/apply.js";
import { lowerUnneeded } from "../lab/machine/clear.js";
import { forwardingSysctls } from "../lab/machine/forwarding.js";
import { Machine } from "../lab/machine/machine.js";
import type { MachineRecord } from "../lab/state.js";
import type { Snapshot } from "../model/snapshot.js";
import type { ResolvedTopology } from "../topology/resolved.js";
import type { OpenLab } from "./open-lab.js";
import { isReal, RealMachine, realRecord } from "./real-machine.js";
import { Uplinks, wantsUplink } from "./uplinks.js";

/** What a lab's record says of the machine; nothing for a sandbox without a way out. */
export function machineRecord(topology: ResolvedTopology, real: boolean): { readonly machine?: MachineRecord } {
  const uplink = wantsUplink(topology) && process.getuid?.() === 0;
  if (!real) return uplink ? { machine: { needs: [forwardingSysctls[4]] } } : {};
  const record = realRecord(topology);
  return { machine: uplink ? { ...record, needs: [...new Set([...record.needs, forwardingSysctls[4]])] } : record };
}

export class MachineWork implements Disposable {
  private constructor(
    private readonly real: RealMachine | undefined,
    private readonly uplinks: Uplinks | undefined,
    /** What a plan may see: of the machine only what is the lab's own. */
    readonly snapshot: Snapshot | undefined,
    readonly context: Pick<ApplyContext, "site" | "onNetwork">,
    private readonly lab: OpenLab,
  ) {}

  /**
   * Looks the machine over and gets hold of what the plan and its carrying out need.
   * @param before of a lab that runs: what it is now
   * @throws Failure where the lab cannot stand on this machine; nothing was changed on it then
   */
  static async prepare(
    lab: OpenLab,
    topology: ResolvedTopology,
    onWarning: (text: string) => void,
    before?: { readonly snapshot: Snapshot; readonly topology: ResolvedTopology },
  ): Promise<MachineWork> {
    const { record } = lab.found;
    const machine = isReal(record) ? topology.machine : undefined;
    const wish = wantsUplink(topology) || (before !== undefined && wantsUplink(before.topology));
    const real = isReal(record)
      ? before === undefined
        ? await RealMachine.enter(lab, topology, onWarning)
        : RealMachine.open(lab, topology, before.snapshot)
      : undefined;
    let uplinks: Uplinks | undefined;
    try {
      uplinks = wish ? new Uplinks(lab, topology, machine) : undefined;
      const doors = real === undefined ? (uplinks?.check() ?? []) : [];
      const onNetwork = async (): Promise<void> => {
        uplinks?.writeResolv(onWarning);
        await uplinks?.raise();
        if (real === undefined) uplinks?.openDoors(doors);
        else real.openDoors();
      };
      const context = { ...(real === undefined ? {} : { site: real.site }), onNetwork };
      return new MachineWork(real, uplinks, real?.visible ?? before?.snapshot, context, lab);
    } catch (error) {
      uplinks?.[Symbol.dispose]();
      real?.[Symbol.dispose]();
      throw error;
    }
  }

  /** Whether there is something to do beside the plan. */
  get hasWork(): boolean {
    // The chains of others may have changed since.
    return this.uplinks !== undefined || this.real !== undefined;
  }

  /** Gives back what the lab no longer needs. To be called when the rest is done, and the lab's record says so. */
  settle(topology: ResolvedTopology): void {
    const { found, line } = this.lab;
    if (line.rootless || !this.hasWork) return;
    const { machine: needed } = machineRecord(topology, this.real !== undefined);
    using machine = new Machine();
    lowerUnneeded(machine, found.folder.path, needed?.needs ?? []);
  }

  [Symbol.dispose](): void {
    this.uplinks?.[Symbol.dispose]();
    this.real?.[Symbol.dispose]();
  }
}
