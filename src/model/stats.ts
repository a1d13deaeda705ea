/** What `stats` tells: use of containers and traffic of interfaces over a span of time. */
import type { Limits } from "./container.js";

export interface LabStats {
  readonly lab: string;
  /** ISO 8601, UTC. */
  readonly time: string;
  /** Of the span that rates are means of, nanoseconds. */
  readonly span: number;
  readonly containers: readonly ContainerStats[];
  readonly interfaces: readonly InterfaceStats[];
}

export interface ContainerStats {
  readonly node: string;
  /** CPUs in use: 0.5 is half of one. */
  readonly cpu: number;
  /** Bytes resident, shared pages counted in each process. */
  readonly memory: number;
  readonly processes: number;
  /** As the topology gives them, those that its cgroups enforce. */
  readonly limits: Limits;
}

export interface InterfaceStats {
  readonly node: string;
  readonly interface: string;
  /** Since the interface was made. */
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly dropped: number;
  /** A second. */
  readonly rxRate: number;
  readonly txRate: number;
  readonly rxPacketRate: number;
  readonly txPacketRate: number;
}
