import test from "ava";
import { parseListeners } from "../../src/observe/listeners.js";

const heading = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
// The kernel prints addresses as host-endian words: these are of a little-endian machine.
const line = (local: string, remote: string, state: string): string =>
  `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n`;

test("/proc/net/tcp and udp: listeners alone, their addresses as text", (t) => {
  const tcp = heading + line("0100007F:1F90", "00000000:0000", "0A") + line("0100007F:1F90", "0200000A:D431", "01");
  t.deepEqual(parseListeners(tcp, "tcp", 4), [{ protocol: "tcp", family: 4, address: "127.0.0.1", port: 8080 }]);
  const udp = heading + line("00000000:0035", "00000000:0000", "07") + line("0100000A:0035", "0200000A:D431", "07");
  t.deepEqual(parseListeners(udp, "udp", 4), [{ protocol: "udp", family: 4, address: "0.0.0.0", port: 53 }]);
});

test("/proc/net/tcp6: addresses as RFC 5952 spells them", (t) => {
  const none = `${"0".repeat(32)}:0000`;
  const text = ["0".repeat(32), "000000FD000000000000000001000000", "0000000000000000FFFF00000100000A"]
    .map((address) => line(`${address}:0050`, none, "0A"))
    .join("");
  t.deepEqual(
    parseListeners(heading + text, "tcp", 6).map(({ address }) => address),
    ["::", "fd00::1", "::ffff:10.0.0.1"],
  );
});
