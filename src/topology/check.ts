/** What only the joined topology shows about each node: contradictions, and what builds and will not work. */
import {
  type Address,
  broadcastOf,
  contains,
  formatAddress,
  formatPrefix,
  isMulticast,
  networkOf,
  parseAddress,
  parsePrefix,
} from "../model/address.js";
import { checkClashes } from "./clash.js";
import { checkDevice } from "./devices.js";
import { checkDownLinks } from "./down.js";
import { addressesOf, type Draft, type DraftInterface, type DraftNode, findInterface, findNode } from "./draft.js";
import type { RouteForm } from "./form/node.js";
import type { Path } from "./problem.js";
import type { Routing } from "./routing.js";
import { suggestion } from "./suggest.js";
import { tableOf, vrfOfRoute, vrfsOf } from "./vrf.js";
import { longestName, wireName } from "./wire-name.js";

/** Smallest MTU of IPv6 (RFC 8200, 5): the kernel takes IPv6 off a link with less. */
const smallestIPv6Mtu = 1280;

export function checkDraft(draft: Draft, routing: Routing): void {
  const { document, form } = draft;
  if (form.machine !== undefined) findNode(draft, form.machine, ["machine"]);
  if (Object.keys(form.nodes).length === 0) document.error(["nodes"], "there are no nodes", { code: "missing" });
  for (const node of draft.nodes.values()) {
    checkWireNames(draft, node);
    for (const member of node.interfaces.values()) checkInterface(draft, member);
    checkAddresses(draft, node);
    checkReferences(draft, node, routing);
    if (node.form.ready !== undefined && !node.form.container) {
      document.error([...node.at, "ready"], `"${node.name}" runs no container, so nothing in it will ever listen`, {
        code: "conflict",
        atKey: true,
      });
    }
  }
  checkDownLinks(draft, routing);
  checkClashes(draft);
}

function checkWireNames(draft: Draft, node: DraftNode): void {
  const wired = new Map<string, DraftInterface>();
  for (const member of node.interfaces.values()) {
    const other = wired.get(wireName(member.name));
    wired.set(wireName(member.name), member);
    if (!other) continue;
    draft.document.error(
      member.at,
      `"${member.name}" and "${other.name}" of "${node.name}" get the same name of ${longestName} bytes, ${wireName(member.name)}`,
      { code: "conflict" },
    );
  }
}

function checkInterface(draft: Draft, member: DraftInterface): void {
  const { document } = draft;
  const { node, name, at, settings } = member;
  if (name === "lo") {
    if (member.link) document.error(at, `lo cannot be an end of a link`, { code: "conflict" });
    for (const key of Object.keys(settings)) {
      document.error([...at, key], `"${key}" cannot be set on lo`, { code: "form", atKey: true });
    }
    return;
  }
  if (member.device) checkDevice(draft, member, member.device);
  else if (!member.link && !member.bridge && !draft.linked.has(`${node.name}:${name}`)) {
    document.error(at, `the interface ${node.name}:${name} has no link`, {
      code: "missing",
      hint: `add it to "links": ["${node.name}:${name}", "…"], or make it a bridge`,
      atKey: true,
    });
  }
  const { mtu } = settings;
  if (mtu !== undefined && mtu < smallestIPv6Mtu && member.addresses.some(({ address }) => address.family === 6)) {
    document.error(
      document.placed([...at, "mtu"], at),
      `IPv6 needs an MTU of ${smallestIPv6Mtu} at least, and this is ${mtu}`,
      {
        code: "conflict",
      },
    );
  }
  const peer = member.link?.ends.find((end) => end !== member);
  if (member.link?.ends[0] === member && peer && (mtu ?? 1500) !== (peer.settings.mtu ?? 1500)) {
    document.warning(
      document.placed([...at, "mtu"], [...peer.at, "mtu"], at),
      `${node.name}:${name} has the MTU ${mtu ?? 1500} and its peer ${peer.node.name}:${peer.name} ${peer.settings.mtu ?? 1500}: the larger frames are lost`,
      { code: "unreachable" },
    );
  }
}

function checkAddresses(draft: Draft, node: DraftNode): void {
  const { document } = draft;
  const seen = new Map<string, DraftInterface>();
  for (const member of node.interfaces.values()) {
    for (const { address, length, at } of member.addresses) {
      const text = formatAddress(address);
      const key = `${member.vrf?.name ?? ""} ${text}`;
      const other = seen.get(key);
      if (other === member) document.error(at, `${node.name}:${member.name} has ${text} twice`, { code: "duplicate" });
      else if (other) {
        document.warning(at, `${text} is an address of ${node.name}:${other.name} as well`, { code: "unreachable" });
      }
      seen.set(key, member);
      if (isMulticast(address) || address.value === 0n) {
        document.error(at, `${text} cannot be an address of an interface`, { code: "conflict" });
        continue;
      }
      const network = networkOf(address, length);
      const broadcast = broadcastOf(network);
      if (broadcast && (address.value === network.value || address.value === broadcast.value)) {
        const what = address.value === network.value ? "network" : "broadcast";
        document.warning(at, `${text} is the ${what} address of ${formatPrefix(network)}`, { code: "unreachable" });
      }
    }
  }
}

function checkReferences(draft: Draft, node: DraftNode, routing: Routing): void {
  const { document } = draft;
  const { form, at } = node;
  const named = (name: string | undefined, path: Path): void => {
    if (name !== undefined && name !== "lo") findInterface(draft, node, name, path);
  };
  for (const [index, route] of (form.routes ?? []).entries()) {
    named(route.interface, [...at, "routes", index, "interface"]);
    if (hasVrf(draft, node, route, [...at, "routes", index])) {
      checkGateway(draft, node, route, [...at, "routes", index], routing);
    }
  }
  for (const [index, rule] of (form.rules ?? []).entries()) named(rule.in, [...at, "rules", index, "in"]);
  for (const [index, entry] of (form.neighbours ?? []).entries()) {
    named(entry.interface, [...at, "neighbours", index, "interface"]);
  }
  for (const name of Object.keys(form.sysctls ?? {})) {
    const member = /^net\.ipv[46]\.(?:conf|neigh)\.([^.]+)\./.exec(name)?.[1];
    if (member !== "all" && member !== "default") named(member, [...at, "sysctls", name]);
  }
  for (const [index, rule] of (form.nat ?? []).entries()) {
    const path = [...at, "nat", index];
    if (rule.action === "publish" && rule.address !== undefined && !owns(node, rule.address)) {
      document.error([...path, "address"], `${rule.address} is not an address of "${node.name}"`, { code: "conflict" });
    }
    if (rule.action === "snat" && !owns(node, rule.source)) {
      document.warning(
        [...path, "source"],
        `${rule.source} is not an address of "${node.name}": no answer finds the way back`,
        {
          code: "unreachable",
        },
      );
    }
    if (rule.action !== "redirect" && !routing.forwards(node, 4) && !routing.forwards(node, 6)) {
      document.warning(
        path,
        `"${node.name}" forwards nothing (it is in one network only), so this rule never matches traffic of others`,
        {
          code: "unreachable",
        },
      );
    }
  }
}

/** @returns false where a route names what is no vrf */
function hasVrf(draft: Draft, node: DraftNode, { vrf, table }: RouteForm, at: Path): boolean {
  if (vrf === undefined) return true;
  const found = findInterface(draft, node, vrf, [...at, "vrf"]);
  if (found && tableOf(found) === undefined) {
    draft.document.error([...at, "vrf"], `${node.name}:${vrf} is no vrf`, {
      code: "conflict",
      hint: suggestion(
        vrf,
        vrfsOf(node).map(({ name }) => name),
      ),
    });
  } else if (table !== undefined) {
    draft.document.error([...at, "table"], `the vrf "${vrf}" says the table already`, {
      code: "conflict",
      atKey: true,
    });
  }
  return found !== undefined && tableOf(found) !== undefined;
}

function owns(node: DraftNode, text: string): boolean {
  const address = parseAddress(text);
  return address !== undefined && addressesOf(node).some((own) => same(own.address, address));
}

function same(a: Address, b: Address): boolean {
  return a.family === b.family && a.value === b.value;
}

/** A vrf's own addresses are in it. */
function vrfItself(member: DraftInterface): DraftInterface | undefined {
  return tableOf(member) === undefined ? undefined : member;
}

function checkGateway(draft: Draft, node: DraftNode, route: RouteForm, at: Path, routing: Routing): void {
  const { document } = draft;
  const via = route.via === undefined ? undefined : parseAddress(route.via);
  const family = parsePrefix(route.to)?.family ?? via?.family;
  if (!via || via.family !== family || (route.type ?? "unicast") !== "unicast") return;
  const path = [...at, "via"];
  // The kernel refuses it: "Nexthop has invalid gateway" (fib_check_nh in net/ipv4/fib_semantics.c).
  const near = [...node.interfaces.values()].filter(({ addresses }) =>
    addresses.some(({ address, length }) => contains(networkOf(address, length), via)),
  );
  const vrf = vrfOfRoute(node, route);
  if (!near.some((member) => route.interface !== undefined || (member.vrf ?? vrfItself(member)) === vrf)) {
    const where = vrf ? `the vrf "${vrf.name}" of "${node.name}"` : `"${node.name}"`;
    const other = near.find((member) => member.vrf)?.vrf;
    document.error(path, `the gateway ${formatAddress(via)} is in no network of ${where}`, {
      code: "conflict",
      hint: other && `that network is in a vrf: "vrf": "${other.name}"`,
    });
    return;
  }
  if (owns(node, formatAddress(via))) {
    document.error(path, `the gateway ${formatAddress(via)} is "${node.name}" itself`, { code: "conflict" });
    return;
  }
  const holder = [...draft.nodes.values()].find((other) => owns(other, formatAddress(via)));
  if (!holder) {
    document.warning(path, `no node has the address ${formatAddress(via)}`, { code: "unreachable" });
  } else if (!routing.forwards(holder, via.family)) {
    document.warning(path, `"${holder.name}" does not forward, so a route by it leads nowhere`, {
      code: "unreachable",
    });
  }
}
