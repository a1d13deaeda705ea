/** A process that init started for us. */
import { constants as os } from "node:os";
import { constants, ioctl, littleEndian } from "../kernel/syscalls.js";
import type { ExitStatus, InitProcess } from "./api.js";
import type { Connection, Exit } from "./connection.js";
import { FieldWriter, request } from "./protocol.js";

const signalNames = new Map(Object.entries(os.signals).map(([name, number]) => [number, name]));

/** Reads a wait status (wait(2)): the low seven bits are the signal, the second byte is the exit code. */
export function exitStatus({ waitStatus, outOfMemory }: Exit): ExitStatus {
  const signal = waitStatus & 0x7f;
  const how = signal === 0 ? { code: (waitStatus >> 8) & 0xff } : { signal: signalNames.get(signal) ?? `SIG${signal}` };
  return outOfMemory ? { ...how, outOfMemory } : how;
}

export class LabProcess implements InitProcess {
  readonly exit: Promise<ExitStatus>;
  readonly #connection: Connection;

  constructor(
    connection: Connection,
    readonly id: number,
    readonly pid: number,
    readonly pty: number | undefined,
    exit: Promise<Exit>,
  ) {
    this.#connection = connection;
    this.exit = exit.then(exitStatus);
    this.exit.catch(() => undefined);
  }

  signal(name: NodeJS.Signals): void {
    const fields = new FieldWriter().u32(this.id).u32(os.signals[name]);
    // A process that has just ended takes no signal: its exit says so.
    this.#connection.call(request.signal, fields).catch(() => undefined);
  }

  resize(columns: number, rows: number): void {
    if (this.pty === undefined) return;
    // struct winsize: rows, columns, and two that nobody fills (ioctl_tty(2)).
    const size = new DataView(new ArrayBuffer(8));
    size.setUint16(0, rows, littleEndian);
    size.setUint16(2, columns, littleEndian);
    ioctl(this.pty, constants.TIOCSWINSZ, new Uint8Array(size.buffer));
  }
}
