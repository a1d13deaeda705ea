/** Second step: links, with their ranges expanded and their ends joined to interfaces and bridges. */
import { entryIndexes } from "./nodes.js";
import type { Draft, DraftInterface, DraftLink, DraftNode, Settings } from "./draft.js";
import { findNode } from "./draft.js";
import type { EndForm, EndSettings, LinkForm } from "./form/link.js";
import { merge } from "./merge.js";
import { parseEnd, type EndName } from "./notation.js";
import type { Path } from "./problem.js";
import { rangeMember } from "./range.js";
import { suggestion } from "./suggest.js";

/** Kernel limit: BR_MAX_PORTS is 1 << 10, and port 0 is none (net/bridge/br_private.h). */
const mostPorts = 1023;

export function expandLinks(draft: Draft): void {
  for (const [position, form] of (draft.form.links ?? []).entries()) {
    const at: Path = ["links", position];
    const [ends, endsAt, settings] = partsOf(form, at);
    const names = ends.map((end) => (typeof end === "string" ? end : end.at));
    for (const index of entryIndexes(draft.document, at, names, false)) {
      const joined = ends.map((end, side): Joint | undefined => {
        const place = [...endsAt, side];
        const name = parseEnd(rangeMember(names[side] ?? "", index));
        if (name) draft.linked.add(`${name.node}:${name.port ?? name.interface}`);
        const node = name && findNode(draft, name.node, place);
        const own = typeof end === "string" ? {} : withoutAt(end);
        return name && node && { node, name, at: place, settings: merge(settings.shared, own) };
      });
      const [left, right] = joined;
      if (left && right) connect(draft, at, [left, right], settings.pool);
    }
  }
}

function withoutAt(end: Exclude<EndForm, string>): Settings {
  const settings: Partial<EndSettings> = { ...end };
  delete settings.at;
  return settings;
}

function partsOf(
  form: LinkForm,
  at: Path,
): [ends: readonly EndForm[], at: Path, settings: { shared: Settings; pool: string | undefined }] {
  if (Array.isArray(form)) return [form, at, { shared: {}, pool: undefined }];
  const { ends, pool, ...shared } = form;
  return [ends, [...at, "ends"], { shared, pool }];
}

/** One end of a link that is about to be made. */
export interface Joint {
  readonly node: DraftNode;
  readonly name: EndName;
  readonly at: Path;
  readonly settings: Settings;
}

/** Makes a link between two ends; what is wrong with one of them is reported, and there is then no link. */
export function connect(
  draft: Draft,
  at: Path,
  joints: readonly [Joint, Joint],
  pool: string | undefined,
): DraftLink | undefined {
  const { pool: defaultPool, ...defaults } = draft.form.defaults?.link ?? {};
  const [left, right] = joints;
  const first = attach(draft, left, right.node.name, defaults);
  const second = attach(draft, right, left.node.name, defaults);
  if (!first || !second) return undefined;
  if (first.node === second.node && first.name === second.name) {
    draft.document.error(at, `both ends of this link are ${left.node.name}:${first.name}`, { code: "conflict" });
    return undefined;
  }
  const name = pool ?? defaultPool;
  const link: DraftLink = {
    at,
    ends: [first, second],
    ...(name === undefined ? {} : { pool: { name, required: pool !== undefined } }),
  };
  first.link = link;
  second.link = link;
  draft.links.push(link);
  return link;
}

const portKeys = ["hairpin", "isolated", "learning"] as const;

function attach(draft: Draft, joint: Joint, peer: string, defaults: Settings): DraftInterface | undefined {
  const { document } = draft;
  const { node, name, at } = joint;
  const named = node.interfaces.get(name.interface);
  const bridge = named?.bridge ? named : undefined;
  if (name.port !== undefined && !bridge) {
    const bridges = [...node.interfaces.values()].filter((other) => other.bridge).map((other) => other.name);
    document.error(at, `the node "${node.name}" has no bridge "${name.interface}"`, {
      code: "unknown-name",
      hint: suggestion(name.interface, bridges) ?? 'declare it under "bridges" of the node, or as a network',
    });
    return undefined;
  }
  const own = name.port ?? (bridge ? freeName(node, `veth${peer}`) : name.interface);
  const known = node.interfaces.get(own);
  if (known?.link) {
    document.error(at, `the interface ${node.name}:${own} is an end of another link already`, { code: "duplicate" });
    return undefined;
  }
  if (known?.device) {
    document.error(at, `${node.name}:${own} is a ${known.device.kind}; it cannot be an end of a link`, {
      code: "conflict",
    });
    return undefined;
  }
  if (known?.bridge) {
    document.error(at, `${node.name}:${own} is a bridge; a port needs a name of its own`, { code: "conflict" });
    return undefined;
  }
  const settings = merge(merge(defaults, joint.settings), known?.settings ?? {});
  if (!bridge) {
    for (const key of portKeys) {
      if (joint.settings[key] === undefined) continue;
      document.error([...at, key], `"${key}" is a setting of a bridge port, and ${node.name}:${own} is none`, {
        code: "form",
      });
    }
  }
  if (known && bridge && known.addresses.length > 0) {
    document.error(known.at, `${node.name}:${own} is a port of ${bridge.name}; an address of a port is never used`, {
      code: "conflict",
      hint: `give the address to the bridge "${bridge.name}"`,
    });
  }
  if (bridge && (bridge.ports ?? 0) >= mostPorts) {
    document.error(at, `the bridge ${node.name}:${bridge.name} has more than ${mostPorts} ports`, { code: "conflict" });
    return undefined;
  }
  const attached: DraftInterface = {
    node,
    name: own,
    at: known?.at ?? at,
    addresses: known?.addresses ?? [],
    settings,
    endAt: at,
    ...(bridge ? { master: bridge.name } : {}),
  };
  node.interfaces.set(own, attached);
  if (bridge) bridge.ports = (bridge.ports ?? 0) + 1;
  return attached;
}

/** `vethweb`, and for a second link to the same node `vethweb2`. */
export function freeName(node: DraftNode, wanted: string): string {
  let name = wanted;
  for (let number = 2; node.interfaces.has(name); number++) name = `${wanted}${number}`;
  return name;
}
