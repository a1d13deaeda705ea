/** A probe: one TCP connection, UDP datagram or ICMP echo, made in a node by a socket that init opened there. */
import { setTimeout as delay } from "node:timers/promises";
import type { NodeLine } from "../init/api.js";
import { SystemCallError } from "../kernel/index.js";
import { familyOf, type InetAddress, inetAddress, readInetAddress } from "../kernel/inet-address.js";
import {
  bind,
  closeQuietly,
  connect,
  constants,
  getsockname,
  getsockoptInt,
  poll,
  recv,
  send,
} from "../kernel/syscalls.js";
import { Failure } from "../model/failure.js";
import { EchoSocket, unreachableText } from "./echo.js";

export interface ProbeTarget {
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly address: string;
  /** 0 for ICMP. */
  readonly port: number;
}

export interface ProbeResult {
  readonly outcome: "answered" | "refused" | "unanswered";
  /** What the node's kernel said, where that is more than silence. */
  readonly reason?: string;
  /** The probe's own end; absent where it could not be sent at all. */
  readonly local?: InetAddress;
}

const SO_ERROR = 4;
/** How often a socket is looked at, in milliseconds. */
const interval = 3;
const greeting = new TextEncoder().encode("yapc-net probe\n");

/**
 * @param patience milliseconds to wait for an answer
 * @param from address and port to send from, where the kernel shall not choose them; an echo has neither
 * @throws Failure (usage) where the node has not that address, or the port is in use
 */
export async function probe(
  line: NodeLine,
  node: string,
  target: ProbeTarget,
  patience: number,
  from?: Partial<InetAddress>,
): Promise<ProbeResult> {
  if (target.protocol === "icmp") return probeEcho(line, node, target.address, patience);
  const tcp = target.protocol === "tcp";
  const kind = tcp ? constants.SOCK_STREAM : constants.SOCK_DGRAM;
  const fd = line.openSocket(node, familyOf(target.address), kind | constants.SOCK_NONBLOCK, 0);
  let local: InetAddress | undefined;
  try {
    if (from !== undefined) bindTo(fd, node, target, from);
    const done = connect(fd, inetAddress(target.address, target.port));
    local = readInetAddress(getsockname(fd));
    if (tcp) return { ...(done ? { outcome: "answered" } : await connected(fd, patience)), local };
    send(fd, greeting);
    return { ...(await datagramAnswered(fd, patience)), local };
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return { ...failed(error), ...(local === undefined ? {} : { local }) };
  } finally {
    closeQuietly(fd);
  }
}

function bindTo(fd: number, node: string, target: ProbeTarget, from: Partial<InetAddress>): void {
  const { address = target.address.includes(":") ? "::" : "0.0.0.0", port = 0 } = from;
  try {
    bind(fd, inetAddress(address, port));
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    const what = port === 0 ? address : `${address} port ${port}`;
    throw new Failure("usage", `${node} cannot send from ${what}: ${error.message}`, {
      code: error.code,
      cause: error,
    });
  }
}

type Answer = Omit<ProbeResult, "local">;

async function connected(fd: number, patience: number): Promise<Answer> {
  const deadline = Date.now() + patience;
  while (poll(fd, constants.POLLOUT, 0) === 0) {
    if (Date.now() > deadline) return { outcome: "unanswered" };
    await delay(interval);
  }
  const errno = getsockoptInt(fd, constants.SOL_SOCKET, SO_ERROR);
  return errno === 0 ? { outcome: "answered" } : failed(new SystemCallError(errno, "connect"));
}

async function datagramAnswered(fd: number, patience: number): Promise<Answer> {
  const buffer = new Uint8Array(2048);
  const deadline = Date.now() + patience;
  while (recv(fd, buffer) === undefined) {
    if (Date.now() > deadline) return { outcome: "unanswered" };
    await delay(interval);
  }
  return { outcome: "answered" };
}

async function probeEcho(line: NodeLine, node: string, address: string, patience: number): Promise<ProbeResult> {
  let socket: EchoSocket;
  try {
    socket = EchoSocket.open(line, node, address);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return failed(error);
  }
  try {
    const local = { address: socket.local, port: 0 };
    const result = await socket.echo(patience);
    return result.kind === "answered"
      ? { outcome: "answered", local }
      : { outcome: "unanswered", reason: result.reason, local };
  } finally {
    socket[Symbol.dispose]();
  }
}

function failed(error: SystemCallError): Answer {
  const refused = error.code === "ECONNREFUSED" || error.code === "ECONNRESET";
  return { outcome: refused ? "refused" : "unanswered", reason: unreachableText(error) };
}
