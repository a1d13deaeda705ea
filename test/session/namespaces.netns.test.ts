/**
 * A machine without any engine: namespaces by `ip netns`, a bridge, rules by iptables, made by hand.
 *
 *     outside eth0 ──── wan host br0 ──── to-red  eth0 red    (8080 leads here)
 *     203.0.113.2   203.0.113.1  10.1.0.1 to-blue eth0 blue
 */
import { existsSync } from "node:fs";
import path from "node:path";
import test from "ava";
import type { Snapshot } from "../../src/model/snapshot.js";
import { Cli, program, until } from "../e2e/cli.js";
import { serialUnless } from "../tools.js";
import { PlainHost } from "./plain-host.js";

const place = new Cli();
const made = `
for name in outside red blue; do ip netns add $name; ip -n $name link set lo up; done
ip link add wan type veth peer name eth0 netns outside
ip address add 203.0.113.1/24 dev wan
ip link set wan up
ip -n outside address add 203.0.113.2/24 dev eth0
ip -n outside link set eth0 up
ip link add br0 type bridge
ip address add 10.1.0.1/24 dev br0
ip link set br0 up
n=10
for name in red blue; do
  ip link add to-$name type veth peer name eth0 netns $name
  ip link set to-$name master br0 up
  ip -n $name address add 10.1.0.$n/24 dev eth0
  ip -n $name link set eth0 up
  ip -n $name route add default via 10.1.0.1
  n=$((n + 10))
done
sysctl -qw net.ipv4.ip_forward=1
iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -p tcp --dport 8080 -j DNAT --to-destination 10.1.0.10:80
iptables -t nat -A POSTROUTING -s 10.1.0.0/24 ! -o br0 -j MASQUERADE
iptables -P FORWARD DROP
iptables -N WEB
iptables -A WEB -p tcp -m multiport --dports 80,443 -m comment --comment "the web" -j ACCEPT
iptables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
iptables -A FORWARD -i wan -o br0 -j WEB
iptables -A FORWARD -i br0 ! -o br0 -j ACCEPT
ip netns exec red busybox httpd -p 80 -h /
ip netns exec blue sleep 1000 &
`;

async function missing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "needs root";
  for (const file of ["ip", "iptables", "nft", "busybox", "curl", "unshare"])
    if ((await program("sh", "-c", `PATH=$PATH:/usr/sbin command -v ${file}`)).code !== 0) return `no ${file}`;
  if (!existsSync("/run/netns") && (await program("unshare", "-nm", "true")).code !== 0) return "no namespaces";
  return undefined;
}
const reason = await missing();
test.after.always(() => place.end());
const run = serialUnless(reason);

function on(host: PlainHost, ...args: string[]) {
  return place.start(args, { under: host.under, environment: {} }).ended;
}

const ends = `for pid in $(ip netns pids red) $(ip netns pids blue); do kill $pid; done 2>/dev/null`;

run("the picture, the hops and the copy of a machine that was made by hand", async (t) => {
  await using host = await PlainHost.start(made, ends);
  const state = async (): Promise<string[]> => {
    const read = [
      "nft -a list ruleset | sed 's/packets [0-9]* bytes [0-9]*//'",
      "ip -d -o link | sed 's/[a-z_]*_timer *[0-9.]*//g'",
      "sysctl -a 2>/dev/null | grep '^net' | grep -v 'nf_conntrack_count\\|random\\|fib_multipath_hash_seed'",
    ];
    return (await Promise.all(read.map((line) => host.ok("sh", "-c", line)))).flatMap((text) => text.split("\n"));
  };
  const before = await state();
  const read = async (...args: string[]): Promise<Snapshot> => {
    const { code, stdout, stderr } = await on(host, "inspect", "--machine", "--json", ...args);
    t.is(code, 0, stderr);
    return JSON.parse(stdout) as Snapshot;
  };
  const snapshot = await read();
  t.deepEqual(snapshot.nodes.map(({ name, role }) => `${name} ${role}`).toSorted(), [
    "blue namespace",
    "host machine",
    "outside namespace",
    "red namespace",
  ]);
  const machine = snapshot.nodes.find(({ name }) => name === "host");
  t.deepEqual(
    machine?.interfaces
      .filter(({ peer }) => peer)
      .map(({ name, peer, master }) => [name, peer?.node, master])
      .toSorted(),
    [
      ["to-blue", "blue", "br0"],
      ["to-red", "red", "br0"],
      ["wan", "outside", undefined],
    ],
  );
  t.true(snapshot.nodes.find(({ name }) => name === "red")?.processes?.some(({ name }) => name === "busybox"));

  const listed = await on(host, "trace", "--port", "8080", "--list");
  t.is(listed.code, 0, listed.stderr);
  t.regex(
    listed.stdout,
    /outside:eth0[^]*host:wan[^]*NAT 8080 -> 10\.1\.0\.10:80[^]*host:br0[^]*host:to-red[^]*red:eth0/,
  );
  const traced = await on(
    host,
    "trace",
    "--machine",
    "--json",
    "--port",
    "8080",
    "--from",
    "outside",
    "--node",
    "red",
    "--",
    "curl",
    "-s",
    "-o",
    "/dev/null",
    "http://203.0.113.1:8080/",
  );
  t.is(traced.code, 0, traced.stderr);
  const [packet] = traced.stdout
    .split("\n")
    .flatMap((line) =>
      line.includes('"type":"packet"') ? [JSON.parse(line) as { sightings: { hop: string }[] }] : [],
    );
  t.deepEqual(
    packet?.sightings.map(({ hop }) => hop),
    ["outside:eth0", "host:wan", "host:br0", "host:to-red", "red:eth0"],
  );

  const file = path.join(place.folder, "by-hand.json");
  const imported = await on(host, "import", "--live", "-o", file);
  t.is(imported.code, 0, imported.stderr);
  t.is(imported.stderr, "", "everything of it can be said in a file");
  const after = await state();
  t.deepEqual(
    [before.filter((line) => !after.includes(line)), after.filter((line) => !before.includes(line))],
    [[], []],
    "nothing was changed by looking",
  );

  t.is((await on(host, "up", file, "--name", "copy")).code, 0);
  t.teardown(() => undefined);
  const inside = (node: string, ...argv: string[]) => on(host, "exec", "--lab", "copy", node, "--", ...argv);
  const web = place.start(["exec", "--lab", "copy", "red", "--", "busybox", "httpd", "-f", "-p", "80", "-h", "/"], {
    under: host.under,
    environment: {},
  });
  t.true(
    await until(
      async () =>
        (await inside("outside", "curl", "-s", "-m", "1", "-o", "/dev/null", "http://203.0.113.1:8080/")).code === 0,
    ),
    "the published port leads to red",
  );
  t.is((await inside("outside", "curl", "-s", "-m", "1", "http://203.0.113.1:8081/")).code, 7);
  // 8080 of red itself is none of the web's: the policy drops it.
  await inside("outside", "ip", "route", "add", "10.1.0.0/24", "via", "203.0.113.1");
  t.is((await inside("outside", "curl", "-s", "-m", "1", "http://10.1.0.10:8080/")).code, 28);
  web.child.kill("SIGTERM");
  await web.ended;
  t.is((await on(host, "down", "copy")).code, 0);
});

run("namespaces come and go while they are read: a picture comes out, and no error", async (t) => {
  await using host = await PlainHost.start(
    `
(while :; do
  for n in 1 2 3; do ip netns add churn$n; ip link add v$n type veth peer name eth0 netns churn$n; ip netns exec churn$n sleep 0.05 & done
  for n in 1 2 3; do ip netns delete churn$n; ip link delete v$n 2>/dev/null; done
done) >/dev/null 2>&1 &
echo $! >/run/churn
`,
    "kill $(cat /run/churn); wait 2>/dev/null; true",
  );
  const rounds = process.env.YAPC_NET_SOAK === "1" ? 40 : 4;
  let seen = 0;
  for (let round = 0; round < rounds; round += 1) {
    const { code, stdout, stderr } = await on(host, "inspect", "--machine", "--all", "--json");
    t.is(code, 0, stderr);
    const names = (JSON.parse(stdout) as Snapshot).nodes.map(({ name }) => name);
    t.is(names[0], "host");
    seen += names.filter((name) => name.startsWith("churn")).length;
  }
  t.log(`${rounds} pictures, with ${seen} namespaces that were about to end`);
  t.true(seen > 0, "some were caught");
});
