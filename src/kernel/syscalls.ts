/**
 * System calls, typed. The one place that loads koffi: a function here is a thin cover over the C function of its name
 * (man 2 NAME), which throws a `SystemCallError` instead of returning -1. Buffers are passed by pointer, without a copy,
 * and only for the duration of the call; numbers of flags are in `constants`.
 *
 * A descriptor that is returned belongs to the caller. Every descriptor made here is close-on-exec.
 */
import { fstatSync } from "node:fs";
import koffi from "koffi";
import { littleEndian } from "./codec/wire.js";
import { constants } from "./system-constants.js";
import { SystemCallError } from "./system-error.js";

export { constants, littleEndian };

const libc = koffi.load(null);

type Fd = number;
type Bytes = Uint8Array | null;
/** Memory: bytes of ours, passed by pointer for the duration of the call, or an address of `NativeMemory`. */
type Pointer = Bytes | bigint;

/** C types of parameters, and what JavaScript passes for them. `...`: typed values, each after the name of its type. */
interface Parameter {
  int: number;
  "unsigned int": number;
  "unsigned long": number;
  long: number;
  uint32_t: number;
  int64_t: number;
  size_t: number;
  str: string;
  "void *": Pointer;
}
type Parameters<T extends readonly (keyof Parameter)[]> = { [K in keyof T]: Parameter[T[K]] };
type Typed = (string | number | bigint | Bytes)[];

/** `intptr_t` is ssize_t, which koffi does not know. An int must not be read as one: its upper half is left over. */
type Result = "int" | "intptr_t" | "long";

/** Declares a C function. To TypeScript a koffi function takes and gives anything: the return type here is the one check. */
function declare<const T extends readonly (keyof Parameter)[]>(
  result: Result,
  name: string,
  ...types: T
): (...values: Parameters<T>) => number {
  return libc.func(name, result, [...types]);
}

/**
 * Declares a variadic one, as what it is: not every architecture passes its arguments like those of others. After the
 * named ones stand pairs of a type's name and a value.
 */
function declareVariadic<const T extends readonly (keyof Parameter)[]>(
  result: Result,
  name: string,
  ...types: T
): (...values: [...Parameters<T>, ...Typed]) => number {
  return libc.func(name, result, [...types, "..."]);
}

const c = {
  socket: declare("int", "socket", "int", "int", "int"),
  socketpair: declare("int", "socketpair", "int", "int", "int", "void *"),
  bind: declare("int", "bind", "int", "void *", "uint32_t"),
  connect: declare("int", "connect", "int", "void *", "uint32_t"),
  listen: declare("int", "listen", "int", "int"),
  accept4: declare("int", "accept4", "int", "void *", "void *", "int"),
  getsockname: declare("int", "getsockname", "int", "void *", "void *"),
  setsockopt: declare("int", "setsockopt", "int", "int", "int", "void *", "uint32_t"),
  getsockopt: declare("int", "getsockopt", "int", "int", "int", "void *", "void *"),
  send: declare("intptr_t", "send", "int", "void *", "size_t", "int"),
  recv: declare("intptr_t", "recv", "int", "void *", "size_t", "int"),
  sendmsg: declare("intptr_t", "sendmsg", "int", "void *", "int"),
  recvmsg: declare("intptr_t", "recvmsg", "int", "void *", "int"),
  read: declare("intptr_t", "read", "int", "void *", "size_t"),
  write: declare("intptr_t", "write", "int", "void *", "size_t"),
  close: declare("int", "close", "int"),
  pipe2: declare("int", "pipe2", "void *", "int"),
  clockGettime: declare("int", "clock_gettime", "int", "void *"),
  poll: declare("int", "poll", "void *", "unsigned long", "int"),
  memfdCreate: declare("int", "memfd_create", "str", "unsigned int"),
  flock: declare("int", "flock", "int", "int"),
  ftruncate: declare("int", "ftruncate", "int", "int64_t"),
  unshare: declare("int", "unshare", "int"),
  setns: declare("int", "setns", "int", "int"),
  fcntl: declareVariadic("int", "fcntl", "int", "int"),
  openat: declareVariadic("int", "openat", "int", "str", "int"),
  ioctl: declareVariadic("int", "ioctl", "int", "unsigned long"),
  syscall: declareVariadic("long", "syscall", "long"),
};

const LOCK_EX = 2;
const LOCK_NB = 4;
const EINTR = 4;
const EAGAIN = 11;

/** Runs a call again while a signal interrupts it. */
function checked(syscall: string, call: () => number, subject?: string): number {
  for (;;) {
    const result = call();
    if (result !== -1) return result;
    const errno = koffi.errno();
    if (errno !== EINTR) throw new SystemCallError(errno, syscall, subject);
  }
}

/** As `checked`, for calls that may have nothing to give: undefined on EAGAIN. */
function ready(syscall: string, call: () => number): number | undefined {
  for (;;) {
    const result = call();
    if (result !== -1) return result;
    if (nothingNow(syscall)) return undefined;
  }
}

/** After a call that gave -1. @returns true on EAGAIN, false where a signal interrupted it; throws for all else */
function nothingNow(syscall: string): boolean {
  const errno = koffi.errno();
  if (errno !== EAGAIN && errno !== EINTR) throw new SystemCallError(errno, syscall);
  return errno === EAGAIN;
}

function int32(...values: number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(values).buffer);
}

function readInt32(bytes: Uint8Array, index: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getInt32(index * 4, littleEndian);
}

/** A new socket, close-on-exec. @param type SOCK_*, may carry SOCK_NONBLOCK */
export function socket(domain: number, type: number, protocol: number): Fd {
  return checked("socket", () => c.socket(domain, type | constants.SOCK_CLOEXEC, protocol));
}

/** Two connected sockets, close-on-exec. */
export function socketpair(domain: number, type: number, protocol = 0): [Fd, Fd] {
  const pair = int32(0, 0);
  checked("socketpair", () => c.socketpair(domain, type | constants.SOCK_CLOEXEC, protocol, pair));
  return [readInt32(pair, 0), readInt32(pair, 1)];
}

/** @param address a sockaddr of the family, in wire form */
export function bind(fd: Fd, address: Uint8Array): void {
  checked("bind", () => c.bind(fd, address, address.length));
}

/** @returns false where the connection is under way (EINPROGRESS on a non-blocking socket) */
export function connect(fd: Fd, address: Uint8Array): boolean {
  try {
    checked("connect", () => c.connect(fd, address, address.length));
    return true;
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "EINPROGRESS") return false;
    throw error;
  }
}

export function listen(fd: Fd, backlog = 128): void {
  checked("listen", () => c.listen(fd, backlog));
}

/** @returns the new descriptor; undefined where no connection waits on a non-blocking socket */
export function accept(fd: Fd, flags = 0): Fd | undefined {
  return ready("accept4", () => c.accept4(fd, null, null, flags | constants.SOCK_CLOEXEC));
}

/** The socket's own address in wire form. */
export function getsockname(fd: Fd): Uint8Array {
  const address = new Uint8Array(128);
  const length = int32(address.length);
  checked("getsockname", () => c.getsockname(fd, address, length));
  return address.subarray(0, readInt32(length, 0));
}

/** `sockaddr_un` of a path; a leading NUL makes it abstract (unix(7)). */
export function unixAddress(path: string): Uint8Array {
  const bytes = new TextEncoder().encode(path);
  const address = new Uint8Array(2 + bytes.length + (path.startsWith("\0") ? 0 : 1));
  new DataView(address.buffer).setUint16(0, constants.AF_UNIX, littleEndian);
  address.set(bytes, 2);
  return address;
}

/** Sets an option that is an int, or any bytes. */
export function setsockopt(fd: Fd, level: number, option: number, value: number | Uint8Array): void {
  const bytes = typeof value === "number" ? int32(value) : value;
  checked("setsockopt", () => c.setsockopt(fd, level, option, bytes, bytes.length));
}

/** The bytes of an option. @param size the most it may have */
export function getsockopt(fd: Fd, level: number, option: number, size = 4): Uint8Array {
  const value = new Uint8Array(size);
  const length = int32(size);
  checked("getsockopt", () => c.getsockopt(fd, level, option, value, length));
  return value.subarray(0, readInt32(length, 0));
}

/** An option that is an int. */
export function getsockoptInt(fd: Fd, level: number, option: number): number {
  return readInt32(getsockopt(fd, level, option), 0);
}

/** @returns bytes taken; undefined where a non-blocking socket takes none now */
export function send(fd: Fd, bytes: Uint8Array, flags = 0): number | undefined {
  // Not by `ready`: what is done for every request of netlink goes without a function of its own.
  for (;;) {
    const length = c.send(fd, bytes, bytes.length, flags);
    if (length !== -1) return length;
    if (nothingNow("send")) return undefined;
  }
}

/** @returns bytes received (with MSG_TRUNC the true length, which may exceed the buffer); undefined where there are none now */
export function recv(fd: Fd, into: Uint8Array, flags = 0): number | undefined {
  for (;;) {
    const length = c.recv(fd, into, into.length, flags);
    if (length !== -1) return length;
    if (nothingNow("recv")) return undefined;
  }
}

/** sendmsg(2) of a header in memory that koffi allocated: see `MessageBlock`. */
export function sendmsg(fd: Fd, header: bigint, flags = 0): number | undefined {
  return ready("sendmsg", () => c.sendmsg(fd, header, flags));
}

/** recvmsg(2), likewise. */
export function recvmsg(fd: Fd, header: bigint, flags = 0): number | undefined {
  return ready("recvmsg", () => c.recvmsg(fd, header, flags));
}

/** @returns bytes read, 0 at the end; undefined where there are none now */
export function read(fd: Fd, into: Uint8Array): number | undefined {
  return ready("read", () => c.read(fd, into, into.length));
}

/** @returns bytes taken; undefined where a non-blocking descriptor takes none now */
export function write(fd: Fd, bytes: Uint8Array): number | undefined {
  return ready("write", () => c.write(fd, bytes, bytes.length));
}

export function close(fd: Fd): void {
  // Not again on EINTR: Linux has freed the descriptor by then (close(2)).
  if (c.close(fd) === -1 && koffi.errno() !== EINTR) throw new SystemCallError(koffi.errno(), "close");
}

/** [read end, write end]. */
export function pipe2(flags = 0): [Fd, Fd] {
  const pair = int32(0, 0);
  checked("pipe2", () => c.pipe2(pair, flags | constants.O_CLOEXEC));
  return [readInt32(pair, 0), readInt32(pair, 1)];
}

/** Nanoseconds of a clock (clock_gettime(2)). */
export function clockTime(clock: number): bigint {
  const time = new BigInt64Array(2);
  checked("clock_gettime", () => c.clockGettime(clock, new Uint8Array(time.buffer)));
  return (time[0] ?? 0n) * 1_000_000_000n + (time[1] ?? 0n);
}

/** Waits for one descriptor. Blocks the thread: for start-up and tests. @returns POLL* bits, 0 when the time is over */
export function poll(fd: Fd, events: number, milliseconds: number): number {
  const set = new Uint8Array(8);
  const view = new DataView(set.buffer);
  view.setInt32(0, fd, littleEndian);
  view.setInt16(4, events, littleEndian);
  checked("poll", () => c.poll(set, 1, milliseconds));
  return view.getInt16(6, littleEndian);
}

/** Throws EBADF for a number that is no open descriptor. */
export function fcntl(fd: Fd, command: number, value = 0): number {
  return checked("fcntl", () => c.fcntl(fd, command, "int", value));
}

export function openat(directory: Fd, path: string, flags: number, mode = 0): Fd {
  return checked("openat", () => c.openat(directory, path, flags | constants.O_CLOEXEC, "unsigned int", mode), path);
}

export function open(path: string, flags: number, mode = 0): Fd {
  return openat(constants.AT_FDCWD, path, flags, mode);
}

/** @param argument memory that the request reads or fills */
export function ioctl(fd: Fd, request: number, argument: Uint8Array | bigint): number {
  return checked("ioctl", () => c.ioctl(fd, request, "void *", argument));
}

/** An anonymous file, close-on-exec, that can be sealed. */
export function memfdCreate(name: string, flags = 0): Fd {
  const all = flags | constants.MFD_CLOEXEC | constants.MFD_ALLOW_SEALING;
  return checked("memfd_create", () => c.memfdCreate(name, all));
}

/** Takes the exclusive flock(2) of a file. @returns false where somebody else holds it */
export function tryLockFile(fd: Fd): boolean {
  return ready("flock", () => c.flock(fd, LOCK_EX | LOCK_NB)) !== undefined;
}

export function ftruncate(fd: Fd, length: number): void {
  checked("ftruncate", () => c.ftruncate(fd, length));
}

// Called by number: glibc has covers for them since 2.36 only. The numbers are the same on every architecture.
const SYS_pidfd_send_signal = 424;
const SYS_pidfd_open = 434;

/** A descriptor of a process; readable when the process has ended. Throws ESRCH when there is none. */
export function pidfdOpen(pid: number): Fd {
  return checked("pidfd_open", () => c.syscall(SYS_pidfd_open, "int", pid, "unsigned int", 0), `${pid}`);
}

/** Sends a signal, by number, to the process of a pidfd. */
export function pidfdSendSignal(pidfd: Fd, signal: number): void {
  checked("pidfd_send_signal", () =>
    c.syscall(SYS_pidfd_send_signal, "int", pidfd, "int", signal, "void *", null, "unsigned int", 0),
  );
}

/** Takes this thread, and no other, into new namespaces. For tests and benches: the product enters none. */
export function unshare(flags: number): void {
  checked("unshare", () => c.unshare(flags));
}

/** Takes this thread into the namespace of a descriptor. The product enters none: see `NetlinkSocket.openIn`. */
export function setns(fd: Fd, kind: number): void {
  checked("setns", () => c.setns(fd, kind));
}

/** Inode of an open file: what tells namespaces apart (namespaces(7)). */
export function inode(fd: Fd): bigint {
  return fstatSync(fd, { bigint: true }).ino;
}

/** Closes what may be closed already: for clean-up paths only, where nothing is left to do about a failure. */
export function closeQuietly(fd: Fd): void {
  c.close(fd);
}

/** Memory that stays where it is, as the kernel wants it when structures point at each other. */
export class NativeMemory implements Disposable {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  #freed = false;

  constructor(size: number) {
    // koffi.alloc is declared to return any; in koffi 3 it is the address.
    this.address = koffi.alloc("uint8_t", size) as bigint;
    this.bytes = new Uint8Array(koffi.view(this.address, size));
  }

  /** `bytes` must not be touched afterwards. */
  [Symbol.dispose](): void {
    if (this.#freed) return;
    this.#freed = true;
    koffi.free(this.address);
  }
}

/** What `koffi.node.poll` really is: its declaration leaves the status out. Only `poll.ts` calls it. */
export interface RawPollHandle {
  start(options: RawPollOptions, callback: RawPollCallback): void;
  stop(): void;
  close(): void;
  ref(): void;
  unref(): void;
}

export interface RawPollOptions {
  readonly readable?: boolean;
  readonly writable?: boolean;
  readonly disconnect?: boolean;
}

export interface RawPollEvents {
  readonly readable: boolean;
  readonly writable: boolean;
  readonly disconnect: boolean;
}

/** @param status 0, or a negative libuv error: -9 (UV_EBADF) when poll said POLLERR */
export type RawPollCallback = (status: number, events: RawPollEvents) => void;

/** uv_poll on a descriptor. Kills the process for a closed descriptor or a regular file: see `poll.ts`. */
export const rawPoll = koffi.node.poll as unknown as (
  fd: Fd,
  options: RawPollOptions,
  callback: RawPollCallback,
) => RawPollHandle;
