/** The words of the tour. */
import type { Snapshot } from "../model/snapshot.js";
import type { ExchangeEvent, PacketEvent } from "../model/trace.js";
import { explainPacket } from "./explain-packet.js";
import { noInk, type Ink } from "./ink.js";
import { count } from "./quantity.js";

interface Started {
  readonly lab: string;
  readonly operations: readonly unknown[];
  readonly snapshot?: Snapshot;
}

interface Traced {
  readonly url: string;
  readonly command: string;
  readonly output: string;
  readonly status: number;
  readonly packets: readonly PacketEvent[];
  readonly exchanges: readonly ExchangeEvent[];
}

const picture = `
  client ─────────── host ─────────────────────────────── web (container)
  eth0               eth0        yapc0     vethweb        eth0
  203.0.113.2        203.0.113.1 10.0.0.1                 10.0.0.10
                     :8080 ─ DNAT ▶ :80                   busybox httpd, port 80
                     :8081 ─ DNAT ▶ :81  dropped by the firewall`;

export function startedLines({ operations }: Started, command: string, ink: Ink = noInk): string[] {
  return [
    `${ink("accent", "1.")} A lab like the one that Docker builds for \`docker run -p 8080:80\` (${count(operations.length, "operation")}).`,
    ink("dim", `   $ ${command}`),
    picture,
  ];
}

export function arrivedLines(traced: Traced, ink: Ink = noInk): string[] {
  const { packets, exchanges, url } = traced;
  const first = packets[0];
  const answer = packets.find((packet) => packet.direction === "reply" && / \d+ B/.test(packet.summary));
  return [
    `${ink("accent", "2.")} The client asks for ${url}, and every hop is watched.`,
    ink("dim", `   $ yapc-net trace --port 80 --from client -- ${traced.command}`),
    ...(traced.output === "" ? [] : [`   the answer: ${traced.output}`]),
    "",
    "   The first packet of the request:",
    ...indent(first === undefined ? ["none was seen"] : explainPacket(first, ink)),
    "",
    "   The answer, on its way back:",
    ...indent(answer === undefined ? ["none was seen"] : explainPacket(answer, ink)),
    "",
    `   ${count(packets.length, "packet")} in all; ${exchanges.map((exchange) => `${exchange.client} ⇄ ${exchange.server}: ${exchange.verdict}`).join("; ")}.`,
  ];
}

export function droppedLines(traced: Traced, ink: Ink = noInk): string[] {
  const first = traced.packets[0];
  return [
    `${ink("accent", "3.")} Now port 8081, which the firewall does not let through. ${traced.command.split(" ")[0] ?? ""} gives up with status ${traced.status}.`,
    ink("dim", `   $ yapc-net trace --port 8081 --from client -- ${traced.command}`),
    "",
    ...indent(first === undefined ? ["no packet was seen"] : explainPacket(first, ink)),
  ];
}

export function downLines(
  result: { readonly lab: string; readonly left: readonly string[] },
  ink: Ink = noInk,
): string[] {
  const { left } = result;
  return [
    `${ink("accent", "4.")} The lab has ended; objects of it left on this machine: ${left.length}.`,
    ...left.map((each) => `   ${each}`),
    "",
    "Next: yapc-net up topologies/docker-bridge.json, then yapc-net trace --port 80 (Ctrl-C ends it), yapc-net shell web.",
  ];
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => `   ${line}`);
}
