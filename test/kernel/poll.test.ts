/**
 * Watching descriptors. The cover in `poll.ts` is there because `koffi.node.poll` ends the process, or goes silent, in
 * the cases below: each runs in a process of its own, once through the cover, so that an upgrade of koffi that changes
 * them is seen.
 */
import test from "ava";
import { execFileSync } from "node:child_process";
import { openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { MessageBlock } from "../../src/kernel/message-block.js";
import { Watch } from "../../src/kernel/poll.js";
import * as sys from "../../src/kernel/syscalls.js";
import { until } from "./namespaces.js";

const { constants } = sys;

test("a watched socket calls back until it is read, and not after it is disposed of", async (t) => {
  const [a, b] = sys.socketpair(constants.AF_UNIX, constants.SOCK_DGRAM);
  const buffer = new Uint8Array(16);
  const got: number[] = [];
  const watch = new Watch(a, () => {
    const length = sys.recv(a, buffer, constants.MSG_DONTWAIT);
    if (length !== undefined) got.push(buffer[0]!);
  });
  sys.send(b, Uint8Array.of(1));
  sys.send(b, Uint8Array.of(2));
  await until(() => (got.length === 2 ? true : undefined), "both");
  watch[Symbol.dispose]();
  watch[Symbol.dispose]();
  watch.ref();
  watch.unref();
  sys.send(b, Uint8Array.of(3));
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(got, [1, 2]);
  using again = new Watch(a, () => undefined);
  t.is(again.fd, a);
  sys.close(b);
});

test("what would end the process is an exception instead", (t) => {
  const [a] = sys.socketpair(constants.AF_UNIX, constants.SOCK_DGRAM);
  using watch = new Watch(a, () => undefined);
  t.throws(() => new Watch(watch.fd, () => undefined), { message: /watched already/ });
  const file = openSync(fileURLToPath(import.meta.url), "r");
  t.throws(() => new Watch(file, () => undefined), { message: /regular file/ });
  sys.close(file);
  t.throws(() => new Watch(file, () => undefined), { code: "EBADF" });
});

test("the other end of a socket that goes is told", async (t) => {
  const [a, b] = sys.socketpair(constants.AF_UNIX, constants.SOCK_STREAM);
  let hungUp = false;
  const watch = new Watch(a, (condition) => {
    hungUp ||= condition.hungUp;
    if (hungUp) watch[Symbol.dispose]();
  });
  sys.close(b);
  t.true(await until(() => (hungUp ? true : undefined), "the hang-up"));
});

/** Runs a module in a process of its own. @returns its output; throws where it ends with a status or by a signal */
function runAlone(body: string): string {
  const from = (name: string) => JSON.stringify(new URL(`../../src/kernel/${name}.js`, import.meta.url).href);
  const program = `
    import * as sys from ${from("syscalls")};
    import { Watch } from ${from("poll")};
    const { constants } = sys;
    ${body}`;
  return execFileSync(process.execPath, ["--expose-gc", "--input-type=module", "-e", program], {
    encoding: "utf8",
    timeout: 20_000,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

test("a watch that nobody holds is not collected", (t) => {
  const output = runAlone(`
    const [a, b] = sys.socketpair(constants.AF_UNIX, constants.SOCK_DGRAM);
    (() => { new Watch(a, () => { console.log("called"); process.exit(0); }); })();
    for (let i = 0; i < 5; i++) { globalThis.gc(); await new Promise((resolve) => setTimeout(resolve, 1)); }
    sys.send(b, Uint8Array.of(1));`);
  t.is(output, "called\n");
});

test("an exception in the callback is raised, and the watch goes on", (t) => {
  const output = runAlone(`
    const [a, b] = sys.socketpair(constants.AF_UNIX, constants.SOCK_DGRAM);
    process.on("uncaughtException", (error) => { console.log(error.message); sys.send(b, Uint8Array.of(2)); });
    let count = 0;
    const watch = new Watch(a, () => {
      sys.recv(a, new Uint8Array(4));
      if (++count === 1) throw new Error("from the callback");
      console.log("again");
      watch[Symbol.dispose]();
    });
    sys.send(b, Uint8Array.of(1));`);
  t.is(output, "from the callback\nagain\n");
});

test("a process whose watch keeps it not alive ends", (t) => {
  t.is(
    runAlone(`
    const [a] = sys.socketpair(constants.AF_UNIX, constants.SOCK_DGRAM);
    new Watch(a, () => undefined, { keepsAlive: false });
    console.log("ready");`),
    "ready\n",
  );
});

test("a process ends as it wants while a descriptor that keeps it not alive has something to say", (t) => {
  t.is(
    runAlone(`
    const [a, b] = sys.socketpair(constants.AF_UNIX, constants.SOCK_DGRAM);
    new Watch(a, () => undefined, { keepsAlive: false });
    sys.send(b, Uint8Array.of(1));
    console.log("ready");`),
    "ready\n",
  );
});

test("descriptors travel with a message, and arrive close-on-exec", (t) => {
  const [a, b] = sys.socketpair(constants.AF_UNIX, constants.SOCK_SEQPACKET);
  using block = new MessageBlock(64);
  const [reading, writing] = sys.pipe2();
  t.is(block.send(a, Buffer.from("take these"), [reading, writing]), 10);
  const received = block.receive(b)!;
  t.is(Buffer.from(received.bytes).toString(), "take these");
  const [reading2, writing2] = received.descriptors as [number, number];
  t.is(sys.inode(reading2), sys.inode(reading));
  t.is(sys.fcntl(writing2, constants.F_GETFD), 1);
  t.is(block.receive(b, constants.MSG_DONTWAIT), undefined);
  t.throws(() => block.send(a, new Uint8Array(65)), { instanceOf: RangeError });
  sys.send(a, new Uint8Array(100));
  t.true((block.receive(b)!.flags & constants.MSG_TRUNC) !== 0);
  sys.close(a);
  t.is(block.receive(b)!.bytes.length, 0, "the end");
  for (const fd of [b, reading, writing, reading2, writing2]) sys.close(fd);
});

test("system calls say what failed", (t) => {
  t.throws(() => sys.open("/nowhere/at all", constants.O_RDONLY), {
    name: "SystemCallError",
    code: "ENOENT",
    message: "openat /nowhere/at all: no such file or directory (ENOENT)",
  });
  t.throws(() => sys.close(4711), { code: "EBADF" });
  t.throws(() => sys.pidfdOpen(0x3fffffff), { code: "ESRCH" });
  const pidfd = sys.pidfdOpen(process.pid);
  t.is(sys.poll(pidfd, constants.POLLIN, 0), 0, "we have not ended");
  sys.pidfdSendSignal(pidfd, 0);
  const memory = sys.memfdCreate("x");
  sys.ftruncate(memory, 10);
  sys.fcntl(memory, constants.F_ADD_SEALS, constants.F_SEAL_GROW | constants.F_SEAL_WRITE);
  t.is(sys.fcntl(memory, constants.F_GET_SEALS), constants.F_SEAL_GROW | constants.F_SEAL_WRITE);
  t.throws(() => sys.ftruncate(memory, 20), { code: "EPERM" });
  sys.close(pidfd);
  sys.close(memory);
});
