/** `doctor` as a list: a mark, what was tried, what came of it, and the line that mends it. */
import { columns } from "./columns.js";
import { noInk, type Ink } from "./ink.js";
import { count } from "./quantity.js";

export interface CheckView {
  readonly name: string;
  readonly state: "ok" | "limited" | "missing";
  readonly text: string;
  readonly fix?: string;
}

const marks = { ok: "✓", limited: "–", missing: "✗" } as const;
const tones = { ok: "good", limited: "odd", missing: "bad" } as const;

export function checkLines(checks: readonly CheckView[], ink: Ink = noInk): string[] {
  const rows = checks.flatMap(({ name, state, text, fix }) => [
    [ink(tones[state], marks[state]), name, text],
    ...(fix === undefined ? [] : [["", "", ink("accent", fix)]]),
  ]);
  const missing = checks.filter((check) => check.state === "missing").length;
  const limited = checks.filter((check) => check.state === "limited").length;
  return [
    ...columns([{ title: "" }, { title: "checked" }, { title: "found" }], rows, {
      heading: (line) => ink("dim", line),
    }),
    "",
    missing > 0
      ? `${count(missing, "thing")} that yapc-net needs ${missing === 1 ? "is" : "are"} missing.`
      : limited > 0
        ? `Labs and traces work; ${count(limited, "thing")} ${limited === 1 ? "is" : "are"} limited.`
        : "Everything works.",
  ];
}
