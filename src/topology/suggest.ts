/** "did you mean": the nearest of the names that would have been right, as a hint of a fault in a topology. */
import { didYouMean } from "../model/spelling.js";

/** A hint: the near name, else all of them while they are few enough to read. */
export function suggestion(word: string, candidates: Iterable<string>): string | undefined {
  const names = [...new Set(candidates)];
  const near = didYouMean(word, names, '"');
  if (near !== undefined) return near;
  return names.length === 0 || names.length > 12 ? undefined : `known here: ${names.join(", ")}`;
}
