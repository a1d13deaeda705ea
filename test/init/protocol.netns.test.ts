/** 26: init against clients that speak nonsense: it drops or refuses them, and serves the others. */
import test from "ava";
import { FieldWriter, encodeMessage, messageMax, request } from "../../src/init/protocol.js";
import { MessageBlock } from "../../src/kernel/message-block.js";
import { SystemCallError } from "../../src/kernel/system-error.js";
import { close, connect, constants, open, recv, send, socket, unixAddress } from "../../src/kernel/syscalls.js";
import { mutate, random } from "../helper/mutate.js";
import { lab, shell } from "./lab.js";

function rawClient(folder: string, flags = 0): number {
  const fd = socket(constants.AF_UNIX, constants.SOCK_SEQPACKET | flags, 0);
  const directory = open(folder, constants.O_PATH);
  connect(fd, unixAddress(`/proc/self/fd/${directory}/init.sock`));
  close(directory);
  return fd;
}

/** Files that a message may bring; more than it should, and of the wrong kind. */
const nothing = open("/dev/null", constants.O_RDWR);
const network = open("/proc/self/ns/net", constants.O_RDONLY);
const files = [[], [], [nothing], [network], [nothing, nothing, nothing], Array<number>(40).fill(nothing)];

/** Sends, and takes what comes back, if anything does; false once init has dropped the client. */
function offer(fd: number, bytes: Uint8Array, descriptors: readonly number[] = []): boolean {
  try {
    if (block.send(fd, bytes, descriptors) === undefined) return false;
    for (let turns = 0; turns < 64; turns++) {
      const length = recv(fd, answer, constants.MSG_DONTWAIT);
      if (length === 0) return false;
      if (length === undefined) break;
    }
    return true;
  } catch (error) {
    if (error instanceof SystemCallError) return false;
    throw error;
  }
}

const answer = new Uint8Array(messageMax);
const block = new MessageBlock(messageMax);
const text = () => new FieldWriter();

/** What each kind of request has for fields: `s` a string, `l` a list of them, `1` and `4` numbers of so many bytes. */
const shapes: readonly (readonly [kind: number, fields: string])[] = [
  [request.hello, ""],
  [request.createNodes, "ll"],
  [request.adoptNode, "s"],
  [request.removeNode, "s"],
  [request.listNodes, "4"],
  [request.openNamespaces, "l"],
  [request.openSockets, "l444"],
  [request.readSysctls, "sl"],
  [request.writeSysctls, "s4ss1"],
  [request.openProcNet, "ss"],
  [request.spawn, "s1sll"],
  [request.startContainer, "s1s"],
  [request.signal, "44"],
  [request.wait, "4"],
];
const texts = [
  ...["", "a", "a", "a", "x", "b", "..", "/", "net", "net.", "net.ipv4.ip_forward", "net.ipv4.conf.all.rp_filter", "1"],
  ...["net.ipv4.conf.eth0/1.rp_filter", "net/../kernel", "kernel.hostname", "dev", "tcp", "../mem", "%s%n", "/no/such"],
  ...["/proc/self/exe", "/proc/self/fd/3", "\x01\xff", "y".repeat(128), "z".repeat(129), "w".repeat(5000)],
];
const numbers = [0, 1, 2, 3, 7, 9, 15, 16, 17, 64, 65, 255, 256, 4096, 0x7fffffff, 0x80000000, 0xffffffff];

/** A request that is well formed and means harm. */
function hostileMessage(below: (limit: number) => number): Uint8Array {
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const [kind, fields] = pick(shapes);
  const writer = text();
  for (const field of fields) {
    if (field === "s") writer.string(pick(texts));
    else if (field === "l") writer.strings(Array.from({ length: pick([0, 1, 1, 2, 5, 40]) }, () => pick(texts)));
    else if (field === "1") writer.u8(pick(numbers) & 255);
    else writer.u32(pick(numbers));
  }
  return encodeMessage(kind, pick(numbers), writer.bytes());
}

/** One good message of each kind, but for those that end the lab. */
const good = [
  encodeMessage(request.hello, 1, text().bytes()),
  encodeMessage(request.createNodes, 2, text().strings(["x"]).strings([]).bytes()),
  encodeMessage(request.adoptNode, 3, text().string("y").bytes()),
  encodeMessage(request.removeNode, 4, text().string("x").bytes()),
  encodeMessage(request.listNodes, 5, text().u32(0).bytes()),
  encodeMessage(request.openNamespaces, 6, text().strings(["a", "a"]).bytes()),
  encodeMessage(request.openSockets, 7, text().strings(["a", "a"]).u32(16).u32(3).u32(0).bytes()),
  encodeMessage(request.readSysctls, 8, text().string("a").strings(["net.ipv4.ip_forward"]).bytes()),
  encodeMessage(
    request.writeSysctls,
    9,
    text().string("a").u32(1).string("net.ipv4.ip_forward").string("1").u8(1).bytes(),
  ),
  encodeMessage(request.openProcNet, 10, text().string("a").string("dev").bytes()),
  encodeMessage(request.spawn, 11, text().string("a").u8(3).string("/").strings(["true"]).strings(["A=1"]).bytes()),
  encodeMessage(request.startContainer, 12, text().string("a").u8(0).string("/nowhere/log").bytes()),
  encodeMessage(request.signal, 13, text().u32(1000).u32(0).bytes()),
  encodeMessage(request.wait, 14, text().u32(1000).bytes()),
];

test("26: messages that are short, long, torn or tampered with", async (t) => {
  const { init, folder } = await lab(t);
  await init.createNodes([{ name: "a", container: false }]);
  const seed = 20260502;
  t.log(`seed ${seed}`);
  const below = random(seed);
  let fd = rawClient(folder, constants.SOCK_NONBLOCK);
  let dropped = 0;
  for (let left = process.env.YAPC_NET_SOAK === undefined ? 3000 : 250_000; left > 0; left--) {
    const hostile = left % 3 === 0 ? undefined : hostileMessage(below);
    const message =
      hostile === undefined || left % 3 === 1 ? mutate(hostile ?? good[below(good.length)]!, below) : hostile;
    if (message.length >= 8 && new DataView(message.buffer).getUint32(4, true) === request.shutdown) continue;
    if (offer(fd, message, files[below(files.length)])) continue;
    close(fd);
    fd = rawClient(folder, constants.SOCK_NONBLOCK);
    dropped++;
  }
  close(fd);
  t.true(dropped > 0);
  await init.createNodes([{ name: "after", container: false }]); // `a` may have been removed
  t.is((await shell(init, "after", "echo alive")).text, "alive\n");
});

test("26: a message that says another length, or a kind that there is not, drops its client and no other", async (t) => {
  const { init, folder } = await lab(t);
  await init.createNodes([{ name: "a", container: false }]);
  const wrongLength = good[0]!.slice();
  wrongLength[0] = 99;
  for (const message of [
    wrongLength,
    encodeMessage(999, 1, new Uint8Array()),
    new Uint8Array(3),
    new Uint8Array(messageMax),
  ]) {
    const fd = rawClient(folder);
    send(fd, message);
    t.is(recv(fd, new Uint8Array(16)), 0); // the end of the connection
    close(fd);
  }
  t.is((await shell(init, "a", "echo alive")).text, "alive\n");
});
