/** A topology file being written: its parts can be added to. */
import type { EndSettings } from "../form/link.js";
import type { NodeForm } from "../form/node.js";

/** An end of a link. */
export type EndDraft = { -readonly [Key in keyof EndSettings]: EndSettings[Key] };

export type NodeDraft = { -readonly [Key in keyof NodeForm]: NodeForm[Key] };

export interface TopologyDraft {
  readonly nodes: Map<string, NodeDraft>;
  readonly links: (readonly [EndDraft, EndDraft])[];
}
