/**
 * The sysctls of a node, all written out: a new namespace takes some from the machine, so that a lab would else differ
 * on a machine with Docker.
 */
import { addressesOf, type Draft, type DraftNode } from "./draft.js";
import type { ResolvedSysctl } from "./resolved.js";

/** Names that a file may set: those that belong to a network namespace and cannot reach beyond it. */
const allowed = [
  /^net\.ipv4\.(ip_forward|ping_group_range|ip_unprivileged_port_start|ip_local_port_range|ip_default_ttl|ip_nonlocal_bind)$/,
  /^net\.ipv4\.(ip_no_pmtu_disc|ip_forward_use_pmtu|ip_early_demux|fwmark_reflect|icmp_[a-z_]+|igmp_[a-z_]+|fib_multipath_[a-z_]+)$/,
  /^net\.ipv4\.(tcp|udp)_[a-z0-9_]+$/,
  /^net\.ipv4\.(conf|neigh)\.[a-zA-Z0-9_@-]+\.[a-z0-9_]+$/,
  /^net\.ipv6\.(bindv6only|auto_flowlabels|flowlabel_[a-z_]+|fwmark_reflect|ip_nonlocal_bind|seg6_[a-z_]+|fib_multipath_[a-z_]+)$/,
  /^net\.ipv6\.(icmp\.[a-z_]+|route\.[a-z_]+|conf\.[a-zA-Z0-9_@-]+\.[a-z0-9_]+|neigh\.[a-zA-Z0-9_@-]+\.[a-z0-9_]+)$/,
  /^net\.netfilter\.nf_conntrack_[a-z0-9_]+$/,
  /^net\.bridge\.bridge-nf-[a-z0-9-]+$/,
  /^net\.core\.(somaxconn|xfrm_[a-z_]+)$/,
];

/** Whether a file may set it. */
export function maySet(name: string): boolean {
  return allowed.some((pattern) => pattern.test(name));
}

export function sysctlsOf(draft: Draft, node: DraftNode, forwards: { 4: boolean; 6: boolean }): ResolvedSysctl[] {
  const written = new Map<string, ResolvedSysctl>();
  const set = (name: string, value: string | number, optional = false): void => {
    written.set(name, { name, value: String(value), ...(optional ? { optional: true } : {}) });
  };
  // A machine may have no IPv6 at all; only a node that has addresses of it needs it.
  const noIPv6 = addressesOf(node, 6).length === 0;
  set("net.ipv4.ip_forward", Number(forwards[4]));
  for (const scope of ["all", "default"]) {
    set(`net.ipv4.conf.${scope}.rp_filter`, 0);
    set(`net.ipv4.conf.${scope}.send_redirects`, 0);
    set(`net.ipv4.conf.${scope}.accept_redirects`, 0);
  }
  // Taking one address away shall not take its neighbours of the same network with it.
  set("net.ipv4.conf.all.promote_secondaries", 1);
  // Lets a published port answer on 127.0.0.1 too, as Docker's proxy does.
  const publishes = (node.form.nat ?? []).some((rule) => rule.action === "publish");
  set("net.ipv4.conf.all.route_localnet", Number(publishes));
  // A connection to a node that is gone would else hold its namespace for minutes.
  set("net.ipv4.tcp_orphan_retries", 1);
  set("net.ipv6.conf.all.forwarding", Number(forwards[6]), noIPv6);
  for (const scope of ["all", "default"]) {
    set(`net.ipv6.conf.${scope}.disable_ipv6`, 0, noIPv6);
    set(`net.ipv6.conf.${scope}.accept_ra`, 0, noIPv6);
    set(`net.ipv6.conf.${scope}.accept_redirects`, 0, noIPv6);
    // Addresses of a lab are given, not guessed: they need no second of duplicate address detection.
    set(`net.ipv6.conf.${scope}.accept_dad`, 0, noIPv6);
  }
  if ([...node.interfaces.values()].some((member) => member.bridge)) {
    const value = Number(draft.form.bridgeNetfilter ?? false);
    for (const tables of ["arptables", "ip6tables", "iptables"]) {
      set(`net.bridge.bridge-nf-call-${tables}`, value, value === 0);
    }
  }
  if (node.form.container) {
    // As Docker does for its containers: ping and port 80 need no capability.
    set("net.ipv4.ping_group_range", "0 2147483647");
    set("net.ipv4.ip_unprivileged_port_start", 0);
  }
  for (const [name, value] of Object.entries(node.form.sysctls ?? {})) {
    if (!maySet(name)) {
      draft.document.error([...node.at, "sysctls", name], `"${name}" is not a sysctl that a node may set`, {
        code: "form",
        hint: "allowed are those of a network namespace: net.ipv4, net.ipv6, net.netfilter.nf_conntrack_*, net.bridge",
        atKey: true,
      });
    }
    const usual = written.delete(name);
    written.set(name, { name, value: String(value), ...(usual ? {} : { asked: true }) });
  }
  return [...written.values()];
}
