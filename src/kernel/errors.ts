/** What can go wrong between here and the kernel. Each error has a `code`: an errno name, or one of ours. */
import { errnoName, errnoText } from "./errno.js";
import type { AttributePolicy } from "./framing.js";

/** What an error was about. */
export interface Subject {
  /** `link.add`, `route.list`. */
  readonly operation: string;
  /** `eth0`, `10.0.0.0/24`. */
  readonly object?: string | undefined;
  /** The node in whose namespace the socket is. */
  readonly node?: string | undefined;
}

export interface Refusal {
  readonly errno: number;
  /** The kernel's own words. */
  readonly kernelMessage?: string | undefined;
  /** The attribute that was refused: `attributes.info.data.bridge.ageingTime`. */
  readonly attribute?: string | undefined;
  /** The attribute that is missing. */
  readonly missing?: string | undefined;
  /** The bounds that the value broke. */
  readonly policy?: AttributePolicy | undefined;
}

/** `link.add eth0 in web`. */
export function describe({ operation, object, node }: Subject): string {
  return `${operation}${object === undefined ? "" : ` ${object}`}${node === undefined ? "" : ` in ${node}`}`;
}

/** The kernel refused a request. */
export class NetlinkError extends Error {
  override readonly name: string = "NetlinkError";
  /** `EEXIST`, `EPERM`, … */
  readonly code: string;
  readonly errno: number;
  readonly operation: string;
  readonly object: string | undefined;
  readonly node: string | undefined;
  readonly kernelMessage: string | undefined;
  readonly attribute: string | undefined;
  readonly missing: string | undefined;
  readonly policy: AttributePolicy | undefined;

  constructor(subject: Subject, refusal: Refusal) {
    super(refusalText(subject, refusal));
    this.code = errnoName(refusal.errno);
    this.errno = refusal.errno;
    this.operation = subject.operation;
    this.object = subject.object;
    this.node = subject.node;
    this.kernelMessage = refusal.kernelMessage;
    this.attribute = refusal.attribute;
    this.missing = refusal.missing;
    this.policy = refusal.policy;
  }
}

/** A part of the kernel that a request needs. */
export interface Feature {
  /** `netem qdisc`. */
  readonly name: string;
  /** `CONFIG_NET_SCH_NETEM`. */
  readonly symbol: string;
}

/** The kernel refused because it was built without a feature. */
export class UnsupportedError extends NetlinkError {
  override readonly name = "UnsupportedError";

  constructor(
    subject: Subject,
    refusal: Refusal,
    readonly feature: Feature,
  ) {
    super(subject, refusal);
    this.message = `${describe(subject)}: this kernel has no ${feature.name} (${feature.symbol}): ${this.code}`;
  }
}

/** A table changed each time while it was read (NLM_F_DUMP_INTR). `partial` is what the last attempt gave. */
export class DumpInterruptedError extends Error {
  override readonly name = "DumpInterruptedError";
  readonly code = "DUMP_INTERRUPTED";

  constructor(
    subject: Subject,
    readonly attempts: number,
    readonly partial: unknown,
  ) {
    super(`${describe(subject)}: the table changed during each of ${attempts} attempts to read it`);
  }
}

/** The receive buffer was full, and the kernel dropped messages (ENOBUFS). For events: read the state anew. */
export class OverrunError extends Error {
  override readonly name = "OverrunError";
  readonly code = "ENOBUFS";

  constructor(subject?: Subject) {
    super(
      `${subject === undefined ? "netlink" : describe(subject)}: the receive buffer overran; what the kernel said is lost`,
    );
  }
}

/** A datagram was longer than the buffer that it was received into. */
export class TruncatedError extends Error {
  override readonly name = "TruncatedError";
  readonly code = "TRUNCATED";

  constructor(
    readonly length: number,
    readonly capacity: number,
  ) {
    super(`netlink: a datagram of ${length} bytes, room for ${capacity}`);
  }
}

/** The kernel answered otherwise than netlink(7) says. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  readonly code = "PROTOCOL";

  constructor(subject: Subject, what: string, options?: ErrorOptions) {
    super(`${describe(subject)}: ${what}`, options);
  }
}

function refusalText(subject: Subject, refusal: Refusal): string {
  const { errno, kernelMessage, attribute, missing, policy } = refusal;
  const words = kernelMessage ?? errnoText(errno);
  const details = [
    errnoName(errno),
    ...(attribute === undefined ? [] : [`at ${attribute}`]),
    ...(missing === undefined ? [] : [`${missing} is missing`]),
    ...(policy === undefined ? [] : [policyText(policy)].filter((text) => text !== "")),
  ];
  return `${describe(subject)}: ${words} (${details.join(", ")})`;
}

/** `0 to 255`, `at most 15 bytes`. */
export function policyText(policy: AttributePolicy): string {
  const { minimum, maximum, minimumSigned, maximumSigned, minimumLength, maximumLength, mask } = policy;
  if (minimum !== undefined && maximum !== undefined) return `${minimum} to ${maximum}`;
  if (minimumSigned !== undefined && maximumSigned !== undefined) return `${minimumSigned} to ${maximumSigned}`;
  if (minimumLength !== undefined && maximumLength !== undefined) return `${minimumLength} to ${maximumLength} bytes`;
  if (maximumLength !== undefined) return `at most ${maximumLength} bytes`;
  if (minimumLength !== undefined) return `at least ${minimumLength} bytes`;
  if (mask !== undefined) return `within mask 0x${mask.toString(16)}`;
  return "";
}
