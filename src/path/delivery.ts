/** What a node does with a packet that has come to it: the program that listens, the echo, or a refusal. */
import type { ListenerSnapshot, NodeSnapshot } from "../model/snapshot.js";
import { parseAddress, sameAddress } from "../model/address.js";
import { icmpTypes, icmpv6Types } from "../model/icmp.js";
import { type Header, mirror, ownTtl } from "./header.js";

export type Answer =
  | {
      readonly kind: "reply";
      readonly header: Header;
      readonly text: string;
      /** What is taken for granted. */
      readonly assumed?: string;
    }
  /** Nobody serves it. */
  | { readonly kind: "refusal"; readonly header: Header; readonly reason: string; readonly text: string }
  | { readonly kind: "silence"; readonly text: string };

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMPV6 = 58;
const SYN_ACK = 18;
const RST_ACK = 20;

/** @param input interface that the packet came in by */
export function answerOf(node: NodeSnapshot, request: Header, input: string | undefined): Answer {
  switch (request.protocol) {
    case TCP:
      return answerOfTcp(node, request, input);
    case UDP:
      return answerOfUdp(node, request, input);
    case ICMP:
    case ICMPV6:
      return echoOf(node, request);
    default:
      return { kind: "silence", text: `what ${node.name} does with protocol ${request.protocol} is not known` };
  }
}

function answerOfTcp(node: NodeSnapshot, request: Header, input: string | undefined): Answer {
  const listener = listenerOf(node, "tcp", request, input);
  const answer = { ...fresh(node, mirror(request)), tcpFlags: listener === undefined ? RST_ACK : SYN_ACK };
  if (listener !== undefined) return { kind: "reply", header: answer, text: listenerText(listener) };
  return { kind: "refusal", header: answer, reason: "RST", text: nobody(node, "tcp", request) };
}

function answerOfUdp(node: NodeSnapshot, request: Header, input: string | undefined): Answer {
  const listener = listenerOf(node, "udp", request, input);
  if (listener !== undefined)
    return {
      kind: "reply",
      header: fresh(node, mirror(request)),
      text: listenerText(listener),
      assumed: `the program that serves udp port ${listener.port} in ${node.name} answers`,
    };
  return {
    kind: "refusal",
    header: {
      ...{ family: request.family, source: request.destination, destination: request.source },
      ttl: ownTtl(node, request.family),
      ...(request.family === 4
        ? { protocol: ICMP, icmpType: icmpTypes["destination-unreachable"] }
        : { protocol: ICMPV6, icmpType: icmpv6Types["destination-unreachable"] }),
      about: request,
    },
    reason: "ICMP port unreachable",
    text: nobody(node, "udp", request),
  };
}

function echoOf(node: NodeSnapshot, request: Header): Answer {
  const [type, reply, ignored] =
    request.family === 4
      ? [icmpTypes["echo-request"], icmpTypes["echo-reply"], "net.ipv4.icmp_echo_ignore_all"]
      : [icmpv6Types["echo-request"], icmpv6Types["echo-reply"], "net.ipv6.icmp.echo_ignore_all"];
  if (request.icmpType !== type) return { kind: "silence", text: "an ICMP message that nobody answers" };
  if (node.sysctls[ignored] === "1") return { kind: "silence", text: `${ignored} is 1 in ${node.name}` };
  return {
    kind: "reply",
    header: { ...fresh(node, mirror(request)), icmpType: reply },
    text: `the kernel of ${node.name} answers echo requests`,
  };
}

/** The listener that a packet is given to: bound to its address rather than to any. */
export function listenerOf(
  node: NodeSnapshot,
  protocol: "tcp" | "udp",
  { destination, destinationPort, family }: Header,
  input: string | undefined,
): ListenerSnapshot | undefined {
  const able = node.listeners.filter((one) => {
    if (one.protocol !== protocol || one.port !== destinationPort) return false;
    if (one.interface !== undefined && one.interface !== input) return false;
    if (one.address === "::") return family === 6 || one.v6only !== true;
    if (one.address === "0.0.0.0") return family === 4;
    const own = parseAddress(one.address.replace(/^::ffff:(?=\d+\.)/, ""));
    return own !== undefined && sameAddress(own, destination);
  });
  return able.find(({ address }) => address !== "::" && address !== "0.0.0.0") ?? able[0];
}

function listenerText({ protocol, address, port }: ListenerSnapshot): string {
  return `a program listens on ${protocol} ${address.includes(":") ? `[${address}]` : address}:${port}`;
}

function nobody(node: NodeSnapshot, protocol: "tcp" | "udp", { destinationPort, family }: Header): string {
  const elsewhere = node.listeners.find((one) => one.protocol === protocol && one.port === destinationPort);
  const port = `${protocol} port ${destinationPort ?? "?"}`;
  if (elsewhere === undefined) return `nobody listens on ${port} in ${node.name}`;
  const only = elsewhere.interface === undefined ? elsewhere.address : `interface ${elsewhere.interface}`;
  return `${port} is served in ${node.name} on ${only} only, not on this address${elsewhere.v6only && family === 4 ? " (IPV6_V6ONLY)" : ""}`;
}

/** A packet that the node makes itself: with its own TTL, and no mark. */
function fresh(node: NodeSnapshot, { mark: _, ...header }: Header): Header {
  return { ...header, ttl: ownTtl(node, header.family) };
}
