/** What a tap is told when it is started, and what it tells. */
import type { Pressure } from "../model/pressure.js";

/** Where a tap sits: an interface of a node, or `any`. */
export interface TapPlace {
  readonly node: string;
  readonly interface: string;
}

export interface TapOptions {
  readonly hop: TapPlace;
  /** pcap-filter(7) text; empty for everything. */
  readonly filter: string;
  /** Bytes kept of each frame. */
  readonly snapshotLength: number;
  /** KiB of the ring that packets wait in until they are read. */
  readonly ring?: number;
  /** In blocks: later, and cheaper (tcpdump.ts). */
  readonly block?: boolean;
  /** @param bytes valid until it returns */
  readonly onBytes: (bytes: Uint8Array) => void;
  /**
   * Whoever takes the records is behind: nothing is read until it settles, and what the ring cannot hold is lost and counted.
   * @param ending the tap has been told to end
   */
  readonly pressure?: (ending: boolean) => ReturnType<Pressure>;
  /** Records that `onBytes` has given so far, where somebody counts them: those that wait in the pipe are told from them. */
  readonly delivered?: () => number;
  /** Lost records so far (tcpdump's "dropped by kernel"), each time that tcpdump tells. */
  readonly onDrops: (dropped: number) => void;
  /** Everything that passed before this time (milliseconds since 1970) has been read: the answer to `ask`. */
  readonly onQuiet?: (time: number) => void;
  /** Asked how far it has come, it has not answered, nor delivered anything, for two seconds; or it answers again. */
  readonly onSilence?: (silent: boolean) => void;
  /** tcpdump ended, and nobody had asked it to, or it had to be killed. What it had written has been read. */
  readonly onDeath: (reason: string) => void;
}
