/** What only the whole topology shows: contradictions, and what builds and will not work. */
import type { Draft } from "./draft.js";
import { findNode } from "./draft.js";

export function checkDraft(draft: Draft): void {
  const { form } = draft;
  if (form.machine !== undefined) findNode(draft, form.machine, ["machine"]);
}
