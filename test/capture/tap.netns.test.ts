/** A tap on a real interface: what it does at its end. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { Tap } from "../../src/capture/tap.js";
import { lab, shell, until } from "../init/lab.js";
import { testWith } from "../tools.js";

/** The process of a namespace whose command line begins with this word. */
function processIn(netns: string, program: string): number {
  const found = readdirSync("/proc").find((name) => {
    try {
      return (
        /^\d+$/.test(name) &&
        readFileSync(`/proc/${name}/cmdline`, "latin1").startsWith(`${program}\0`) &&
        readlinkSync(`/proc/${name}/ns/net`) === `net:[${netns}]`
      );
    } catch {
      return false; // gone meanwhile, or another user's
    }
  });
  if (found === undefined) throw new Error(`no ${program} runs there`);
  return Number(found);
}

/** Records of a pcap stream, by their headers (pcap-savefile(5)). */
function countRecords(stream: Buffer): number {
  let count = 0;
  for (let at = 24; at < stream.length; at += 16 + stream.readUInt32LE(at + 8)) count += 1;
  return count;
}

testWith("tcpdump")("what tcpdump had no time to read before it was to end is read", async (t) => {
  const { init } = await lab(t);
  await init.createNodes([{ name: "a", container: false }]);
  await shell(init, "a", "ip link set lo up");
  const chunks: Uint8Array[] = [];
  const tap = await Tap.start(init, {
    hop: { node: "a", interface: "lo" },
    filter: "icmp",
    snapshotLength: 96,
    onBytes: (bytes) => chunks.push(bytes),
    onDrops: (dropped) => t.is(dropped, 0),
    onDeath: (reason) => t.fail(reason),
  });
  const [node] = await init.nodes();
  const pid = processIn(node?.netns ?? "", "tcpdump");
  // A machine so busy that tcpdump does not run.
  process.kill(pid, "SIGSTOP");
  t.is((await shell(init, "a", "ping -c 3 -i 0.2 127.0.0.1")).code, 0);
  const stopped = tap.stop();
  const pending = () => !/^ShdPnd:\t0+$/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  t.true(await until(pending), "what stop() sends comes before it runs again");
  process.kill(pid, "SIGCONT");
  await stopped;
  t.is(countRecords(Buffer.concat(chunks)), 6);
});
