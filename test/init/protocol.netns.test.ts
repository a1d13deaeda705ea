/** 26: init against clients that speak nonsense: it drops or refuses them, and serves the others. */
import test from "ava";
import { FieldWriter, encodeMessage, messageMax, request } from "../../src/init/protocol.js";
import { SystemCallError } from "../../src/kernel/system-error.js";
import { close, connect, constants, open, recv, send, socket, unixAddress } from "../../src/kernel/syscalls.js";
import { mutate, random } from "../helper/mutate.js";
import { lab, shell } from "./lab.js";

function rawClient(folder: string): number {
  const fd = socket(constants.AF_UNIX, constants.SOCK_SEQPACKET, 0);
  const directory = open(folder, constants.O_PATH);
  connect(fd, unixAddress(`/proc/self/fd/${directory}/init.sock`));
  close(directory);
  return fd;
}

/** Sends, and takes what comes back, if anything does; false once init has dropped the client. */
function offer(fd: number, bytes: Uint8Array): boolean {
  const answer = new Uint8Array(messageMax);
  try {
    if (send(fd, bytes, constants.MSG_NOSIGNAL | constants.MSG_DONTWAIT) === undefined) return false;
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

const text = () => new FieldWriter();

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
  let fd = rawClient(folder);
  let dropped = 0;
  for (let left = process.env.YAPC_NET_SOAK === undefined ? 3000 : 200_000; left > 0; left--) {
    const message = mutate(good[below(good.length)]!, below);
    if (message.length >= 8 && new DataView(message.buffer).getUint32(4, true) === request.shutdown) continue;
    if (offer(fd, message)) continue;
    close(fd);
    fd = rawClient(folder);
    dropped++;
  }
  close(fd);
  t.true(dropped > 0);
  t.is((await shell(init, "a", "echo alive")).text, "alive\n");
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
