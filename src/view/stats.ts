/** `stats`: containers and interfaces as two tables. */
import { hopName } from "../model/hop.js";
import type { LabStats } from "../model/stats.js";
import { columns } from "./columns.js";
import { noInk, type Ink } from "./ink.js";
import { bits, bytes } from "./quantity.js";
import { visible } from "./width.js";

export function statsLines(
  { containers, interfaces }: Pick<LabStats, "containers" | "interfaces">,
  ink: Ink = noInk,
): string[] {
  const style = { heading: (line: string) => ink("dim", line) };
  const right = (title: string) => ({ title, align: "right" as const });
  const limited = (value: string, limit: string | undefined) => (limit === undefined ? value : `${value} of ${limit}`);
  const first = columns(
    [{ title: "container" }, right("cpu"), right("memory"), right("processes")],
    containers.map(({ node, cpu, memory, processes, limits }) => [
      visible(node),
      limited(percent(cpu), limits.cpu === undefined ? undefined : percent(limits.cpu)),
      limited(bytes(memory), limits.memory === undefined ? undefined : bytes(limits.memory)),
      limited(String(processes), limits.pids === undefined ? undefined : String(limits.pids)),
    ]),
    style,
  );
  const second = columns(
    [
      { title: "interface" },
      right("rx now"),
      right("tx now"),
      right("rx"),
      right("tx"),
      right("rx packets"),
      right("tx packets"),
      right("dropped"),
    ],
    interfaces.map((each) => [
      visible(hopName(each)),
      bits(each.rxRate),
      bits(each.txRate),
      bytes(each.rxBytes),
      bytes(each.txBytes),
      String(each.rxPackets),
      String(each.txPackets),
      each.dropped === 0 ? "0" : ink("bad", String(each.dropped)),
    ]),
    style,
  );
  return first.length > 0 && second.length > 0 ? [...first, "", ...second] : [...first, ...second];
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}
