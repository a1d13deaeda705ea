/**
 * A container's program: settings of its command, and the flat list of operations that build what the command sees.
 * yapc-init runs the list (helper/operations.c), then its fixed end (helper/fixed-end.c).
 */
import type { ContainerUser } from "../model/container.js";

/** Flags of mount(2) (linux/mount.h). */
export const mountFlag = {
  readOnly: 1,
  noSuid: 2,
  noDev: 4,
  noExec: 8,
  /** With `bind`: the flags of a mount that is there already. */
  remount: 0x20,
  bind: 0x1000,
  recursive: 0x4000,
  strictAtime: 1 << 24,
} as const;

/** Paths of `inside` targets are below the base; the others are the machine's. */
interface Placed {
  readonly target: string;
  readonly inside: boolean;
  /** Goes on where the kernel refuses. */
  readonly optional?: boolean;
}

export type ProgramOperation =
  | { readonly kind: "base"; readonly target: string }
  | (Placed & { readonly kind: "mkdir"; readonly mode: number; readonly like?: string })
  | (Placed & { readonly kind: "write"; readonly mode: number; readonly content: string })
  | (Placed & { readonly kind: "copy"; readonly source: string })
  | (Placed & { readonly kind: "symlink"; readonly text: string })
  | (Placed & { readonly kind: "mount"; readonly type: string; readonly flags: number; readonly options: string })
  | (Placed & { readonly kind: "bind"; readonly source: string; readonly flags: number })
  | (Placed & { readonly kind: "makeDevice"; readonly mode: number; readonly device: Device })
  | (Placed & { readonly kind: "bindDevice"; readonly source: string; readonly device: Device })
  | (Placed & { readonly kind: "mask" | "readOnly" })
  | { readonly kind: "hostname"; readonly name: string }
  | { readonly kind: "pivot" };

export interface Device {
  readonly major: number;
  readonly minor: number;
}

export interface ContainerProgram {
  readonly command: readonly string[];
  readonly environment: readonly (readonly [string, string])[];
  readonly workingDirectory: string;
  readonly user: ContainerUser;
  readonly capabilities: bigint;
  /** Classic BPF: 8 bytes an instruction; empty where there is no filter. */
  readonly filter: Uint8Array;
  /** setrlimit(2). */
  readonly limits: readonly { readonly resource: number; readonly soft: bigint; readonly hard: bigint }[];
  readonly cgroupCount: number;
  readonly countsOom: boolean;
  readonly operations: readonly ProgramOperation[];
}
