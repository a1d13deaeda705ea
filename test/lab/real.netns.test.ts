/**
 * `up --real` and `uplink`, each on a machine of the test's own (`host.ts`). What the lab made is read with ip, nft and
 * iptables; what is there afterwards must be what was there before, to the letter.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { Journal, readJournal } from "../../src/lab/machine/journal.js";
import { canRun, Host, yapcCommand } from "./host.js";

/**
 *     outer ═══ wan0 the machine ── yapc0 10.77.0.1 ─ vethweb ═══ eth0 10.77.0.10 web
 */
function published(name: string, { subnet = "10.77.0", port = 8080, bridge = "yapc0", web = "web" } = {}) {
  return {
    name,
    machine: "host",
    nodes: {
      host: {
        nat: [
          { action: "publish", port, to: `tcp://${web}:80` },
          { action: "publish", port: port + 1, to: `tcp://${web}:81` },
        ],
        firewall: { forward: { rules: [{ action: "drop", protocol: "tcp", dport: 81, comment: "no 81" }] } },
      },
      [web]: {
        container: {
          command: ["busybox", "httpd", "-f", "-p", "80", "-h", "/srv"],
          files: { "/srv/index.html": name },
        },
        ready: "tcp/80",
      },
    },
    networks: { lan: { bridge: `host:${bridge}`, subnets: [`${subnet}.0/24`], members: { [web]: `${subnet}.10` } } },
  };
}

/** A web server of the test in a namespace, on a port; it serves one word. */
async function serve(host: Host, namespace: string, port: number, word: string): Promise<void> {
  const folder = path.join(host.folder, word);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "index.html"), word);
  host.start("ip", "netns", "exec", namespace, "busybox", "httpd", "-f", "-p", String(port), "-h", folder);
  await host.sh(
    `for i in $(seq 500); do ip netns exec ${namespace} ss -Hltn sport = :${port} | grep -q . && exit; sleep 0.01; done; exit 1`,
  );
}

test.serial("docker-bridge on the machine: reached from outside, and gone without a trace", async (t) => {
  if (!canRun(t, "ip", "nft", "iptables-save", "busybox", "curl")) return;
  const host = await Host.create(t);
  const lab = host.lab();
  // Strangers that look alike: a bridge, a name, an alias alone, an altname alone, tables, comments.
  await host.sh(`
    ip link add yapc1 type bridge
    ip link set yapc1 up
    ip link add yapc-net type veth peer name yapc0x
    ip link set yapc-net alias 'yapc-net ${lab} host:yapc-net'
    ip link property add dev yapc0x altname yapc-net.${lab}.other
    nft add table inet yapc_nat
    nft add table inet yapc_${lab}x_nat
    nft add chain inet yapc_nat forward '{ type filter hook forward priority 0; }'
    nft add rule inet yapc_nat forward iifname yapc0 counter comment '"yapc-network ${lab}"'
    ip route add blackhole 10.99.0.0/16
    ip rule add priority 77 from 10.98.0.0/16 table 99
    ip netns add other
    ip link add lan0 type veth peer name eth0 netns other
    ip address add 192.0.2.1/24 dev lan0
    ip link set lan0 up
    ip -n other address add 192.0.2.2/24 dev eth0
    ip -n other link set eth0 up
    ip -n other route add default via 192.0.2.1
    ip -n outer route add 192.0.2.0/24 via 198.51.100.1
    ip -n outer route add 203.0.113.0/24 via 198.51.100.1`);
  await serve(host, "other", 81, "other");
  const before = await host.state();

  await host.ok("up", "docker-bridge", "--real", "--name", lab);
  t.is(await host.get("outer", "http://198.51.100.1:8080/"), "hello\n", "published on every address of the machine");
  t.is(await host.get(undefined, "http://198.51.100.1:8080/"), "hello\n", "and to the machine itself");
  t.regex(await host.ok("exec", "--lab", lab, "client", "--", "curl", "-s", "http://203.0.113.1:8080/"), /hello/);
  t.is(await host.get("outer", "http://198.51.100.1:8081/"), undefined, "the lab's firewall drops port 81");
  t.is(await host.get("outer", "http://192.0.2.2:81/"), "other", "but not what others forward on port 81");

  const links = JSON.parse(await host.sh("ip -j -d link")) as {
    readonly ifname: string;
    readonly group: string;
    readonly ifalias?: string;
    readonly altnames?: readonly string[];
  }[];
  const own = links.filter(({ ifalias }) => ifalias?.startsWith(`yapc-net ${lab} host:`) === true);
  t.deepEqual(own.map(({ ifname }) => ifname).sort(), ["eth0", "vethweb", "yapc-net", "yapc0"]);
  const marked = own.filter(({ ifname }) => ifname !== "yapc-net");
  t.is(new Set(marked.map(({ group }) => group)).size, 1, "one group for the links of the lab");
  t.not(marked[0]?.group, "default");
  for (const { ifname, altnames } of marked) t.deepEqual(altnames, [`yapc-net.${lab}.${ifname}`]);
  const ruleset = await host.sh("nft list ruleset");
  t.true(ruleset.includes(`table inet yapc_${lab}_filter {\n\tcomment "yapc-net ${lab}"`));
  t.regex(await host.ok("ls"), new RegExp(`${lab} +running .* real `));

  t.regex(await host.ok("up", "docker-bridge", "--real", "--name", lab), /nothing was changed/);
  t.regex(await host.ok("up", "docker-bridge", "--name", lab), /nothing was changed/, "a lab stays what it is");

  const curl = ["curl", "-s", "-m1", "203.0.113.1:8081"];
  const trace = await host.yapc("trace", "--lab", lab, "--json", "--from", "client", "--", ...curl);
  t.regex(trace.stdout, /nft rule 'no 81' \(inet yapc_/, "the trace names the rule on the machine");

  const down = await host.ok("down", lab);
  t.regex(down, /objects of it left on this machine: 0/);
  t.is(await host.state(), before);
});

test.serial("a change of a running lab touches what is the lab's and nothing else", async (t) => {
  if (!canRun(t, "ip", "nft", "busybox", "curl")) return;
  const host = await Host.create(t);
  const lab = host.lab();
  await host.sh(`
    ip route add blackhole 10.99.0.0/16
    ip rule add priority 77 from 10.98.0.0/16 table 99
    ip link add mine type bridge
    ip link set mine up
    ip address add 192.0.2.1/24 dev mine
    ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev mine`);
  const before = await host.state();
  const forwarding = "sysctl -a 2>/dev/null | grep -E 'forward|accept_redirects' | grep -v -e yapc0 -e vethweb";
  const forwardingBefore = await host.sh(forwarding);
  const topology = published(lab);
  const file = host.file("lab.json", topology);
  await host.ok("up", file, "--real");
  const { host: machine, ...others } = topology.nodes;
  host.file("lab.json", {
    ...topology,
    nodes: {
      host: {
        ...machine,
        nat: machine.nat.slice(0, 1),
        routes: [{ to: "10.97.0.0/16", type: "blackhole" }],
        interfaces: { overlay: { vxlan: { id: 7, remote: "10.77.0.10" }, addresses: "10.96.7.1/24" } },
      },
      ...others,
      second: {},
    },
    networks: {
      lan: { ...topology.networks.lan, members: { ...topology.networks.lan.members, second: "10.77.0.11" } },
    },
  });
  await host.ok("up", file);
  t.is(await host.get("outer", "http://198.51.100.1:8080/"), lab);
  t.true((await host.sh("ip route")).includes("blackhole 10.97.0.0/16"));
  t.regex(await host.sh("ip -d link show vethsecond"), new RegExp(`alias yapc-net ${lab} host:vethsecond`));
  t.regex(await host.sh("ip -d link show overlay"), new RegExp(`alias yapc-net ${lab} host:overlay`));
  host.file("lab.json", topology);
  await host.ok("up", file);
  t.false((await host.sh("ip route")).includes("10.97.0.0/16"));
  t.is((await host.execute("ip", "link", "show", "vethsecond")).code, 1);
  // Without NAT the lab needs no forwarding any more: what it raised is as it was, and is raised again when it does.
  t.is(await host.sh("sysctl -n net.ipv4.ip_forward"), "1\n");
  host.file("lab.json", { ...topology, nodes: { host: {}, ...others } });
  await host.ok("up", file);
  t.is(await host.sh(forwarding), forwardingBefore);
  host.file("lab.json", topology);
  await host.ok("up", file);
  t.is(await host.get("outer", "http://198.51.100.1:8080/"), lab);
  await host.ok("down", lab);
  t.is(await host.state(), before);
});

test.serial("what is in the way is said before anything is done", async (t) => {
  if (!canRun(t, "ip", "nft", "iptables", "setpriv")) return;
  const host = await Host.create(t);
  const lab = host.lab();
  const file = host.file("lab.json", published(lab));
  const refused = async (words: RegExp, line?: RegExp): Promise<void> => {
    const before = await host.state();
    const { code, stderr } = await host.yapc("up", file, "--real");
    t.is(code, 3, stderr);
    t.regex(stderr, words);
    if (line !== undefined) t.regex(stderr, line);
    t.is(await host.state(), before);
    t.is(await host.sh("ls /run/yapc-net"), "");
  };
  await host.sh("ip link add yapc0 type bridge");
  await refused(/interface 'yapc0' is there already and is not this lab's/);
  await host.sh("ip link delete yapc0; ip link add b0 type bridge; ip link property add dev b0 altname yapc0");
  await refused(/interface 'yapc0' is there already/);
  await host.sh("ip link delete b0; ip link add b0 type bridge; ip link set b0 up; ip route add 10.77.0.0/16 dev b0");
  await refused(/the network 10\.77\.0\.0\/16 of lab '.*' is in use on this machine \(b0\)/);
  await host.sh(`ip link delete b0; nft add table ip yapc_${lab}_nat`);
  await refused(/table ip yapc_.*_nat is there already/);
  await host.sh(`nft delete table ip yapc_${lab}_nat`);

  // Firewalls of others: the line that the message gives is what opens them.
  const firewalls = {
    "table ip filter, chain FORWARD": "iptables -P FORWARD DROP",
    "table inet guard, chain pass": `nft add table inet guard; nft add chain inet guard pass '{ type filter hook forward priority 5; policy drop; }'`,
    "table inet late, chain end": `nft add table inet late; nft add chain inet late end '{ type filter hook forward priority 5; }'; nft add rule inet late end counter reject with icmpx admin-prohibited`,
    "iptables-legacy, chain FORWARD": "iptables-legacy -P FORWARD DROP",
  };
  for (const [where, line] of Object.entries(firewalls)) {
    await host.sh(line);
    const { code, stderr } = await host.yapc("up", file, "--real");
    t.is(code, 3, stderr);
    t.true(stderr.includes(where), stderr);
    const opening = /; run: (.*)/.exec(stderr)?.[1] ?? "false";
    await host.sh(opening);
    await host.ok("up", file, "--real");
    t.is(await host.get("outer", "http://198.51.100.1:8080/"), lab, where);
    const opened = await host.sh("nft list ruleset; iptables-legacy-save");
    await host.ok("down", lab);
    t.true(opened.includes("yapc0"));
    await host.sh("nft flush ruleset; iptables-legacy -P FORWARD ACCEPT; iptables-legacy -F");
  }
});

/** The machine gets settings of its own, so that the computer's stay as they are. */
const ownSettings = (files: readonly string[]) =>
  files
    .map(
      (file) => `mkdir -p /run/own; cp -a ${file} /run/own/${path.basename(file)}-${file.length}
      mount --bind /run/own/${path.basename(file)}-${file.length} ${file}`,
    )
    .join("\n");

test.serial("beside real ufw: the line that the message gives opens it", async (t) => {
  if (!canRun(t, "ip", "nft", "iptables", "ufw", "busybox", "curl")) return;
  const host = await Host.create(t);
  await host.sh(`${ownSettings(["/etc/ufw", "/etc/default/ufw"])}; ufw --force enable`);
  await opensBy(
    t,
    host,
    /table ip filter, chain FORWARD/,
    /ufw route allow in on yapc0 && ufw route allow out on yapc0/,
  );
});

test.serial("beside real firewalld: the line that the message gives opens it", async (t) => {
  if (!canRun(t, "ip", "nft", "firewalld", "dbus-daemon", "busybox", "curl")) return;
  const host = await Host.create(t);
  // Without services that the bus would start by itself and that would outlive the test.
  await host.sh(`${ownSettings(["/etc/firewalld"])}
    mount -t tmpfs tmpfs /usr/share/dbus-1/system-services; mkdir /run/dbus`);
  host.start("dbus-daemon", "--system", "--nofork", "--nopidfile");
  await host.sh("for i in $(seq 500); do [ -S /run/dbus/system_bus_socket ] && exit; sleep 0.01; done; exit 1");
  host.start("firewalld", "--nofork", "--nopid");
  await host.sh("for i in $(seq 300); do firewall-cmd --state >/dev/null 2>&1 && exit; sleep 0.05; done; exit 1");
  const line = /firewall-cmd --zone=trusted --add-interface=yapc0/;
  await opensBy(t, host, /table inet firewalld, chain filter_FORWARD/, line);
});

/** A firewall drops what is forwarded: `up` says so and does nothing; its line opens it, and `down` leaves that alone. */
async function opensBy(t: ExecutionContext, host: Host, where: RegExp, opening: RegExp): Promise<void> {
  const lab = host.lab();
  const file = host.file("lab.json", published(lab));
  const closed = await host.state();
  const { code, stderr } = await host.yapc("up", file, "--real");
  t.is(code, 3, stderr);
  t.regex(stderr, where);
  t.is(await host.state(), closed);
  const line = /; run: (.*)/.exec(stderr)?.[1] ?? "";
  t.regex(line, opening);
  await host.sh(line);
  const opened = await host.state();
  await host.ok("up", file, "--real");
  t.is(await host.get("outer", "http://198.51.100.1:8080/"), lab);
  t.regex(await host.ok("up", file), /nothing was changed/);
  await host.ok("down", lab);
  t.is(await host.state(), opened);
}

test.serial("--real is for root, and for a topology that says what the machine is", async (t) => {
  if (!canRun(t, "ip", "setpriv")) return;
  const host = await Host.create(t);
  await host.sh(`chmod 755 ${host.folder}`);
  const ordinary = ["setpriv", "--reuid", "61234", "--regid", "61234", "--clear-groups"];
  const user = await host.execute(...ordinary, ...yapcCommand("up", "docker-bridge", "--real"));
  t.is(user.code, 3);
  t.regex(user.stderr, /^error: --real builds on this machine itself, which only root may do/);
  const { code, stderr } = await host.yapc("up", host.file("none.json", { name: "none", nodes: { a: {} } }), "--real");
  t.is(code, 2);
  t.regex(stderr, /does not say which node the machine is/);
});

test.serial("two labs on one machine: forwarding stays until the last has ended", async (t) => {
  if (!canRun(t, "ip", "nft", "curl", "busybox")) return;
  const host = await Host.create(t);
  const before = await host.state();
  const [one, two] = [host.lab(), host.lab()];
  await host.ok("up", host.file("one.json", published(one)), "--real");
  const same = await host.yapc(
    "up",
    host.file("same.json", published(two, { port: 9090, bridge: "br9", web: "www" })),
    "--real",
  );
  t.is(same.code, 3, "the same network twice");
  await host.ok(
    "up",
    host.file("two.json", published(two, { subnet: "10.78.0", port: 9090, bridge: "br9", web: "www" })),
    "--real",
  );
  t.is(await host.get("outer", "http://198.51.100.1:8080/"), one);
  t.is(await host.get("outer", "http://198.51.100.1:9090/"), two);
  await host.ok("down", one);
  t.is(await host.get("outer", "http://198.51.100.1:9090/"), two, "the second still forwards");
  t.is(await host.get("outer", "http://198.51.100.1:8080/"), undefined);
  await host.ok("down", two);
  t.is(await host.state(), before);

  // Somebody who came to need it keeps it.
  await host.ok("up", host.file("one.json", published(one)), "--real");
  await host.sh("ip link add docker0 type bridge");
  const { stderr } = await host.yapc("down", one);
  t.regex(stderr, /net\.ipv4\.ip_forward stays 1: bridge docker0 came to need it/);
  t.is(await host.sh("sysctl -n net.ipv4.ip_forward"), "1\n");
});

test.serial("init is killed: down, gc and the next up each find what is left", async (t) => {
  if (!canRun(t, "ip", "nft", "busybox")) return;
  const host = await Host.create(t);
  const before = await host.state();
  const lab = host.lab();
  const file = host.file("lab.json", published(lab));
  const kill = async (): Promise<void> => {
    const pid = (await host.sh(`cut -d' ' -f1 /run/yapc-net/${lab}/init.pid`)).trim();
    // Where PID 1 does not reap (of many containers), it stays a zombie: one has no program any more.
    await host.sh(`kill -9 ${pid}; while readlink /proc/${pid}/exe >/dev/null; do sleep 0.01; done`);
    t.is((await host.execute("ip", "link", "show", "yapc0")).code, 0, "the machine's part outlives init");
  };
  await host.ok("up", file, "--real");
  await kill();
  rmSync(file);
  t.regex(await host.ok("down", lab), /the remains of lab '.*' are removed; objects of it left on this machine: 0/);
  t.is(await host.state(), before);

  host.file("lab.json", published(lab));
  await host.ok("up", file, "--real");
  await kill();
  await host.ok("up", file, "--real");
  await kill();
  t.regex(await host.ok("gc"), /link yapc0/);
  t.is(await host.state(), before);

  // The state folder is lost as well: the marks alone lead to the rest.
  await host.ok("up", file, "--real");
  await kill();
  await host.sh(`rm -r /run/yapc-net/${lab}`);
  const lost = await host.yapc("down", lab);
  t.regex(lost.stdout, /objects of it left on this machine: 0/);
  const line = /ip_forward is 1, and the journal .* is lost: if nothing else .* forwards, (sysctl -w .*=0)\n/.exec(
    lost.stderr,
  );
  await host.sh(line?.[1] ?? "false");
  t.is(await host.state(), before);

  // Or it is lost while the lab runs.
  await host.ok("up", file, "--real");
  await host.sh(`rm -r /run/yapc-net/${lab}`);
  t.regex(await host.ok("gc"), /removed of lab '.*': process \d+ \(its init\), .*link yapc0/);
  await host.sh(line?.[1] ?? "false");
  t.is(await host.state(), before);
});

const soak = process.env.YAPC_NET_SOAK === "1";

/** Some of the numbers 1 to `count`, or with YAPC_NET_SOAK=1 all of them. */
function sample(count: number, size: number, seed: number): number[] {
  const all = Array.from({ length: count }, (_, index) => index + 1);
  if (soak) return all;
  let state = seed;
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  return all
    .map((number) => ({ number, key: random() }))
    .toSorted((one, other) => one.key - other.key)
    .slice(0, size)
    .map(({ number }) => number);
}

test.serial("killed at any step: one down or gc leaves the machine as it was", async (t) => {
  if (!canRun(t, "ip", "nft", "strace", "busybox")) return;
  const host = await Host.create(t);
  const before = await host.state();
  const lab = host.lab();
  const topology = published(lab);
  const file = host.file("lab.json", { ...topology, nodes: { ...topology.nodes, way: { uplink: true } } });
  const up = yapcCommand("up", file, "--real");
  const down = yapcCommand("down", lab);
  const trace = path.join(host.folder, "strace");
  const count = async (call: string, command: readonly string[]): Promise<number> => {
    const { code, stderr } = await host.execute("strace", "-o", trace, "-e", `trace=${call}`, ...command);
    t.is(code, 0, stderr);
    return Number(await host.sh(`grep -c '^${call}(' ${trace}`));
  };
  const kill = async (call: string, number: number, command: readonly string[]): Promise<void> => {
    const inject = ["strace", "-o", trace, "-e", `inject=${call}:signal=KILL:when=${number}`];
    await host.execute(...inject, ...command);
    t.true((await host.sh(`cat ${trace}`)).includes("+++ killed by SIGKILL +++"), `${call} ${number}`);
  };
  const flushes = await count("fdatasync", up);
  const downMessages = await count("sendto", down);
  const messages = await count("sendto", up);
  await host.ok("down", lab);
  t.true(flushes > 5, `${flushes} flushes of the journal`);
  const points = [sample(flushes, 5, 1), sample(messages, 5, 2), sample(downMessages, 5, 3)];
  t.timeout(Math.max(120_000, points.flat().length * 30_000));
  t.log(`${points.map(({ length }) => length).join(" + ")} of ${flushes} + ${messages} + ${downMessages} points`);

  // As the journal is flushed: the entry is written, its step is not taken.
  for (const step of points[0]!) {
    await kill("fdatasync", step, up);
    t.regex(await host.ok("down", lab), /objects of it left on this machine: 0/);
    t.is(await host.state(), before, `up killed at flush ${step} of ${flushes}`);
  }
  // Between any two messages to the kernel: a link is made and not yet marked.
  for (const message of points[1]!) {
    await kill("sendto", message, up);
    await host.ok("gc");
    t.is(await host.state(), before, `up killed at message ${message} of ${messages}`);
  }
  for (const message of points[2]!) {
    await host.ok("up", file, "--real");
    await kill("sendto", message, down);
    await host.ok("gc");
    // Where it was killed before init was told to end, the lab still runs.
    if ((await host.ok("ls")).includes(lab)) await host.ok("down", lab);
    t.is(await host.state(), before, `down killed at message ${message} of ${downMessages}`);
  }
});

test.serial("init is killed while the command works: the command undoes what it did", async (t) => {
  if (!canRun(t, "ip", "nft", "strace", "busybox")) return;
  const host = await Host.create(t);
  const before = await host.state();
  const lab = host.lab();
  const file = host.file("lab.json", published(lab));
  const trace = path.join(host.folder, "strace");
  const up = yapcCommand("up", file, "--real");
  await host.execute("strace", "-o", trace, "-e", "trace=fdatasync", ...up);
  const flushes = Number(await host.sh(`grep -c '^fdatasync(' ${trace}`));
  await host.ok("down", lab);
  t.timeout(300_000);
  for (const step of soak ? sample(flushes, flushes, 0) : [2, 4]) {
    const inject = ["strace", "-o", trace, "-e", `inject=fdatasync:signal=STOP:when=${step}`];
    const running = host.execute(...inject, ...up);
    await host.sh(
      `for i in $(seq 2000); do [ "$(grep -c . /run/yapc-net/${lab}/journal 2>/dev/null)" -ge ${step} ] && exit; sleep 0.01; done; exit 1`,
    );
    await host.sh(`
      init=$(cut -d' ' -f1 /run/yapc-net/${lab}/init.pid)
      for i in $(seq 1000); do grep -q '^--- stopped by SIGSTOP' ${trace} && break; sleep 0.01; done
      kill -9 $init`);
    const pid = /PID (\d+)/.exec(await host.sh(`cat /run/yapc-net/${lab}.lock`))?.[1] ?? "";
    await host.sh(`kill -CONT ${pid}`);
    const { code, stderr } = await running;
    t.not(code, 0, stderr);
    const { code: status } = await host.yapc("gc");
    t.is(status, 0);
    t.is(await host.state(), before, `init killed at step ${step}`);
  }
});

test.serial("beside real Docker: its FORWARD DROP lets the lab through, and keeps nothing of it", async (t) => {
  if (!canRun(t, "dockerd", "docker", "iptables", "busybox", "curl")) return;
  const host = await Host.create(t);
  const lab = host.lab();
  const data = path.join(host.folder, "docker");
  const socket = "unix:///run/d.sock";
  host.start("dockerd", "--data-root", data, "--exec-root", "/run/dk", "-H", socket, "--pidfile", "/run/d.pid");
  await host.sh(`for i in $(seq 600); do docker -H ${socket} info >/dev/null 2>&1 && exit; sleep 0.05; done; exit 1`);
  t.regex(await host.sh("iptables -S FORWARD"), /-P FORWARD DROP/);
  const before = await host.state();

  await host.ok("up", "docker-bridge", "--real", "--name", lab);
  t.is(await host.get("outer", "http://198.51.100.1:8080/"), "hello\n");
  const rules = await host.sh("iptables -S DOCKER-USER");
  t.regex(rules, new RegExp(`-A DOCKER-USER -i yapc0 -m comment --comment "yapc-net ${lab} from yapc0" -j ACCEPT`));
  t.regex(rules, new RegExp(`-A DOCKER-USER -o yapc0 -m comment --comment "yapc-net ${lab} to yapc0" -j ACCEPT`));
  t.regex(rules, /-A DOCKER-USER -j RETURN\n$/, "Docker's own rule stays the last");
  t.regex(await host.ok("up", "docker-bridge", "--name", lab), /nothing was changed/);
  t.is(await host.sh("iptables -S DOCKER-USER"), rules);
  // Docker was set up anew: `up` puts them in again.
  await host.sh("iptables -F DOCKER-USER; iptables -A DOCKER-USER -j RETURN");
  t.is(await host.get("outer", "http://198.51.100.1:8080/"), undefined);
  await host.ok("up", "docker-bridge", "--name", lab);
  t.is(await host.sh("iptables -S DOCKER-USER"), rules);
  // Somebody adds a rule of his own meanwhile.
  await host.sh("iptables -I DOCKER-USER -i yapc0 -j ACCEPT");
  await host.ok("down", lab);
  t.regex(await host.sh("iptables -S DOCKER-USER"), /-A DOCKER-USER -i yapc0 -j ACCEPT\n/);
  await host.sh("iptables -D DOCKER-USER -i yapc0 -j ACCEPT");
  t.is(await host.state(), before);

  // Docker of the old iptables: the same chain in tables that nf_tables does not know.
  await host.sh(
    "iptables-legacy -N DOCKER-USER; iptables-legacy -A DOCKER-USER -j RETURN; iptables-legacy -A FORWARD -j DOCKER-USER; iptables-legacy -P FORWARD DROP",
  );
  const legacy = await host.state();
  await host.ok("up", "docker-bridge", "--real", "--name", lab);
  t.is(await host.get("outer", "http://198.51.100.1:8080/"), "hello\n");
  await host.ok("down", lab);
  t.is(await host.state(), legacy);
});

test.serial("uplink as root: the lab's way out through the machine", async (t) => {
  if (!canRun(t, "ip", "nft", "curl", "busybox")) return;
  const host = await Host.create(t);
  const lab = host.lab();
  await host.sh("ip -n outer address add 192.0.2.80/32 dev lo; ip route add 100.64.0.0/11 dev wan0");
  await serve(host, "outer", 80, "outside");
  const before = await host.state();
  const file = host.file("lab.json", uplinked(lab));
  await host.ok("up", file);
  for (const node of ["host", "web", "lone"])
    t.is(
      await host.ok("exec", "--lab", lab, node, "--", "busybox", "wget", "-qO-", "http://192.0.2.80/"),
      "outside",
      node,
    );
  t.regex(
    await host.sh('ip address show group $(ip -j link | grep -o \'"group":"20[0-9]*"\' | head -1 | tr -dc 0-9)'),
    /100\.(9[6-9]|1[0-2][0-9])\./,
    "the half that is in use is passed over",
  );
  t.regex(await host.ok("exec", "--lab", lab, "lone", "--", "cat", "/etc/resolv.conf"), /nameserver (?!127)/);
  const six = await host.yapc("exec", "--lab", lab, "lone", "--", "ip", "-6", "route", "get", "2001:db8::1");
  t.regex(six.stderr, /unreachable/, "an uplink carries IPv4 alone");
  t.regex(await host.ok("up", file), /nothing was changed/);
  host.file("lab.json", { ...uplinked(lab), nodes: { ...uplinked(lab).nodes, lone: {} } });
  t.regex(await host.ok("up", file), /1 operation/);
  t.is((await host.sh("ip -o link")).match(/: yapcup-/g)?.length, 1);
  host.file("lab.json", uplinked(lab));
  await host.ok("up", file);
  t.is(await host.ok("exec", "--lab", lab, "lone", "--", "busybox", "wget", "-qO-", "http://192.0.2.80/"), "outside");
  await host.ok("down", lab);
  t.is(await host.state(), before);

  // On the machine itself: the machine is the way out.
  await host.ok("up", file, "--real");
  for (const node of ["web", "lone"])
    t.is(
      await host.ok("exec", "--lab", lab, node, "--", "busybox", "wget", "-qO-", "http://192.0.2.80/"),
      "outside",
      node,
    );
  await host.ok("down", lab);
  t.is(await host.state(), before);
});

test.serial("uplink without root: pasta, which ends with the lab", async (t) => {
  if (!canRun(t, "ip", "setpriv", "pasta", "busybox")) return;
  const host = await Host.create(t);
  const lab = host.lab();
  await host.sh(`
    ip -n outer address add 192.0.2.80/32 dev lo
    mkdir -m 700 /run/user; chown 61234:61234 /run/user; chmod 755 ${host.folder}
    mount -t tmpfs -o mode=755 tmpfs /dev/net; mknod -m 666 /dev/net/tun c 10 200`);
  await serve(host, "outer", 80, "outside");
  const file = host.file("lab.json", uplinked(lab));
  const ordinary = [
    "setpriv",
    "--reuid",
    "61234",
    "--regid",
    "61234",
    "--clear-groups",
    "env",
    "HOME=/tmp",
    "XDG_RUNTIME_DIR=/run/user",
  ];
  const yapc = (...args: string[]) => host.execute(...ordinary, ...yapcCommand(...args));
  t.teardown(() => yapc("down", lab));
  const up = await yapc("up", file);
  t.is(up.code, 0, up.stderr);
  for (const node of ["host", "web", "lone"])
    t.is(
      (await yapc("exec", "--lab", lab, node, "--", "busybox", "wget", "-qO-", "http://192.0.2.80/")).stdout,
      "outside",
      node,
    );
  t.regex((await yapc("up", file)).stdout, /nothing was changed/);
  const count = `for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2>/dev/null; echo; done | grep -c '[p]id /run/user/yapc-net/${lab}/uplink-' || true`;
  t.is(await host.sh(count), "2\n");
  const down = await yapc("down", lab);
  t.regex(down.stdout, /objects of it left on this machine: 0/);
  t.is(await host.sh(count), "0\n");

  await host.sh("rm /dev/net/tun");
  const closed = await yapc("up", file);
  t.is(closed.code, 3);
  t.regex(closed.stderr, /pasta cannot make the uplink of node 'host'.*\n.*\/dev\/net\/tun/);
});

/** A router with a way out and what is behind it; and a node by itself. */
function uplinked(name: string) {
  return {
    name,
    machine: "host",
    nodes: {
      host: { uplink: true },
      web: { container: { command: ["sleep", "1000"] } },
      lone: { uplink: true },
    },
    networks: { lan: { bridge: "host:yapc0", subnets: ["10.77.0.0/24"], members: { web: "10.77.0.10" } } },
  };
}

test("a torn journal tells what was written wholly", (t) => {
  const folder = path.join(process.env.TMPDIR ?? "/tmp", `yapc-journal-${process.pid}`);
  mkdirSync(folder);
  t.teardown(() => rmSync(folder, { recursive: true }));
  t.is(readJournal(folder), undefined);
  const header = { lab: "a", bootId: "b", netns: "1", group: 7 };
  {
    using journal = Journal.open(folder, header);
    journal.make({ kind: "link", name: "one" }, { kind: "link", name: "two" });
    journal.gone({ kind: "link", name: "one" });
  }
  appendFileSync(path.join(folder, "journal"), '{"done":"make","what":{"kind":"li');
  t.deepEqual(readJournal(folder)?.made, [{ kind: "link", name: "two" }]);
  {
    using journal = Journal.open(folder, { ...header, group: 8 });
    t.is(journal.header.group, 7, "the first header stays");
    journal.make({ kind: "link", name: "three" });
  }
  t.deepEqual(
    readJournal(folder)?.made.map((each) => (each.kind === "link" ? each.name : "")),
    ["two", "three"],
  );
  writeFileSync(path.join(folder, "journal"), '{"version":1,"lab"');
  t.is(readJournal(folder), undefined, "half a header: nothing was made");
  t.true(existsSync(folder) && readFileSync(path.join(folder, "journal")).length > 0);
});
