/** `forward`: ports of this machine that lead into nodes, by sockets that init opens there. Nothing of the machine changes. */
import net from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { SystemCallError } from "../kernel/index.js";
import { familyOf, inetAddress } from "../kernel/inet-address.js";
import { closeQuietly, connect, constants, getsockoptInt, poll } from "../kernel/syscalls.js";
import { Failure } from "../model/failure.js";
import { parseAddress } from "../model/address.js";
import { OpenLab } from "./open-lab.js";
import { checkNode, findLab } from "./target.js";
import { systemReason } from "./system-reason.js";

export interface Forwarding {
  /** Address and port on this machine. */
  readonly address: string;
  readonly port: number;
  readonly lab?: string;
  readonly node: string;
  readonly nodePort: number;
}

export type ForwardEvent =
  | { readonly type: "listening"; readonly forwarding: Forwarding }
  | { readonly type: "connection"; readonly forwarding: Forwarding; readonly client: string }
  /** The node did not take it. */
  | { readonly type: "refused"; readonly forwarding: Forwarding; readonly client: string; readonly reason: string };

export interface ForwardOptions {
  readonly lab: string | undefined;
  readonly forwardings: readonly Forwarding[];
  readonly onEvent: (event: ForwardEvent) => void;
  readonly signal: AbortSignal;
}

const pattern = /^(?:(\[[0-9a-fA-F:.]+\]|[0-9.]+):)?(\d{1,5}):(?:([^/:]+)\/)?([^/:]+):(\d{1,5})$/;

/** `8080:web:80`, `0.0.0.0:8080:lab/web:80`. @throws Failure (usage) */
export function parseForwarding(text: string): Forwarding {
  const [, literal, port, lab, node, nodePort] = pattern.exec(text) ?? [];
  const address = literal?.replace(/^\[|\]$/g, "") ?? "127.0.0.1";
  const valid = [port, nodePort].every((each) => Number(each) >= 0 && Number(each) <= 65535) && Number(nodePort) > 0;
  if (node === undefined || !valid || parseAddress(address) === undefined)
    throw new Failure("usage", `'${text}' is not of the form [ADDRESS:]PORT:NODE:PORT`, {
      hint: "such as 8080:web:80",
    });
  return {
    address,
    port: Number(port),
    ...(lab === undefined ? {} : { lab }),
    node,
    nodePort: Number(nodePort),
  };
}

/** Runs until the signal or the end of the lab. */
export async function forward(options: ForwardOptions): Promise<void> {
  const labs = new Set(options.forwardings.map(({ lab }) => lab ?? options.lab));
  if (labs.size > 1) throw new Failure("usage", "the nodes belong to different labs; forward those of one at a time");
  const found = findLab([...labs][0]);
  for (const { node } of options.forwardings) checkNode(found.record, node);
  using lab = await OpenLab.connect(found);
  const open = new Set<net.Socket>();
  const servers: net.Server[] = [];
  try {
    for (const forwarding of options.forwardings) {
      const server = net.createServer({ allowHalfOpen: true }, (client) => {
        open.add(client);
        client.once("close", () => open.delete(client));
        void serve(lab, forwarding, client, options.onEvent);
      });
      servers.push(server);
      const port = await listening(server, forwarding);
      options.onEvent({ type: "listening", forwarding: { ...forwarding, port } });
    }
    await Promise.race([aborted(options.signal), lab.line.gone]);
    if (!options.signal.aborted)
      throw new Failure("kernel", `lab '${found.record.name}' has ended`, { code: "NO_LAB" });
  } finally {
    for (const server of servers) server.close();
    for (const socket of open) socket.destroy();
  }
}

function listening(server: net.Server, { address, port }: Forwarding): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const hint = error.code === "EACCES" ? "ports below 1024 need root" : "choose another port";
      reject(
        new Failure("kernel", `cannot listen on ${address}:${port}: ${systemReason(error)}`, {
          code: error.code ?? "EIO",
          hint,
          cause: error,
        }),
      );
    });
    server.listen(port, address, () => {
      const bound = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : port);
    });
  });
}

async function serve(
  lab: OpenLab,
  forwarding: Forwarding,
  client: net.Socket,
  onEvent: ForwardOptions["onEvent"],
): Promise<void> {
  const name = `${client.remoteAddress ?? ""}:${client.remotePort ?? 0}`;
  client.on("error", () => client.destroy());
  try {
    const remote = await dial(lab, forwarding);
    onEvent({ type: "connection", forwarding, client: name });
    remote.on("error", () => {
      remote.destroy();
      client.destroy();
    });
    client.once("close", () => remote.destroy());
    client.pipe(remote);
    remote.pipe(client);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    onEvent({ type: "refused", forwarding, client: name, reason });
    client.resetAndDestroy();
  }
}

/** Milliseconds that a connection inside the node may take. */
const patience = 5000;

/** First the loopback of the node, then its own addresses: a service may listen on one of them only. */
async function dial(lab: OpenLab, { node, nodePort }: Forwarding): Promise<net.Socket> {
  const own = lab.found.record.topology.nodes.find((each) => each.name === node)?.interfaces ?? [];
  const addresses = ["127.0.0.1", "::1", ...own.flatMap((each) => each.addresses.map(({ address }) => address))];
  let failure: unknown;
  for (const address of addresses) {
    try {
      return await dialAddress(lab, node, address, nodePort);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

async function dialAddress(lab: OpenLab, node: string, address: string, port: number): Promise<net.Socket> {
  const kind = constants.SOCK_STREAM | constants.SOCK_NONBLOCK;
  const fd = lab.line.openSocket(node, familyOf(address), kind, 0);
  try {
    connect(fd, inetAddress(address, port));
    const deadline = Date.now() + patience;
    while (poll(fd, constants.POLLOUT, 0) === 0) {
      if (Date.now() > deadline) throw new SystemCallError(ETIMEDOUT, "connect", `${address}:${port} in ${node}`);
      await delay(1);
    }
    const errno = getsockoptInt(fd, constants.SOL_SOCKET, SO_ERROR);
    if (errno !== 0) throw new SystemCallError(errno, "connect", `${address}:${port} in ${node}`);
    return new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  } catch (error) {
    closeQuietly(fd);
    throw error;
  }
}

const SO_ERROR = 4;
const ETIMEDOUT = 110;

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
