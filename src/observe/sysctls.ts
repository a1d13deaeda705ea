/** Sysctls that decide what becomes of a packet (Documentation/networking/ip-sysctl.rst): a snapshot keeps them. */
export function sysctlNames(interfaces: readonly string[]): string[] {
  return [
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.default.rp_filter",
    "net.ipv4.conf.all.accept_local",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.ignore_routes_with_linkdown",
    "net.ipv4.conf.all.route_localnet",
    "net.ipv4.icmp_echo_ignore_all",
    "net.ipv4.ip_default_ttl",
    "net.ipv4.ip_local_port_range",
    "net.ipv6.icmp.echo_ignore_all",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_orphan_retries",
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.bridge.bridge-nf-call-arptables",
    ...interfaces.flatMap((name) => [
      // Slashes and dots change places in a name that holds a dot (sysctl(8)).
      `net.ipv4.conf.${name.replaceAll(".", "/")}.rp_filter`,
      `net.ipv4.conf.${name.replaceAll(".", "/")}.route_localnet`,
      `net.ipv4.conf.${name.replaceAll(".", "/")}.proxy_arp`,
      `net.ipv4.conf.${name.replaceAll(".", "/")}.forwarding`,
      `net.ipv6.conf.${name.replaceAll(".", "/")}.forwarding`,
    ]),
  ];
}
