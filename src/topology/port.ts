/** Settings of a bridge port, as the kernel has them where the file says nothing. */
import type { Settings } from "./draft.js";
import type { ResolvedPortSettings } from "./resolved.js";

export function resolvePort({ hairpin, isolated, learning }: Settings): ResolvedPortSettings {
  return { hairpin: hairpin ?? false, isolated: isolated ?? false, learning: learning ?? true };
}
