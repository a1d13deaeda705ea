/** tcpdump as a tap: how it is called, and what it says on its standard error (tcpdump(1), 4.99). */

export interface TcpdumpSettings {
  readonly interface: string;
  /** pcap-filter(7) text; empty for everything. */
  readonly filter: string;
  /** Bytes kept of each frame. */
  readonly snapshotLength: number;
  /** KiB of the ring that packets wait in until they are read. Default: tcpdump's own (2 MiB). */
  readonly ring?: number;
  /** Reads whole blocks, up to a second late, rather than each packet as it comes. */
  readonly block?: boolean;
}

/** On every interface of a namespace: one ring, so one order, and the interface stands in each record. */
export const anyInterface = "any";

/**
 * Never promiscuous (`-p`): promiscuous taps make OTHERHOST drops of their own and change a live bridge. Immediate mode
 * for what is looked at as it comes: the block mode of TPACKET_V3 shows packets up to a second late, and of its open
 * block nothing survives an interrupt (measured: 0 of 12 packets of a short exchange), so that `Tap.stop` has to wait
 * for it. Where packets are many, it costs the traffic a third of what immediate mode does.
 */
export function tcpdumpArguments({
  interface: device,
  filter,
  snapshotLength,
  ring,
  block,
}: TcpdumpSettings): string[] {
  return [
    "tcpdump",
    "-i",
    device,
    ...(device === anyInterface ? ["-y", "LINUX_SLL2"] : []),
    "-p",
    "-n",
    ...(block === true ? [] : ["--immediate-mode"]),
    ...(ring === undefined ? [] : ["-B", String(ring)]),
    "--time-stamp-precision=nano",
    "-s",
    String(snapshotLength),
    "-U",
    "-w",
    "-",
    ...(filter === "" ? [] : [filter]),
  ];
}

/** "12 packets captured", and the like: what it counts at its end, a line each, and on SIGUSR1, all in one. */
const counted = /\d+ packets? (?:captured|received by filter|dropped by (?:kernel|interface))/;

function countOf(what: string, line: string): number | undefined {
  const digits = new RegExp(`(\\d+) packets? ${what}`).exec(line)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** What tcpdump answers to SIGUSR1. */
export interface TcpdumpCounts {
  /** Records that it has read. */
  readonly captured: number;
  /** Those that passed its filter: lost and unread ones among them. */
  readonly received: number;
  readonly dropped: number;
}

/** Reads tcpdump's standard error as it comes, in pieces of any size; holds on to no more than its last line. */
export class TcpdumpMessages {
  /** "listening on" was said: the ring is open, and no packet from now on is missed. */
  listening = false;
  /** Records that the kernel had no room for, in all; undefined until tcpdump has counted. */
  dropped: number | undefined;
  /** Called each time that it has counted. */
  onCounts: (counts: TcpdumpCounts) => void = () => undefined;
  #rest = "";
  #words = "";

  push(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#read(line);
  }

  /** Why it ended: "The interface disappeared". Empty where it said nothing but counts. */
  get lastWords(): string {
    return [this.#words, this.#rest].filter((text) => text !== "").join(" ");
  }

  #read(line: string): void {
    const dropped = countOf("dropped by kernel", line);
    if (dropped !== undefined) this.dropped = dropped;
    const [captured, received] = [countOf("captured", line), countOf("received by filter", line)];
    if (captured !== undefined && received !== undefined) this.onCounts({ captured, received, dropped: dropped ?? 0 });
    if (line.includes("listening on ")) this.listening = true;
    else if (line.startsWith("tcpdump: ") && !counted.test(line))
      this.#words = line.slice("tcpdump: ".length).replace(/^pcap_loop: /, "");
    // The system call's own words stand below, in parentheses.
    else if (line.startsWith("(") && this.#words !== "") this.#words += ` ${line}`;
  }
}
