/** First step: nodes with their ranges expanded and defaults merged, their declared interfaces and bridges. */
import { parseInterfaceAddress } from "../model/address.js";
import type { Document } from "./document.js";
import type { Draft, DraftAddress, DraftInterface, DraftNode, Settings } from "./draft.js";
import type { TopologyForm } from "./form/file.js";
import type { BridgeForm } from "./form/link.js";
import type { InterfaceForm, NodeForm } from "./form/node.js";
import { deviceOf } from "./devices.js";
import { listOf, merge } from "./merge.js";
import type { Path } from "./problem.js";
import { entryCount, hasRange, RangeMistake, rangeMember } from "./range.js";

export function expandNodes(draft: Draft): void {
  const { document, form } = draft;
  for (const [key, own] of Object.entries(form.nodes)) {
    const at: Path = ["nodes", key];
    const merged = withDefaults(form, own);
    // A node with a range in its name is one entry with all that it holds; in any other each list holds its own entries.
    const many = hasRange(key);
    for (const index of entryIndexes(document, at, many ? [key, ...rangedTexts(merged)] : [])) {
      const name = rangeMember(key, index);
      if (draft.nodes.has(name)) {
        document.error(at, `the node "${name}" is there already`, { code: "duplicate", atKey: true });
        continue;
      }
      const node: DraftNode = {
        name,
        index: draft.nodes.size,
        at,
        // The same shape: only texts differ, and lists are longer.
        form: (many ? atIndex(merged, index) : expanded(document, at, merged)) as NodeForm,
        interfaces: new Map(),
      };
      draft.nodes.set(name, node);
      declareInterfaces(document, node);
    }
  }
}

/** 0 up to the number of entries that one entry with these texts stands for; none where its ranges are wrong. */
export function entryIndexes(document: Document, at: Path, texts: Iterable<string>, atKey = true): number[] {
  try {
    return Array.from({ length: entryCount(texts) }, (_, index) => index);
  } catch (error) {
    if (!(error instanceof RangeMistake)) throw error;
    document.error(at, error.message, { code: "range", atKey });
    return [];
  }
}

function withDefaults(form: TopologyForm, own: NodeForm): NodeForm {
  const merged = merge(form.defaults?.node, own);
  if (!merged.container) return merged;
  return { ...merged, container: merge(form.defaults?.container, merged.container) };
}

/** Where brackets are not ranges: a command, a file, a comment. */
const literal = new Set(["container", "comment", "log", "sysctls"]);

function rangedTexts(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    literal.has(key) ? [] : [...(Array.isArray(value) ? [] : [key]), ...rangedTexts(inner)],
  );
}

function atIndex(value: unknown, index: number): unknown {
  if (typeof value === "string") return rangeMember(value, index);
  if (Array.isArray(value)) return value.map((item) => atIndex(item, index));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) =>
      literal.has(key) ? [key, inner as unknown] : [rangeMember(key, index), atIndex(inner, index)],
    ),
  );
}

/** The entries inside a value: list elements and named values with ranges become as many as they stand for. */
function expanded(document: Document, at: Path, value: unknown): unknown {
  if (Array.isArray(value)) {
    const entries: unknown[] = [];
    for (const [position, item] of value.entries()) {
      const origin = [...at, position];
      for (const index of entryIndexes(document, origin, rangedTexts(item), false)) {
        if (entries.length !== position) document.alias([...at, entries.length], origin);
        entries.push(atIndex(item, index));
      }
    }
    return entries;
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]: [string, unknown]) => {
      const path = [...at, key];
      if (literal.has(key)) return [[key, inner]];
      if (hasRange(key)) {
        return entryIndexes(document, path, [key, ...rangedTexts(inner)]).map((index) => {
          const name = rangeMember(key, index);
          document.alias([...at, name], path);
          return [name, atIndex(inner, index)];
        });
      }
      if (typeof inner !== "string" || !hasRange(inner)) return [[key, expanded(document, path, inner)]];
      return [[key, entryIndexes(document, path, [inner], false).map((index) => rangeMember(inner, index))]];
    }),
  );
}

function declareInterfaces(document: Document, node: DraftNode): void {
  for (const [name, form] of Object.entries(node.form.bridges ?? {})) {
    const at = [...node.at, "bridges", name];
    const bridge: BridgeForm = typeof form === "string" || Array.isArray(form) ? { addresses: form } : form;
    const addresses = readAddresses(listOf(bridge.addresses), addressPath(at, form));
    declareBridge(document, node, name, at, bridge).addresses.push(...addresses);
  }
  for (const [name, form] of Object.entries(node.form.interfaces ?? {})) {
    const at = [...node.at, "interfaces", name];
    if (node.interfaces.has(name)) {
      document.error(at, `"${name}" is a bridge of the node; its addresses stand under "bridges"`, {
        code: "duplicate",
        atKey: true,
      });
      continue;
    }
    const own: InterfaceForm = typeof form === "string" || Array.isArray(form) ? { addresses: form } : form;
    const { addresses, vlan, macvlan, vxlan, vrf, bridge, ...settings } = own;
    const device = deviceOf(document, at, { vlan, macvlan, vxlan, vrf });
    if (bridge !== undefined && !device) {
      document.error([...at, "bridge"], `"bridge" is for a vlan, macvlan or vxlan; a link names it as its end`, {
        code: "conflict",
        hint: `"links": [["${node.name}:${bridge}/${name}", "…"]]`,
        atKey: true,
      });
    }
    const draft: DraftInterface = {
      node,
      name,
      at,
      settings,
      addresses: [],
      ...(device ? { device, ...(bridge === undefined ? {} : { master: bridge }) } : {}),
    };
    draft.addresses.push(...readAddresses(listOf(addresses), addressPath(at, form)));
    node.interfaces.set(name, draft);
  }
}

/** The bridge of this name, which comes into being with the first that names it. */
export function declareBridge(
  document: Document,
  node: DraftNode,
  name: string,
  at: Path,
  form: BridgeForm,
): DraftInterface {
  const known = node.interfaces.get(name);
  if (known?.bridge) return known;
  if (known) {
    document.error(at, `"${name}" of "${node.name}" is an interface, not a bridge`, { code: "conflict" });
  }
  const settings: Settings = {
    ...(form.mac === undefined ? {} : { mac: form.mac }),
    ...(form.mtu === undefined ? {} : { mtu: form.mtu }),
  };
  const bridge: DraftInterface = { node, name, at, settings, bridge: form, addresses: [] };
  node.interfaces.set(name, bridge);
  return bridge;
}

function addressPath(at: Path, form: object | string): (index: number) => Path {
  if (typeof form === "string") return () => at;
  if (Array.isArray(form)) return (index) => [...at, index];
  return (index) => {
    const { addresses } = form as { addresses?: unknown };
    return Array.isArray(addresses) ? [...at, "addresses", index] : [...at, "addresses"];
  };
}

function readAddresses(texts: readonly string[], pathOf: (index: number) => Path): DraftAddress[] {
  return texts.flatMap((text, index) => {
    const parsed = parseInterfaceAddress(text);
    // The form was checked; what a range made of it may still be none.
    return parsed ? [{ address: parsed.address, length: parsed.length, at: pathOf(index) }] : [];
  });
}
