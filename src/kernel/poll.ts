/**
 * Readiness of descriptors in Node's event loop: the one cover of `koffi.node.poll` (uv_poll(3)), which by itself ends
 * the process, or goes silent, in these cases (measured with koffi 3.3.4):
 *
 * - a closed descriptor, a regular file, or a second poll of one descriptor abort the process: checked here first;
 * - the handle closes itself when it is garbage: `watched` keeps it;
 * - stop, ref, unref and start after close are a segmentation fault: ignored here;
 * - an exception in the callback ends all later callbacks without a word: caught here, thrown again from a fresh stack;
 * - a socket error (ENOBUFS of netlink) is reported as status -9 and polling ends: started again here, once the
 *   callback has read the error off the socket;
 * - an open handle that has something to say when the process ends by itself aborts it, with a stack trace and status
 *   134: all are closed before;
 * - an open handle in a Worker that ends is a segmentation fault: not used in Workers.
 */
import { fstatSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
import { type RawPollEvents, type RawPollHandle, constants, fcntl, rawPoll } from "./syscalls.js";

/** Descriptors that are polled now, so that none is polled twice and no handle becomes garbage. */
const watched = new Map<number, Watch>();

process.once("exit", () => {
  for (const watch of watched.values()) watch[Symbol.dispose]();
});

/**
 * What happens on a readable descriptor. Level-triggered: called again while something is left, so it may read a bounded
 * amount and return. After an error condition (`failed`), the error must be read off the descriptor, or the call returns
 * at once again.
 */
export type OnReadable = (condition: { readonly failed: boolean; readonly hungUp: boolean }) => void;

export interface WatchOptions {
  /** False lets the process end while this is all that is left (uv_unref). Default true. */
  readonly keepsAlive?: boolean;
}

/** How often in a row a failed descriptor is started again before it counts as dead: a closed one would loop for ever. */
const MAXIMUM_FAILURES = 16;

export class Watch implements Disposable {
  readonly #handle: RawPollHandle;
  readonly #onReadable: OnReadable;
  #closed = false;
  #failures = 0;

  /**
   * Makes the descriptor non-blocking (uv_poll does) and calls back whenever it can be read. The descriptor stays the
   * caller's: dispose of the watch first, then close it.
   */
  constructor(
    readonly fd: number,
    onReadable: OnReadable,
    options: WatchOptions = {},
  ) {
    if (!isMainThread) throw new Error("descriptors are watched on the main thread only");
    if (watched.has(fd)) throw new Error(`descriptor ${fd} is watched already`);
    fcntl(fd, constants.F_GETFL);
    if (fstatSync(fd).isFile()) throw new Error(`descriptor ${fd} is a regular file: always readable, never watched`);
    this.#onReadable = onReadable;
    this.#handle = rawPoll(fd, { readable: true, disconnect: true }, this.#onEvent);
    watched.set(fd, this);
    if (options.keepsAlive === false) this.#handle.unref();
  }

  ref(): void {
    if (!this.#closed) this.#handle.ref();
  }

  unref(): void {
    if (!this.#closed) this.#handle.unref();
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    watched.delete(this.fd);
    this.#handle.close();
  }

  readonly #onEvent = (status: number, events: RawPollEvents): void => {
    if (this.#closed) return;
    const failed = status < 0;
    this.#failures = failed ? this.#failures + 1 : 0;
    try {
      this.#onReadable({ failed, hungUp: !failed && events.disconnect });
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
    if (failed) this.#restart();
  };

  #restart(): void {
    if (this.#closed) return;
    if (this.#failures > MAXIMUM_FAILURES) {
      this[Symbol.dispose]();
      queueMicrotask(() => {
        throw new Error(`descriptor ${this.fd} fails again and again: it is watched no longer`);
      });
      return;
    }
    this.#handle.start({ readable: true, disconnect: true }, this.#onEvent);
  }
}
