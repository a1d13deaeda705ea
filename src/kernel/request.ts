/**
 * Requests as values: what to ask, and how to read the answer. They are made without a socket, so that the bytes of
 * each can be compared with golden ones, and sent by a `NetlinkClient`, alone or many at once.
 */
import { type Codec, Writer, encodeInto } from "./codec/index.js";
import type { Feature } from "./errors.js";
import { type Answer, type Receiver, answerOf } from "./exchange.js";
import { NLM_F_REQUEST } from "./framing.js";

/** Takes the replies to a request, and makes its result of them. */
export interface Collector<T> extends Receiver {
  result(): T;
}

export interface Request<T> {
  /** NETLINK_*: which kind of socket it belongs on. */
  readonly protocol: number;
  readonly type: number;
  readonly flags: number;
  /** The message after its nlmsghdr. */
  readonly body: Uint8Array;
  /** What `body` was written by: names its attributes in errors and in the debug print. */
  readonly schema: Codec<unknown>;
  /** Of a reply, for the debug print: that of the request, but for sock_diag. */
  readonly replySchema: Codec<unknown>;
  readonly answer: Answer;
  /** `link.add`. */
  readonly operation: string;
  /** What it is done to: `eth0`. */
  readonly object: string | undefined;
  /** What the kernel has to be built with. */
  readonly needs: Feature | undefined;
  /** A fresh collector of replies: one for each time that the request is sent. */
  collect(): Collector<T>;
}

export interface RequestSpecification<V, R, I, T> {
  readonly protocol: number;
  readonly type: number;
  /** Besides NLM_F_REQUEST. */
  readonly flags: number;
  readonly schema: Codec<V>;
  readonly value: V;
  /** A GET: NLM_F_DUMP means a dump. */
  readonly reads?: boolean;
  readonly operation: string;
  readonly object?: string | undefined;
  readonly needs?: Feature | undefined;
  /** Names all parts of a reply; `reply` may read but some. Default: `schema`. */
  readonly replySchema?: Codec<unknown>;
  /** Reads a reply. Absent: replies are ignored. */
  readonly reply?: Codec<R>;
  /** What is kept of a reply, made as soon as it is read: of a large dump only that stays in memory. undefined: nothing. */
  readonly item?: (reply: R) => I | undefined;
  /** What the request gives. The list is the caller's to keep. */
  readonly result: (items: I[]) => T;
}

/** Requests are made one at a time: all are written in the same place, and copied out. */
const draft = new Writer();

/** Writes the message at once: a value that does not fit its schema throws RangeError here. */
export function request<V, R, I, T>(specification: RequestSpecification<V, R, I, T>): Request<T> {
  const { protocol, type, schema, value, operation, object, needs, reply, item, result } = specification;
  const { replySchema = schema } = specification;
  const flags = specification.flags | NLM_F_REQUEST;
  draft.reset();
  encodeInto(draft, schema, value);
  return {
    protocol,
    type,
    flags,
    body: draft.finish(),
    schema,
    replySchema,
    answer: answerOf(flags, specification.reads ?? false),
    operation,
    object,
    needs,
    collect() {
      const items: I[] = [];
      return {
        take({ input, start, end }) {
          if (reply === undefined) return;
          const made = item?.(reply.read(input, start, end, {}));
          if (made !== undefined) items.push(made);
        },
        result: () => result(items),
      };
    },
  };
}
