/** Random and mutated bytes through every decoder and the exchange. */
import { Input, MalformedError, Writer } from "../../src/kernel/codec/index.js";
import { toFlow } from "../../src/kernel/conntrack/flows.js";
import { conntrackMessage } from "../../src/kernel/conntrack/messages.js";
import { Exchange } from "../../src/kernel/exchange.js";
import { type Message, eachMessage } from "../../src/kernel/framing.js";
import { decompileRule } from "../../src/kernel/nftables/decompile.js";
import * as nft from "../../src/kernel/nftables/messages.js";
import { toTraceEvent } from "../../src/kernel/nftables/trace.js";
import { readComment } from "../../src/kernel/nftables/userdata.js";
import { fromElements } from "../../src/kernel/nftables/intervals.js";
import { toAddress } from "../../src/kernel/rtnetlink/addresses.js";
import { linkReply, toLink } from "../../src/kernel/rtnetlink/link.js";
import { linkMessage } from "../../src/kernel/rtnetlink/link-messages.js";
import * as route from "../../src/kernel/rtnetlink/messages.js";
import { toFdbEntry, toNeighbour } from "../../src/kernel/rtnetlink/neighbours.js";
import { assigned } from "../../src/kernel/rtnetlink/nsids.js";
import { toQdisc } from "../../src/kernel/rtnetlink/qdiscs.js";
import { toRoute } from "../../src/kernel/rtnetlink/routes.js";
import { toRule } from "../../src/kernel/rtnetlink/rules.js";
import { trafficControlMessage } from "../../src/kernel/rtnetlink/traffic-control-messages.js";
import { inetMessage, toSocket } from "../../src/kernel/sockdiag.js";

type Reader = (message: Message) => unknown;

/** Everything that reads what a kernel sends, down to the objects of the API. */
export const readers: Readonly<Record<string, Reader>> = {
  link: ({ input, start, end }) => {
    linkMessage.read(input, start, end, {});
    return toLink(linkReply.read(input, start, end, {}));
  },
  address: ({ input, start, end }) => toAddress(route.addressMessage.read(input, start, end, {})),
  route: ({ input, start, end }) => toRoute(route.routeMessage.read(input, start, end, {})),
  neighbour: ({ input, start, end }) => {
    const value = route.neighbourMessage.read(input, start, end, {});
    return [toNeighbour(value), toFdbEntry(value)];
  },
  rule: ({ input, start, end }) => toRule(route.ruleMessage.read(input, start, end, {})),
  nsid: ({ input, start, end }) => assigned(route.nsidMessage.read(input, start, end, {})),
  qdisc: ({ input, start, end }) => toQdisc(trafficControlMessage.read(input, start, end, {})),
  conntrack: ({ input, start, end }) => toFlow(conntrackMessage.read(input, start, end, {})),
  table: ({ input, start, end }) => nft.tableMessage.read(input, start, end, {}),
  chain: ({ input, start, end }) => nft.chainMessage.read(input, start, end, {}),
  nftRule: ({ input, start, end }) => {
    const { attributes } = nft.ruleMessage.read(input, start, end, {});
    const sets = new Map([["__set%d", { flags: 4, elements: [] }]]);
    return [
      decompileRule("inet", attributes.expressions ?? [], sets),
      decompileRule("bridge", attributes.expressions ?? []),
      attributes.userdata === undefined ? undefined : readComment(attributes.userdata),
    ];
  },
  set: ({ input, start, end }) => nft.setMessage.read(input, start, end, {}),
  elements: ({ input, start, end }) =>
    fromElements(nft.setElementsMessage.read(input, start, end, {}).attributes.elements ?? []),
  trace: ({ input, start, end }) => toTraceEvent(nft.traceMessage.read(input, start, end, {})),
  generation: ({ input, start, end }) => nft.generationMessage.read(input, start, end, {}),
  socket: ({ input, start, end }) => toSocket(inetMessage.read(input, start, end, {}).header, "tcp"),
};
const allReaders = Object.values(readers);

/** mulberry32: the same numbers from the same seed. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** A corpus entry with some of its bytes changed, cut, doubled, or given a length that lies; or random bytes. */
export function mutate(corpus: readonly Uint8Array[], next: (below: number) => number): Uint8Array {
  if (next(10) === 0) return Uint8Array.from({ length: next(200) }, () => next(256));
  const base = corpus[next(corpus.length)]!;
  let bytes = Uint8Array.from(base);
  for (let times = 1 + next(4); times > 0 && bytes.length > 0; times--) {
    const at = next(bytes.length);
    switch (next(6)) {
      case 0:
        bytes[at] = next(256);
        break;
      case 1:
        bytes[at] = [0, 1, 3, 4, 0x7f, 0x80, 0xff][next(7)]!;
        break;
      case 2:
        bytes = bytes.slice(0, at);
        break;
      case 3:
        bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(Math.max(0, at - next(32)))]);
        break;
      case 4:
        bytes[at & ~3] = next(64);
        break;
      default:
        bytes[at] = bytes[at]! ^ (1 << next(8));
    }
  }
  return bytes;
}

/**
 * One input through everything. Throws what is no `MalformedError`: a read past the end of the input is a RangeError of
 * its view, since each input is its own view in the middle of a larger buffer.
 */
export function feed(bytes: Uint8Array): void {
  const surrounded = new Uint8Array(bytes.length + 64).fill(0xa5);
  surrounded.set(bytes, 32);
  const input = new Input(surrounded.subarray(32, 32 + bytes.length));
  const exchange = new Exchange(1);
  const request = { type: 18, flags: 0x301, body: new Uint8Array(16) };
  const pending = exchange.begin(new Writer(), request, "dump", {
    take(message) {
      for (const read of allReaders) tolerating(() => read(message));
    },
  });
  tolerating(() => exchange.receive(input));
  if (pending.unreadable instanceof Error) throw pending.unreadable;
  tolerating(() =>
    eachMessage(input, (message) => {
      for (const read of allReaders) tolerating(() => read(message));
    }),
  );
}

function tolerating(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
  }
}
