/**
 * A topology on its way from the file form to the resolved one: names are expanded and joined, and the steps of
 * `resolve.ts` fill in the rest. What is found wrong goes to the document, at the path in the file that it came from.
 */
import type { Address, Family } from "../model/address.js";
import type { Document } from "./document.js";
import type { TopologyForm } from "./form/file.js";
import type { BridgeForm, EndSettings, NetworkForm } from "./form/link.js";
import type { NodeForm } from "./form/node.js";
import type { Path } from "./problem.js";
import type { ResolvedDeviceSettings } from "./resolved.js";
import { suggestion } from "./suggest.js";

export interface Draft {
  readonly document: Document;
  readonly form: TopologyForm;
  readonly name: string;
  readonly nodes: Map<string, DraftNode>;
  readonly links: DraftLink[];
  readonly networks: DraftNetwork[];
  /** `node:interface` of each end that the file gives a link, whether the link came about or not. */
  readonly linked: Set<string>;
}

export interface DraftNode {
  readonly name: string;
  /** Place in the order of the file. */
  readonly index: number;
  readonly at: Path;
  readonly form: NodeForm;
  /** Bridges and ports among them, by their full names. */
  readonly interfaces: Map<string, DraftInterface>;
}

export interface DraftInterface {
  readonly node: DraftNode;
  readonly name: string;
  readonly at: Path;
  readonly addresses: DraftAddress[];
  /** Present on a bridge. */
  readonly bridge?: BridgeForm;
  /** How many ports a bridge has. */
  ports?: number;
  /** Present on an interface that is made on another one, or on the node's addresses. */
  readonly device?: ResolvedDeviceSettings;
  /** The bridge that this is a port of. */
  readonly master?: string;
  /** The vrf that it belongs to. */
  vrf?: DraftInterface;
  /** The link that it is an end of. */
  link?: DraftLink;
  /** Where the file names it as an end. */
  endAt?: Path;
  /** What the interface, its end, its link, its network and the defaults say, the nearest first. */
  settings: Settings;
}

export type Settings = Omit<EndSettings, "at">;

export interface DraftAddress {
  readonly address: Address;
  readonly length: number;
  readonly at: Path;
}

export interface DraftLink {
  readonly at: Path;
  readonly ends: readonly [DraftInterface, DraftInterface];
  /** Pool that addresses come from. */
  readonly pool?: { readonly name: string; readonly required: boolean };
}

export interface DraftNetwork {
  readonly at: Path;
  readonly form: NetworkForm;
  readonly bridge: DraftInterface;
  readonly gateway: false | readonly string[] | undefined;
  /** In the order of the file; what is not given is allocated. */
  readonly members: { readonly interface: DraftInterface; readonly addresses: readonly string[]; readonly at: Path }[];
  readonly subnets: readonly string[];
  readonly pool?: string;
}

export function findNode(draft: Draft, name: string, at: Path): DraftNode | undefined {
  const node = draft.nodes.get(name);
  if (!node) {
    draft.document.error(at, `there is no node "${name}"`, {
      code: "unknown-name",
      hint: suggestion(name, draft.nodes.keys()),
    });
  }
  return node;
}

export function findInterface(draft: Draft, node: DraftNode, name: string, at: Path): DraftInterface | undefined {
  const found = node.interfaces.get(name);
  if (!found) {
    draft.document.error(at, `the node "${node.name}" has no interface "${name}"`, {
      code: "unknown-name",
      hint: suggestion(name, node.interfaces.keys()),
    });
  }
  return found;
}

/** Addresses of a node in the order of its interfaces. */
export function addressesOf(node: DraftNode, family?: Family): DraftAddress[] {
  return [...node.interfaces.values()].flatMap(({ addresses }) =>
    addresses.filter(({ address }) => family === undefined || address.family === family),
  );
}
