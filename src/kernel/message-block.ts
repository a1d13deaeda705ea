/**
 * sendmsg(2) and recvmsg(2) with control messages: descriptors over a Unix socket (SCM_RIGHTS), the namespace id of a
 * netlink event. Header, iovec, control and data lie in one piece of native memory, since the header points at the rest.
 */
import { NativeMemory, constants, littleEndian, recvmsg, sendmsg } from "./syscalls.js";

// struct msghdr of 64-bit Linux (socket.h): name@0 namelen@8 iov@16 iovlen@24 control@32 controllen@40 flags@48.
const HEADER = 56;
const IOVEC = 16;
// struct cmsghdr: len u64@0 level i32@8 type i32@12, then data; the next starts aligned to 8.
const CMSG_HEADER = 16;
const align = (length: number) => (length + 7) & ~7;

export interface ControlMessage {
  readonly level: number;
  readonly type: number;
  /** A view: valid until the block is used again. */
  readonly bytes: Uint8Array;
}

export interface ReceivedMessage {
  /** A view: valid until the block is used again. */
  readonly bytes: Uint8Array;
  /** MSG_TRUNC: the datagram was longer than the block. MSG_CTRUNC: control messages were lost. */
  readonly flags: number;
  readonly control: readonly ControlMessage[];
  /** Descriptors that came with it (SCM_RIGHTS). They belong to the caller, and are close-on-exec. */
  readonly descriptors: readonly number[];
}

/** Room for one message at a time; keep one per socket and reuse it. */
export class MessageBlock implements Disposable {
  readonly #memory: NativeMemory;
  readonly #view: DataView;
  readonly #controlAt = HEADER + IOVEC;
  readonly #dataAt: number;

  /**
   * @param capacity bytes of data
   * @param control bytes of control messages; 1,040 holds the 253 descriptors that one message may carry
   */
  constructor(
    readonly capacity: number,
    readonly control = 1040,
  ) {
    this.#dataAt = align(this.#controlAt + control);
    this.#memory = new NativeMemory(this.#dataAt + capacity);
    const { bytes, address } = this.#memory;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    bytes.fill(0, 0, this.#dataAt);
    this.#pointer(16, address + BigInt(HEADER));
    this.#pointer(24, 1n);
    this.#pointer(HEADER, address + BigInt(this.#dataAt));
  }

  /**
   * Sends bytes, and descriptors with them (they stay the caller's own, too).
   * @returns bytes taken; undefined where a non-blocking socket takes none now
   */
  send(fd: number, bytes: Uint8Array, descriptors: readonly number[] = []): number | undefined {
    if (bytes.length > this.capacity)
      throw new RangeError(`message of ${bytes.length} bytes, room for ${this.capacity}`);
    const controlLength = descriptors.length === 0 ? 0 : CMSG_HEADER + 4 * descriptors.length;
    if (controlLength > this.control)
      throw new RangeError(`too many descriptors for one message: ${descriptors.length}`);
    this.#memory.bytes.set(bytes, this.#dataAt);
    this.#pointer(HEADER + 8, BigInt(bytes.length));
    this.#armControl(align(controlLength));
    if (descriptors.length > 0) {
      this.#pointer(this.#controlAt, BigInt(controlLength));
      this.#view.setInt32(this.#controlAt + 8, constants.SOL_SOCKET, littleEndian);
      this.#view.setInt32(this.#controlAt + 12, constants.SCM_RIGHTS, littleEndian);
      descriptors.forEach((descriptor, index) => {
        this.#view.setInt32(this.#controlAt + CMSG_HEADER + 4 * index, descriptor, littleEndian);
      });
    }
    return sendmsg(fd, this.#memory.address, constants.MSG_NOSIGNAL);
  }

  /** @returns undefined where nothing waits on a non-blocking socket, or with MSG_DONTWAIT; empty bytes at the end of a stream */
  receive(fd: number, flags = 0): ReceivedMessage | undefined {
    this.#pointer(HEADER + 8, BigInt(this.capacity));
    this.#armControl(this.control);
    const length = recvmsg(fd, this.#memory.address, flags | constants.MSG_CMSG_CLOEXEC);
    if (length === undefined) return undefined;
    const control = this.#readControl();
    const start = this.#dataAt;
    return {
      bytes: this.#memory.bytes.subarray(start, start + Math.min(length, this.capacity)),
      flags: this.#view.getInt32(48, littleEndian),
      control,
      descriptors: control
        .filter(({ level, type }) => level === constants.SOL_SOCKET && type === constants.SCM_RIGHTS)
        .flatMap(({ bytes }) => readDescriptors(bytes)),
    };
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }

  #pointer(offset: number, value: bigint): void {
    this.#view.setBigUint64(offset, value, littleEndian);
  }

  #armControl(length: number): void {
    this.#pointer(32, length === 0 ? 0n : this.#memory.address + BigInt(this.#controlAt));
    this.#pointer(40, BigInt(length));
    this.#view.setInt32(48, 0, littleEndian);
  }

  #readControl(): ControlMessage[] {
    const messages: ControlMessage[] = [];
    const end = this.#controlAt + Number(this.#view.getBigUint64(40, littleEndian));
    let at = this.#controlAt;
    while (at + CMSG_HEADER <= end) {
      const length = Number(this.#view.getBigUint64(at, littleEndian));
      if (length < CMSG_HEADER || at + length > end) break;
      messages.push({
        level: this.#view.getInt32(at + 8, littleEndian),
        type: this.#view.getInt32(at + 12, littleEndian),
        bytes: this.#memory.bytes.subarray(at + CMSG_HEADER, at + length),
      });
      at += align(length);
    }
    return messages;
  }
}

function readDescriptors(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length >> 2 }, (_, index) => view.getInt32(4 * index, littleEndian));
}
