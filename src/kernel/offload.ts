/** Offloads of a link (ethtool(8) -k, -K), by the ioctl that every kernel has (linux/ethtool.h, sockios.h). */
import { NativeMemory, ioctl, littleEndian } from "./syscalls.js";

const SIOCETHTOOL = 0x8946;
const IFNAMSIZ = 16;
/** struct ifreq: the name, then a union, here a pointer to struct ethtool_value { cmd u32, data u32 }. */
const IFREQ_SIZE = 40;
const VALUE_SIZE = 8;

/** ETHTOOL_G… and ETHTOOL_S…. */
const commands = {
  tx: [0x16, 0x17],
  tso: [0x1e, 0x1f],
  gso: [0x23, 0x24],
  gro: [0x2b, 0x2c],
} as const;

/** tx: checksums left to the link. tso, gso: segments cut late. gro: joined again on arrival. */
export type Offload = keyof typeof commands;

/**
 * What a link leaves to the hardware, or to its end.
 * @param fd any socket in the link's namespace, a netlink socket too
 */
export function readOffloads(fd: number, link: string): Record<Offload, boolean> {
  const read = (name: Offload) => call(fd, link, commands[name][0], 0) !== 0;
  return { tx: read("tx"), tso: read("tso"), gso: read("gso"), gro: read("gro") };
}

/** Sets what is given. Without `tx` there is no `tso`: the kernel turns it off as well. */
export function writeOffloads(fd: number, link: string, offloads: Partial<Record<Offload, boolean>>): void {
  for (const name of Object.keys(commands) as Offload[]) {
    const on = offloads[name];
    if (on !== undefined) call(fd, link, commands[name][1], Number(on));
  }
}

function call(fd: number, link: string, command: number, data: number): number {
  const name = new TextEncoder().encode(link);
  if (name.length >= IFNAMSIZ) throw new RangeError(`"${link}" is longer than an interface name can be`);
  using memory = new NativeMemory(IFREQ_SIZE + VALUE_SIZE);
  memory.bytes.fill(0);
  memory.bytes.set(name);
  const view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset);
  view.setBigUint64(IFNAMSIZ, memory.address + BigInt(IFREQ_SIZE), littleEndian);
  view.setUint32(IFREQ_SIZE, command, littleEndian);
  view.setUint32(IFREQ_SIZE + 4, data, littleEndian);
  ioctl(fd, SIOCETHTOOL, memory.address);
  return view.getUint32(IFREQ_SIZE + 4, littleEndian);
}
