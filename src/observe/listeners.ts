/**
 * Listening sockets of a node, by socket diagnosis (sock_diag(7)), which looks at listeners alone. /proc/net/tcp walks
 * the table of established connections of the whole machine, 5 to 20 ms where it is large, so it is read only where the
 * kernel has no CONFIG_INET_DIAG.
 */
import type { NodeLine } from "../init/api.js";
import { sockets as diagnosis, UnsupportedError } from "../kernel/index.js";
import { type Address, addressFromBytes, formatAddress } from "../model/address.js";
import type { ListenerSnapshot } from "../model/snapshot.js";
import type { NodeSockets } from "./sockets.js";

export async function listenersOf(
  line: NodeLine,
  sockets: NodeSockets,
  node: string,
  linkName: (index: number) => string | undefined = () => undefined,
): Promise<ListenerSnapshot[]> {
  try {
    return diagnosis
      .listListeners(sockets.diagnosis(node))
      .filter(({ protocol, peerPort }) => protocol === "tcp" || peerPort === 0)
      .map(({ protocol, family, address, port, boundTo, v6only }) => {
        const bound = boundTo === undefined ? undefined : linkName(boundTo);
        return {
          ...{ protocol, family, address, port },
          ...(v6only === true && address === "::" ? { v6only } : {}),
          ...(bound === undefined ? {} : { interface: bound }),
        };
      });
  } catch (error) {
    if (!(error instanceof UnsupportedError)) throw error;
  }
  const files = [
    ["tcp", "tcp", 4],
    ["tcp6", "tcp", 6],
    ["udp", "udp", 4],
    ["udp6", "udp", 6],
  ] as const;
  const texts = await Promise.all(files.map(([file]) => line.readProcNet(node, file)));
  return files.flatMap(([, protocol, family], index) => parseListeners(texts[index] ?? "", protocol, family));
}

const listenState = { tcp: "0A", udp: "07" } as const;

/**
 * From /proc/net/{tcp,tcp6,udp,udp6} (proc_pid_net(5)): addresses are host-endian 32-bit words in hexadecimal, ports
 * hexadecimal, TCP state 0A is LISTEN. A UDP socket listens when it has no remote end (state 07).
 */
export function parseListeners(text: string, protocol: "tcp" | "udp", family: 4 | 6): ListenerSnapshot[] {
  const listeners: ListenerSnapshot[] = [];
  for (const line of text.split("\n").slice(1)) {
    const [, local, remote, state] = line.trim().split(/\s+/);
    if (local === undefined || state !== listenState[protocol]) continue;
    if (protocol === "udp" && remote?.endsWith(":0000") !== true) continue;
    const [hex = "", port] = local.split(":");
    const address = hexAddress(hex);
    if (address === undefined || port === undefined) continue;
    listeners.push({ protocol, family, address: formatAddress(address), port: Number.parseInt(port, 16) });
  }
  return listeners;
}

function hexAddress(hex: string): Address | undefined {
  const bytes: number[] = [];
  for (let word = 0; word < hex.length; word += 8)
    for (let byte = 3; byte >= 0; byte -= 1)
      bytes.push(Number.parseInt(hex.slice(word + 2 * byte, word + 2 * byte + 2), 16));
  return addressFromBytes(Uint8Array.from(bytes));
}
