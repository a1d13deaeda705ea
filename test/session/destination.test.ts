import test from "ava";
import { Failure } from "../../src/model/failure.js";
import { formatAddress } from "../../src/model/address.js";
import { findDestination, parseDestination } from "../../src/session/destination.js";
import { dockerBridge } from "../path/docker-bridge.js";

test("destinations as people write them", (t) => {
  const cases: readonly [string, string][] = [
    ["tcp://web:80", "tcp web 80"],
    ["web:80", "tcp web 80"],
    ["203.0.113.1:8080", "tcp 203.0.113.1 8080"],
    ["[fd00::1]:80", "tcp fd00::1 80"],
    ["udp://[FD00:0::1]:53", "udp fd00::1 53"],
    ["web", "icmp web "],
    ["fd00::1", "icmp fd00::1 "],
    ["icmp://10.0.0.1", "icmp 10.0.0.1 "],
    ["my_app.web-1:80", "tcp my_app.web-1 80"],
  ];
  for (const [text, expected] of cases) {
    const { protocol, host, port } = parseDestination(text, undefined);
    t.is(`${protocol} ${host} ${port ?? ""}`, expected, text);
  }
  t.is(parseDestination("web:53", "udp").protocol, "udp");
});

test("what is no destination says what to write", (t) => {
  for (const text of ["", "web:0", "web:99999", "tcp://web", "icmp://web:80", "[web]:80", "http://web:80"])
    t.throws(() => parseDestination(text, undefined), { instanceOf: Failure }, text);
  t.throws(() => parseDestination("udp://web:53", "tcp"), { message: /contradict/ });
});

test("a name is the address of a network that both are in, IPv4 first", (t) => {
  const [client, host] = dockerBridge.nodes;
  const to = (name: string, family?: 4 | 6) =>
    formatAddress(findDestination(dockerBridge, client!, { protocol: "tcp", host: name, port: 80 }, family).address);
  t.is(to("host"), "203.0.113.1");
  t.is(to("host", 6), "2001:db8::1");
  t.is(to("web"), "10.0.0.10");
  t.throws(() => to("wbe"), { message: /neither an address nor a node/ });
  t.is(
    formatAddress(findDestination(dockerBridge, host!, { protocol: "icmp", host: "web" }, undefined).address),
    "10.0.0.10",
  );
});
