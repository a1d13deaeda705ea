/** Third step: networks become bridges, links and members that want addresses. */
import type { Draft, DraftNetwork, DraftNode, Settings } from "./draft.js";
import { findNode } from "./draft.js";
import type { MemberForm, NetworkForm } from "./form/link.js";
import { connect } from "./links.js";
import { listOf, merge } from "./merge.js";
import { declareBridge, entryIndexes } from "./nodes.js";
import { parseEnd } from "./notation.js";
import type { Path } from "./problem.js";
import { rangeMember } from "./range.js";

/** A network's own keys; the others are settings of its links. */
type NetworkKeys = "bridge" | "subnets" | "pool" | "gateway" | "members";

/** Bridges first, so that links and other networks can name them whatever the order of the file. */
export function declareNetworks(draft: Draft): void {
  for (const [key, own] of Object.entries(draft.form.networks ?? {})) {
    const form = merge(draft.form.defaults?.network, own);
    const at: Path = ["networks", key];
    const texts = [key, form.bridge, ...listOf(form.subnets)];
    for (const index of entryIndexes(draft.document, at, texts)) {
      const end = parseEnd(rangeMember(form.bridge, index));
      const node = end && findNode(draft, end.node, [...at, "bridge"]);
      if (!end || !node) continue;
      if (end.port !== undefined) {
        draft.document.error([...at, "bridge"], `a network names a bridge, not a port of it`, { code: "form" });
        continue;
      }
      const bridge = declareBridge(draft.document, node, end.interface, [...at, "bridge"], {});
      if (form.mtu !== undefined) bridge.settings = merge({ mtu: form.mtu }, bridge.settings);
      draft.networks.push({
        at,
        form,
        bridge,
        gateway: form.gateway === undefined || form.gateway === false ? form.gateway : listOf(form.gateway),
        members: [],
        subnets: listOf(form.subnets).map((subnet) => rangeMember(subnet, index)),
        ...(form.pool === undefined ? {} : { pool: form.pool }),
      });
    }
  }
}

export function expandNetworks(draft: Draft): void {
  for (const network of draft.networks) {
    for (const [key, form, path] of membersOf(network.form, network.at)) {
      const addresses = listOf(form.addresses);
      const texts = [key, form.interface ?? "", form.port ?? "", ...addresses];
      const indexes = entryIndexes(draft.document, path, texts);
      const shared = indexes.length > 1 ? addresses.find((address) => rangeMember(address, 0) === address) : undefined;
      if (shared !== undefined) {
        draft.document.error(path, `one address, ${shared}, for ${indexes.length} members`, { code: "range" });
        continue;
      }
      for (const index of indexes) {
        const node = findNode(draft, rangeMember(key, index), path);
        if (node) join(draft, network, node, form, path, index);
      }
    }
  }
}

function membersOf(form: NetworkForm, at: Path): [key: string, form: MemberForm, path: Path][] {
  const members = form.members ?? [];
  if (Array.isArray(members)) return members.map((name, index) => [name, {}, [...at, "members", index]]);
  return Object.entries(members).map(([key, own]) => [
    key,
    typeof own === "string" || Array.isArray(own) ? { addresses: own } : own,
    [...at, "members", key],
  ]);
}

function join(draft: Draft, network: DraftNetwork, node: DraftNode, form: MemberForm, at: Path, index: number): void {
  const { bridge } = network;
  if (node === bridge.node) {
    draft.document.error(at, `"${node.name}" holds the bridge of this network; it cannot be a member as well`, {
      code: "conflict",
      hint: 'its address on the network is "gateway"',
      atKey: true,
    });
    return;
  }
  const { interface: wanted, port, addresses, mac, mtu, offload, ...rest } = form;
  const shared = linkSettings(network.form);
  const name = wanted === undefined ? firstFree(node) : rangeMember(wanted, index);
  // MAC and offload are of the member's own end; what shapes traffic is of both.
  const both: Settings = { ...rest, ...(mtu === undefined ? {} : { mtu }) };
  const { hairpin, isolated, learning, ...plain } = merge(shared, both);
  const portOnly = {
    ...(hairpin === undefined ? {} : { hairpin }),
    ...(isolated === undefined ? {} : { isolated }),
    ...(learning === undefined ? {} : { learning }),
  };
  draft.linked.add(`${node.name}:${name}`);
  const link = connect(
    draft,
    at,
    [
      {
        node,
        name: { node: node.name, interface: name },
        at,
        settings: {
          ...plain,
          ...(mac === undefined ? {} : { mac }),
          ...(offload === undefined ? {} : { offload }),
        },
      },
      {
        node: bridge.node,
        name: {
          node: bridge.node.name,
          interface: bridge.name,
          ...(port === undefined ? {} : { port: rangeMember(port, index) }),
        },
        at,
        settings: { ...plain, ...portOnly },
      },
    ],
    undefined,
  );
  if (!link) return;
  const texts = listOf(addresses).map((address) => rangeMember(address, index));
  network.members.push({ interface: link.ends[0], addresses: texts, at });
}

function linkSettings(form: NetworkForm): Settings {
  const settings: Partial<NetworkForm> = { ...form };
  for (const key of ["bridge", "subnets", "pool", "gateway", "members"] satisfies NetworkKeys[]) {
    Reflect.deleteProperty(settings, key);
  }
  return settings;
}

/** The next `ethN` that has no link yet: declared ones first, as their settings are meant for it. */
function firstFree(node: DraftNode): string {
  for (let number = 0; ; number++) {
    const name = `eth${number}`;
    const known = node.interfaces.get(name);
    if (!known || (!known.link && !known.bridge)) return name;
  }
}
