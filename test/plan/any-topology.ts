/** Small topologies of every kind, as text: few names, so that two of them have much in common. */
import fc from "fast-check";

const nodes = ["a", "b", "c", "d"] as const;
const sometimes = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });

const container = fc.record({
  command: fc.constantFrom(["sh"], ["sleep", "9"]),
  limits: sometimes(fc.record({ pids: fc.constantFrom(8, 16) })),
});

const nat = fc.constantFrom(
  { action: "masquerade", from: "10.9.0.0/24" },
  { action: "publish", port: 8080, to: "tcp://10.9.0.2:80" },
  { action: "redirect", port: 81, toPort: 80 },
);

const rule = fc.constantFrom(
  { action: "drop", protocol: "tcp", dport: [80, "90-99"], comment: "no" },
  { action: "accept", state: ["established", "related"] },
  { action: "reject", from: ["10.9.0.0/24", "fd00:9::/64"] },
  { action: "accept", protocol: "icmp", type: ["echo-request", "echo-reply"], limit: "5/second", log: "icmp " },
);

const node = fc.record({
  container: sometimes(container),
  nat: sometimes(fc.uniqueArray(nat, { maxLength: 2 })),
  firewall: sometimes(fc.record({ forward: fc.record({ rules: fc.array(rule, { maxLength: 3 }) }) })),
  routes: sometimes(
    fc.uniqueArray(
      fc.constantFrom(
        { to: "192.0.2.0/24", type: "blackhole" },
        { to: "2001:db8::/32", type: "unreachable" },
        { to: "198.51.100.0/24", interface: "lo", metric: 7 },
      ),
      { maxLength: 2 },
    ),
  ),
  rules: sometimes(fc.constantFrom([{ from: "10.9.0.0/24", table: 100 }], [{ mark: 3, table: 101, priority: 50 }])),
  sysctls: sometimes(fc.constantFrom({ "net.ipv4.ip_default_ttl": 32 }, { "net.ipv4.ip_forward": 1 })),
});

/** On whatever link the node has: that is filled in where a name is empty. */
const device = fc.constantFrom(
  ["mac0", { macvlan: { parent: "", mode: "bridge" }, addresses: "10.7.0.1/24" }],
  ["mac0", { macvlan: { parent: "", mode: "vepa" }, mtu: 1300 }],
  ["tag0", { vlan: { parent: "", id: 7 }, addresses: "fd00:7::1/64" }],
  ["tag0", { vlan: { parent: "", id: 8 }, up: false, addresses: "fd00:7::1/64" }],
  ["red", { vrf: { table: 10, members: [""] }, addresses: "10.5.0.1/32" }],
  ["red", { vrf: { table: 11, members: [""] } }],
  ["tun0", { vxlan: { id: 9, remote: "192.0.2.9" } }],
  ["tun0", { vxlan: { id: 9, remote: "192.0.2.9" }, mtu: 1300, addresses: "10.6.0.1/24" }],
);

const settings = fc.record({
  up: sometimes(fc.boolean()),
  mtu: sometimes(fc.constantFrom(1400, 9000)),
  rate: sometimes(fc.constantFrom("1mbit", "10mbit")),
  delay: sometimes(fc.constantFrom("5ms", "7ms")),
  offload: sometimes(fc.constantFrom({ tso: false }, { gro: false, tx: false })),
});

/** What the first node of a link has on it, and whether the second end differs. */
const onLink = fc.record({
  route: sometimes(fc.constantFrom("via", "interface", "source")),
  neighbour: fc.boolean(),
  farUp: sometimes(fc.boolean()),
});

/** A link between two nodes: its interfaces are named after the other side, so that each pair has one at most. */
const link = fc
  .tuple(fc.constantFrom(0, 1, 2), fc.constantFrom(1, 2, 3), settings, sometimes(fc.constantFrom(4, 6)), onLink)
  .filter(([left, right]) => left < right)
  .map(([left, right, own, family, extra]) => ({
    left: nodes[left],
    right: nodes[right],
    own,
    family,
    extra,
    number: left * 4 + right,
  }));

const network = fc.record({
  holder: fc.constantFrom(...nodes),
  bridge: fc.constantFrom("br0", "br1"),
  members: fc.uniqueArray(fc.constantFrom(...nodes), { maxLength: 3 }),
  stp: fc.boolean(),
  isolated: sometimes(fc.boolean()),
  mtu: sometimes(fc.constantFrom(1400, 9000)),
  up: sometimes(fc.boolean()),
  bridgeMtu: sometimes(fc.constantFrom(1400, 3000)),
  family: fc.constantFrom(4, 6, 46),
});

export const anyTopology: fc.Arbitrary<string> = fc
  .record({
    nodes: fc.record({ a: node, b: sometimes(node), c: sometimes(node), d: sometimes(node) }),
    links: fc.uniqueArray(link, { maxLength: 3, selector: ({ number }) => number }),
    devices: fc.uniqueArray(fc.tuple(fc.constantFrom(...nodes), device), {
      maxLength: 3,
      selector: ([name, [kind]]) => `${name} ${kind}`,
    }),
    networks: fc.uniqueArray(network, { maxLength: 2, selector: ({ holder, bridge }) => `${holder}${bridge}` }),
    routing: sometimes(fc.constantFrom("auto", "none")),
  })
  .map((shape) => {
    const present = nodes.filter((name) => shape.nodes[name] !== undefined);
    const has = (name: string | undefined) => present.some((other) => other === name);
    const forms: Record<string, Record<string, unknown>> = Object.fromEntries(
      present.map((name) => [name, { ...shape.nodes[name], interfaces: {}, bridges: {} }]),
    );
    const links = shape.links
      .filter(({ left, right }) => has(left) && has(right))
      .map(({ left, right, own, family, extra, number }) => {
        const prefix = family === 6 ? "fd00:8:0:" : "10.8.";
        const address = (host: number) =>
          family === 6 ? `${prefix}${number}::${host}/64` : `${prefix}${number}.${host}/24`;
        if (family !== undefined) {
          Object.assign(forms[left]?.interfaces as object, { [`to-${right}`]: address(1) });
          Object.assign(forms[right]?.interfaces as object, { [`to-${left}`]: address(2) });
        }
        const add = () => {
          if (family !== undefined) addOnLink(forms[left] ?? {}, `to-${right}`, family, address, number, extra);
        };
        const ends = [`${left}:to-${right}`, `${right}:to-${left}`] as const;
        return { form: { ends: [ends[0], { at: ends[1], up: extra.farUp }], ...own }, ends, add };
      });
    const networks = shape.networks
      .filter(({ holder }) => has(holder))
      .map(({ holder, bridge, members, stp, isolated, family, mtu, up, bridgeMtu }, index) => {
        Object.assign(forms[holder]?.bridges as object, { [bridge]: { stp, mtu: bridgeMtu } });
        const subnets = [
          ...(family === 6 ? [] : [`10.9.${index}.0/24`]),
          ...(family === 4 ? [] : [`fd00:9:0:${index}::/64`]),
        ];
        const joined = members.filter((name) => has(name) && name !== holder);
        return [`net${index}`, { bridge: `${holder}:${bridge}`, subnets, members: joined, isolated, mtu, up }];
      });
    for (const [name, [device, form]] of shape.devices) {
      const { interfaces, bridges } = forms[name] ?? {};
      const ends = links.flatMap(({ ends }) => ends).filter((end) => end.startsWith(`${name}:`));
      // A vrf may have a bridge for its member, too; nothing is made on one here.
      const members = "vrf" in form ? Object.keys(bridges ?? {}) : [];
      const parent = [...members, ...ends.map((end) => end.slice(2))][0];
      const text = JSON.stringify(form);
      if (!interfaces || (parent === undefined && text.includes('""'))) continue;
      (interfaces as Record<string, unknown>)[device] = JSON.parse(text.replace('""', JSON.stringify(parent)));
    }
    for (const { add } of links) add();
    return JSON.stringify({
      routing: shape.routing,
      nodes: forms,
      networks: Object.fromEntries(networks) as unknown,
      links: links.map(({ form }) => form),
    });
  });

/** A static route over the link, and a permanent neighbour on it. */
function addOnLink(
  form: Record<string, unknown>,
  name: string,
  family: number,
  address: (host: number) => string,
  number: number,
  { route, neighbour }: { readonly route?: string | undefined; readonly neighbour: boolean },
): void {
  const [near, far] = [1, 2].map((host) => address(host).split("/")[0]);
  const to = family === 6 ? `fd00:77:0:${number}::/64` : `10.77.${number}.0/24`;
  // A gateway in a vrf is found by its interface only.
  const inVrf = Object.values(form.interfaces ?? {}).some((member) => typeof member === "object" && "vrf" in member);
  const ways: Record<string, object> = {
    via: { to, via: far, ...(inVrf ? { interface: name } : {}) },
    interface: { to, interface: name },
    source: { to, interface: "lo", source: near },
  };
  if (route !== undefined) form.routes = [...((form.routes as object[] | undefined) ?? []), ways[route]];
  if (neighbour) form.neighbours = [{ interface: name, address: far, mac: "02:00:00:00:00:aa" }];
}
