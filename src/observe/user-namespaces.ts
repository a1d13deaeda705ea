/**
 * Whether a network namespace is the user's own: it belongs to a user namespace that the user made, and the user, outside
 * of it, has every right there (user_namespaces(7), ioctl_nsfs(2)).
 */
import { statSync } from "node:fs";
import { close, constants, inode, ioctl } from "../kernel/syscalls.js";
import { SystemCallError } from "../kernel/system-error.js";

/** linux/nsfs.h */
const NS_GET_PARENT = 0xb702;
const NS_GET_OWNER_UID = 0xb704;

export interface UserNamespace {
  readonly inode: string;
  /** nsfs descriptor: the caller's. */
  readonly descriptor: number;
}

/**
 * The outermost user namespace of the user's own that a network namespace belongs to: who joins it can enter the network
 * namespace, however deep it lies. Undefined where it is none of the user's.
 * @param netns nsfs descriptor of a network namespace; stays the caller's
 */
export function owningUserNamespace(netns: number): UserNamespace | undefined {
  const outside = statSync("/proc/self/ns/user").ino.toString();
  let current: number | undefined;
  try {
    current = ioctl(netns, constants.NS_GET_USERNS, 0n);
    for (;;) {
      if (inode(current).toString() === outside) return undefined; // the machine's own
      const parent = ioctl(current, NS_GET_PARENT, 0n);
      const top = inode(parent).toString() === outside;
      if (top) {
        close(parent);
        if (ownerOf(current) !== process.getuid?.()) return undefined;
        const found = { inode: inode(current).toString(), descriptor: current };
        current = undefined;
        return found;
      }
      close(current);
      current = parent;
    }
  } catch (error) {
    // EPERM: it belongs to a namespace around the one that we are in.
    if (error instanceof SystemCallError && error.code === "EPERM") return undefined;
    throw error;
  } finally {
    if (current !== undefined) close(current);
  }
}

function ownerOf(userNamespace: number): number {
  const answer = new Uint32Array(1);
  ioctl(userNamespace, NS_GET_OWNER_UID, new Uint8Array(answer.buffer));
  return answer[0] ?? -1;
}
