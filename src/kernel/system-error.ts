import { errnoName, errnoText } from "./errno.js";

/** A system call that failed. `code` is the name of its errno, as in Node's own errors. */
export class SystemCallError extends Error {
  override readonly name = "SystemCallError";
  readonly code: string;

  /**
   * @param errno positive, as in errno.h
   * @param syscall the call that failed: `recv`
   * @param subject what it was called on, where that tells the reader something: a path, `netlink socket of web`
   */
  constructor(
    readonly errno: number,
    readonly syscall: string,
    readonly subject?: string,
  ) {
    const code = errnoName(errno);
    super(`${syscall}${subject === undefined ? "" : ` ${subject}`}: ${errnoText(errno)} (${code})`);
    this.code = code;
  }
}
