/** An interface that is there, in the words of the topology. */
import type { InterfaceSnapshot } from "../model/snapshot.js";
import type { ResolvedBridge, ResolvedEnd } from "../topology/resolved.js";

export function bridgeOf(member: InterfaceSnapshot): ResolvedBridge {
  const { stp = false, ageingTime = 300, forwardDelay = 15, vlanFiltering = false } = member.bridge ?? {};
  return { name: member.name, mac: member.mac ?? "", mtu: member.mtu, stp, ageingTime, forwardDelay, vlanFiltering };
}

export function portOf(member: InterfaceSnapshot): NonNullable<ResolvedEnd["port"]> {
  const { hairpin = false, isolated = false, learning = true } = member.port ?? {};
  return { hairpin, isolated, learning };
}

/** What an end of a link and a device have in common. */
export function stateOf(member: InterfaceSnapshot): Omit<ResolvedEnd, "node" | "interface"> {
  return {
    mac: member.mac ?? "",
    mtu: member.mtu,
    up: member.up,
    // Of what is in a vrf that is the master, too, and there are no settings of a port.
    ...(member.master === undefined || !member.port ? {} : { master: member.master, port: portOf(member) }),
  };
}

export function longNameOf(member: InterfaceSnapshot): string | undefined {
  return member.altnames.find((name) => name.length > 15);
}
