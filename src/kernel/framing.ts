/** Netlink messages (struct nlmsghdr, linux/netlink.h) and what the kernel says about a request. */
import {
  type Infer,
  type Input,
  MalformedError,
  Writer,
  align4,
  attributes,
  cstr,
  bytes,
  littleEndian,
  need,
  s64,
  u32,
  u64,
} from "./codec/index.js";

export const NLMSG_HEADER = 16;

export const NETLINK_ROUTE = 0;
export const NETLINK_SOCK_DIAG = 4;
export const NETLINK_NETFILTER = 12;

export const NLMSG_NOOP = 1;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLMSG_OVERRUN = 4;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_MULTI = 0x2;
export const NLM_F_ACK = 0x4;
export const NLM_F_ECHO = 0x8;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_DUMP_FILTERED = 0x20;
export const NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
export const NLM_F_NONREC = 0x100;
export const NLM_F_BULK = 0x200;
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;

/** One message of a datagram. The input is the whole datagram: valid until the next one is received. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly port: number;
  readonly input: Input;
  /** The body: after the header, without padding. */
  readonly start: number;
  readonly end: number;
}

/**
 * Calls back for each message of a datagram. The last one may end at a length that is no multiple of four (conntrack
 * and nflog send such). Throws `MalformedError` for a length that does not fit, after the messages before it.
 */
export function eachMessage(input: Input, visit: (message: Message) => void): void {
  const { view, length: end } = input;
  let at = 0;
  while (at < end) {
    need(at, end, NLMSG_HEADER, "message header");
    const length = view.getUint32(at, littleEndian);
    if (length < NLMSG_HEADER || length > end - at) {
      throw new MalformedError(`message of length ${length}, ${end - at} bytes are left`, at);
    }
    visit({
      type: view.getUint16(at + 4, littleEndian),
      flags: view.getUint16(at + 6, littleEndian),
      sequence: view.getUint32(at + 8, littleEndian),
      port: view.getUint32(at + 12, littleEndian),
      input,
      start: at + NLMSG_HEADER,
      end: at + length,
    });
    at += align4(length);
  }
}

/** Writes a message with its header. The port stays 0: the kernel knows the sender. */
export function writeMessage(out: Writer, type: number, flags: number, sequence: number, body: Uint8Array): void {
  const at = out.reserve(NLMSG_HEADER);
  const { view } = out;
  view.setUint32(at, NLMSG_HEADER + body.length, littleEndian);
  view.setUint16(at + 4, type, littleEndian);
  view.setUint16(at + 6, flags, littleEndian);
  view.setUint32(at + 8, sequence, littleEndian);
  out.bytes(body);
  out.pad4();
}

/** A message by itself. */
export function frame(type: number, flags: number, sequence: number, body: Uint8Array): Uint8Array {
  const out = new Writer();
  writeMessage(out, type, flags, sequence, body);
  return out.finish();
}

/** NL_POLICY_TYPE_ATTR_*: what the kernel would have accepted. */
const policyAttributes = attributes({
  type: [1, u32],
  minimumSigned: [2, s64],
  maximumSigned: [3, s64],
  minimum: [4, u64],
  maximum: [5, u64],
  minimumLength: [6, u32],
  maximumLength: [7, u32],
  bitfieldMask: [10, u32],
  mask: [12, u64],
});

/** NLMSGERR_ATTR_*. */
const extendedAck = attributes({
  message: [1, cstr],
  offset: [2, u32],
  cookie: [3, bytes],
  policy: [4, policyAttributes],
  missingType: [5, u32],
  missingNest: [6, u32],
});

/** Bounds of an attribute, as the kernel states them when it refuses a value. */
export type AttributePolicy = Infer<typeof policyAttributes>;

/** What the kernel says at the end of a request: errno 0 is success, and a message with it a warning. */
export interface Report {
  /** Positive; 0 for success. */
  readonly errno: number;
  readonly message?: string | undefined;
  /** Of the attribute that was refused, from the start of the request's nlmsghdr. */
  readonly offset?: number | undefined;
  readonly policy?: AttributePolicy | undefined;
  /** Type of an attribute that is missing, and the offset of the nest in which it is (absent: the top level). */
  readonly missingType?: number | undefined;
  readonly missingNest?: number | undefined;
}

/**
 * Reads the body of NLMSG_ERROR, or of NLMSG_DONE, which carries the error of a dump. The request's own header is echoed
 * in an error, and, unless the answer is capped, its whole body: what the kernel adds comes after it.
 */
export function readReport({ type, flags, input, start, end }: Message): Report {
  if (type === NLMSG_DONE && end - start < 4) return { errno: 0 };
  need(start, end, 4, "error code");
  // A dump's DONE carries what its last step returned: above zero is no error.
  const errno = Math.max(0, -input.view.getInt32(start, littleEndian));
  if ((flags & NLM_F_ACK_TLVS) === 0) return { errno };
  let at = start + 4;
  if (type === NLMSG_ERROR) {
    need(at, end, NLMSG_HEADER, "header of the refused request");
    const length = input.view.getUint32(at, littleEndian);
    // Capped: the length is still that of the whole request, but only its header is there.
    at += (flags & NLM_F_CAPPED) === 0 ? align4(Math.max(length, NLMSG_HEADER)) : NLMSG_HEADER;
    if (at > end) throw new MalformedError("an error that is shorter than the request it echoes", start);
  }
  const { message, offset, policy, missingType, missingNest } = extendedAck.read(input, at, end, {});
  return { errno, message, offset, policy, missingType, missingNest };
}
