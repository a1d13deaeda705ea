/**
 * Networks of every kind, as text, with what to send through them: routers in a chain or a ring, each with a bridge and
 * hosts behind it, and here and there something that breaks, hides or redirects.
 *
 *     h0a ═╗                                    ╔═ h1a (httpd on 80)
 *          ╠═ br0 r0 ─────────── r1 br0 ════════╣
 *     h0b ═╝   10.0.0.1   10.200.x   10.1.0.1   ╚═ h1b
 */
import { parseAddress } from "../../src/model/address.js";
import type { ExchangeStart } from "../../src/path/exchange.js";

export interface AnyNetwork {
  readonly topology: string;
  readonly sent: readonly ExchangeStart[];
  /** Ends that are taken down once it is built, as an administrator does. */
  readonly down: readonly { readonly node: string; readonly interface: string }[];
  /** What was put in, in words. */
  readonly quirks: readonly string[];
}

type Form = Record<string, unknown>;

const PROBES = 10;

export function anyNetwork(random: () => number): AnyNetwork {
  return new Builder(random).build();
}

class Builder {
  readonly #random: () => number;
  readonly #nodes = new Map<string, Form>();
  readonly #networks: Record<string, Form> = {};
  readonly #links: Form[] = [];
  readonly #quirks: string[] = [];
  readonly #down: { readonly node: string; readonly interface: string }[] = [];
  readonly #top: Form = {};
  readonly #routers: number;
  readonly #families: readonly (4 | 6)[];
  readonly #hosts: { readonly name: string; readonly router: number; readonly number: number }[] = [];

  constructor(random: () => number) {
    this.#random = random;
    this.#routers = 1 + this.#below(3);
    this.#families = this.#pick([[4], [4, 6], [6], [4, 6]] as const);
  }

  build(): AnyNetwork {
    this.#lay();
    for (let quirk = 1 + this.#below(4); quirk > 0; quirk--) this.#quirk();
    const topology = JSON.stringify({
      name: "any",
      // Errors of ICMP without a limit: else the third to one address in a second is not sent.
      defaults: { node: { sysctls: { "net.ipv4.icmp_ratelimit": 0, "net.ipv6.icmp.ratelimit": 0 } } },
      ...this.#top,
      pools: {
        transit: ["10.200.0.0/16", "fd00:200::/48"].filter((_, index) => this.#families.includes(index ? 6 : 4)),
      },
      nodes: Object.fromEntries(this.#nodes),
      networks: this.#networks,
      links: this.#links,
    });
    return { topology, sent: this.#probes(), down: this.#down, quirks: this.#quirks };
  }

  #lay(): void {
    for (let r = 0; r < this.#routers; r++) {
      this.#nodes.set(`r${r}`, {});
      const members: Record<string, Form> = {};
      for (const [number, letter] of (this.#chance(0.7) ? ["a", "b"] : ["a"]).entries()) {
        const name = `h${r}${letter}`;
        this.#hosts.push({ name, router: r, number });
        this.#nodes.set(name, number === 0 && this.#chance(0.85) ? server() : {});
        members[name] = { addresses: this.#families.map((family) => hostAddress(family, r, number)) };
      }
      this.#networks[`lan${r}`] = {
        bridge: `r${r}:br0`,
        subnets: this.#families.map((family) => subnet(family, r)),
        members,
      };
    }
    for (let r = 1; r < this.#routers; r++)
      this.#links.push({ ends: [`r${r - 1}:right`, `r${r}:left`], pool: "transit" });
    if (this.#routers === 3 && this.#chance(0.4)) {
      this.#quirks.push("a ring");
      this.#links.push({ ends: ["r2:ring", "r0:ring"], pool: "transit" });
    }
  }

  #quirk(): void {
    const r = this.#below(this.#routers);
    const router = this.#form(`r${r}`);
    const host = this.#pick(this.#hosts);
    const family = this.#pick(this.#families);
    const victim = this.#pick(this.#hosts);
    const say = (text: string): void => void this.#quirks.push(text);
    const kinds: readonly (() => void)[] = [
      () => {
        this.#add(router, "nat", { action: "masquerade", from: subnet(family, r), ...this.#outward(r) });
        say(`r${r} masquerades`);
      },
      () => {
        if ((router.nat as Form[] | undefined)?.some(({ action }) => action === "publish")) return;
        this.#add(router, "nat", { action: "publish", port: 8080, to: `tcp://${host.name}:80` });
        say(`r${r} publishes ${host.name}`);
      },
      () => {
        this.#add(router, "nat", { action: "redirect", port: 81, toPort: 80 });
        say(`r${r} redirects 81`);
      },
      () => {
        const address = hostAddress(family, host.router, host.number);
        this.#add(router, "nat", {
          action: "dnat",
          protocol: "tcp",
          port: 82,
          to: family === 4 ? `${address}:80` : `[${address}]:80`,
        });
        say(`r${r} sends 82 to ${host.name}`);
      },
      () => {
        router.firewall ??= {};
        (router.firewall as Form).forward = this.#chain();
        say(`r${r} filters what it forwards`);
      },
      () => {
        router.firewall ??= {};
        (router.firewall as Form).input = this.#chain();
        say(`r${r} filters what it takes`);
      },
      () => {
        const form = this.#form(host.name);
        form.firewall = { [this.#pick(["input", "output"])]: this.#chain() };
        say(`${host.name} filters`);
      },
      () => {
        this.#form(host.name).routing = "none";
        say(`${host.name} has no default route`);
      },
      () => {
        router.routing = "none";
        say(`r${r} has no routes to others`);
      },
      () => {
        const type = this.#pick(["blackhole", "unreachable", "prohibit"]);
        const to = `${hostAddress(family, victim.router, victim.number)}/${family === 4 ? 32 : 128}`;
        this.#add(router, "routes", { to, type });
        say(`r${r}: ${type} ${victim.name}`);
      },
      () => {
        const table = 100 + this.#below(2);
        this.#add(router, "rules", { from: subnet(family, r), table });
        this.#add(router, "routes", {
          to: family === 4 ? "0.0.0.0/0" : "::/0",
          type: this.#pick(["blackhole", "unreachable", "prohibit"]),
          table,
        });
        say(`r${r}: a policy rule for its own network`);
      },
      () => this.#sysctl(`r${r}`, "net.ipv4.conf.all.rp_filter", this.#pick([1, 2])),
      () => this.#sysctl(`r${r}`, "net.ipv4.ip_forward", 0),
      () => this.#sysctl(`r${r}`, "net.ipv6.conf.all.forwarding", 0),
      () => this.#sysctl(host.name, "net.ipv4.icmp_echo_ignore_all", 1),
      () => this.#sysctl(host.name, "net.ipv4.ip_default_ttl", this.#pick([1, 2])),
      () => {
        const end = this.#chance(0.5)
          ? { node: host.name, interface: "eth0" }
          : { node: `r${host.router}`, interface: `veth${host.name}` };
        this.#down.push(end);
        say(`${end.node}:${end.interface} is down`);
      },
      () => {
        const link = this.#links.length === 0 ? undefined : this.#pick(this.#links);
        if (link === undefined) return;
        const [node = "", name = ""] = this.#pick(link.ends as string[]).split(":");
        this.#down.push({ node, interface: name });
        say(`${node}:${name} is down`);
      },
      () => {
        this.#networks[`lan${r}`]!.isolated = true;
        say(`ports of lan${r} are isolated`);
      },
      () => {
        this.#top.bridgeNetfilter = true;
        say("bridge netfilter");
      },
      () => {
        this.#add(this.#form(host.name), "neighbours", {
          interface: "eth0",
          address: hostAddress(family, host.router, host.number === 0 ? -1 : 0),
          mac: "02:00:00:00:00:99",
        });
        say(`${host.name} has a wrong neighbour`);
      },
    ];
    this.#pick(kinds)();
  }

  #chain(): Form {
    const rules: Form[] = [];
    if (this.#chance(0.6)) rules.push({ action: "accept", state: ["established", "related"] });
    if (this.#chance(0.3)) rules.push({ action: "drop", state: "invalid", comment: "invalid" });
    for (let count = 1 + this.#below(3); count > 0; count--) {
      const protocol = this.#pick(["tcp", "udp", "icmp", "icmpv6"]);
      const withPort = protocol === "tcp" || protocol === "udp";
      const action = this.#pick(["accept", "drop", "reject"]);
      rules.push({
        action,
        protocol,
        ...(withPort && this.#chance(0.6) ? { dport: this.#pick([80, 8080, "50-60", [81, 82]]) } : {}),
        ...(action === "reject"
          ? {
              with: this.#pick([
                "port-unreachable",
                "admin-prohibited",
                "host-unreachable",
                ...(protocol === "tcp" ? ["tcp-reset"] : []),
              ]),
            }
          : {}),
        ...(this.#chance(0.2) ? { state: "new" } : {}),
        ...(this.#chance(0.2) ? { limit: "100/second" } : {}),
      });
    }
    return { policy: this.#chance(0.3) ? "drop" : "accept", rules };
  }

  #outward(r: number): Form {
    const able = this.#links.flatMap(({ ends }) => (ends as string[]).filter((end) => end.startsWith(`r${r}:`)));
    const end = able.length === 0 || this.#chance(0.3) ? undefined : this.#pick(able);
    return end === undefined ? {} : { out: end.slice(end.indexOf(":") + 1) };
  }

  #sysctl(node: string, name: string, value: number): void {
    const form = this.#form(node);
    form.sysctls = { ...(form.sysctls as Form | undefined), [name]: value };
    this.#quirks.push(`${node}: ${name} = ${value}`);
  }

  #probes(): ExchangeStart[] {
    const seen = new Set<string>();
    return Array.from({ length: PROBES }, () => this.#probe()).filter((start) => {
      // Two echoes between the same ends cannot be told apart.
      const key = `${start.node} ${start.protocol} ${start.destination.value} ${start.port ?? ""}`;
      return !seen.has(key) && seen.add(key);
    });
  }

  #probe(): ExchangeStart {
    const family = this.#pick(this.#families);
    const node = this.#chance(0.75) ? this.#pick(this.#hosts).name : `r${this.#below(this.#routers)}`;
    const host = this.#pick(this.#hosts);
    const r = this.#below(this.#routers);
    const address = this.#pick([
      ...Array<string>(6).fill(hostAddress(family, host.router, host.number)),
      ...Array<string>(3).fill(gateway(family, r)),
      hostAddress(family, r, 77),
      family === 4 ? "192.0.2.1" : "2001:db8::1",
    ]);
    const destination = parseAddress(address)!;
    const protocol = this.#pick(["tcp", "tcp", "tcp", "udp", "icmp"] as const);
    if (protocol === "icmp") return { node, protocol, destination };
    return {
      node,
      protocol,
      destination,
      port: protocol === "udp" ? this.#pick([53, 54]) : this.#pick([80, 80, 80, 80, 81, 82, 8080]),
    };
  }

  #form(node: string): Form {
    const form = this.#nodes.get(node);
    if (form === undefined) throw new RangeError(node);
    return form;
  }

  #add(form: Form, key: string, entry: Form): void {
    form[key] = [...((form[key] as Form[] | undefined) ?? []), entry];
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(all: readonly T[]): T {
    const one = all[this.#below(all.length)];
    if (one === undefined) throw new RangeError("nothing to pick from");
    return one;
  }
}

/** Serves TCP port 80, and sends back what comes to UDP port 53. */
function server(): Form {
  return {
    container: { command: ["sh", "-c", "busybox udpsvd 0.0.0.0 53 cat & exec busybox httpd -f -p 80 -h /"] },
    ready: "tcp/80",
  };
}

function subnet(family: 4 | 6, router: number): string {
  return family === 4 ? `10.${router}.0.0/24` : `fd00:${router}::/64`;
}

function gateway(family: 4 | 6, router: number): string {
  return family === 4 ? `10.${router}.0.1` : `fd00:${router}::1`;
}

function hostAddress(family: 4 | 6, router: number, number: number): string {
  return family === 4 ? `10.${router}.0.${10 + number}` : `fd00:${router}::${10 + number}`;
}
