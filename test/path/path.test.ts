import { spawnSync } from "node:child_process";
import test from "ava";
import type { TraceFilter } from "../../src/model/trace.js";
import { hopName } from "../../src/model/hop.js";
import { hops } from "../../src/path/hops.js";
import { sameService, tapFilter } from "../../src/path/tap-filter.js";
import { changed } from "./changed.js";
import { dockerBridge } from "./docker-bridge.js";
import { skip } from "../tools.js";

const nothing: TraceFilter = { ports: [], hosts: [], protocols: [] };

test("hops stand in path order, without loopback", (t) => {
  const order = ["client:eth0", "host:eth0", "host:yapc0", "host:vethweb", "web:eth0"];
  t.deepEqual(hops(dockerBridge).map(hopName), order);
  t.deepEqual(hops(dockerBridge, { from: "client", to: "web" }).map(hopName), order);
  // A namespace made where Docker runs forwards, as the machine did when it was made: with one link it is no router.
  const made = changed(dockerBridge, "client", () => ({ sysctls: { "net.ipv4.ip_forward": "1" } }));
  t.deepEqual(hops({ ...made, nodes: made.nodes.toReversed() }).map(hopName), order);
  t.deepEqual(hops(dockerBridge, { from: "web" }).map(hopName), [
    "web:eth0",
    "host:vethweb",
    "host:yapc0",
    "host:eth0",
    "client:eth0",
  ]);
  t.true(hops(dockerBridge, { loopback: true }).map(hopName).includes("web:lo"));
});

test("a port means the service on either side of NAT", (t) => {
  t.deepEqual(sameService([80], dockerBridge), [80, 8080]);
  t.deepEqual(sameService([8081], dockerBridge), [81, 8081]);
  t.deepEqual(sameService([22], dockerBridge), [22]);
});

const filters: readonly TraceFilter[] = [
  { ...nothing, ports: [80] },
  { ...nothing, ports: [80, 443], hosts: ["10.0.0.10"] },
  { ...nothing, hosts: ["203.0.113.2", "fd00:10::10"] },
  { ...nothing, protocols: ["tcp"], ports: [80] },
  { ...nothing, protocols: ["arp"] },
  { ...nothing, protocols: ["icmp", "icmpv6", "arp"] },
  { ...nothing, protocols: ["sctp", "47", "gre"], hosts: ["10.0.0.1"] },
];

for (const [index, filter] of filters.entries()) {
  test(`tcpdump compiles tap filter ${index}`, (t) => {
    const text = tapFilter(filter, dockerBridge);
    for (const type of ["EN10MB", "LINUX_SLL2"]) {
      const run = spawnSync("tcpdump", ["-y", type, "-d", text], { encoding: "utf8" });
      if (run.error) {
        skip(t, "needs tcpdump");
        return;
      }
      t.is(run.status, 0, `${text}\n${run.stderr}`);
    }
  });
}

test("no filter asks for everything, a raw one is given as it is", (t) => {
  t.is(tapFilter(nothing, dockerBridge), "");
  t.is(tapFilter({ ...nothing, raw: "tcp port 7" }, dockerBridge), "tcp port 7");
});
