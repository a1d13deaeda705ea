/** The selected packet at the selected hop: decoded fields, and the bytes beside or instead of them. */
import type { PacketEvent, Sighting } from "../../model/trace.js";
import { type Ink, inverse } from "../ink.js";
import type { Field, FieldTree, PacketSource } from "../packet-source.js";
import { endpoint, rewriteText } from "../path.js";
import { cut, sliceCells, visible, withoutInk } from "../width.js";
import { hexLines, hexWidth } from "./hex.js";

interface DetailLine {
  readonly indent: number;
  readonly label: string;
  readonly value?: string;
  readonly range?: readonly [number, number];
}

export interface DetailPaneOptions {
  readonly width: number;
  readonly height: number;
  readonly ink: Ink;
  /** Undefined: beside the fields where there is room. */
  readonly hex: boolean | undefined;
  readonly focused: boolean;
  readonly line: number;
}

/** Narrowest pane in which fields and bytes stand side by side. */
const sideBySide = 45 + hexWidth(8);

export interface DetailPane {
  readonly lines: string[];
  /** Lines that the cursor can go through. */
  readonly length: number;
  readonly hex: boolean;
}

export function detailPane(
  packet: PacketEvent,
  sighting: Sighting,
  source: PacketSource,
  options: DetailPaneOptions,
): DetailPane {
  const { width, height, ink } = options;
  const bytes = source.bytes(sighting);
  const fields = linesOf(packet, sighting, source);
  const line = Math.min(options.line, fields.length - 1);
  const range = options.focused ? fields[line]?.range : undefined;
  const wide = width >= sideBySide;
  const withHex = bytes !== undefined && (options.hex ?? wide);
  if (withHex && !wide) {
    const perLine = width >= hexWidth(16) ? 16 : 8;
    const lines = hexLines(bytes, perLine, ink, range);
    const top = Math.min(options.line, Math.max(0, lines.length - height));
    return { lines: lines.slice(top, top + height).map((text) => ` ${text}`), length: lines.length, hex: true };
  }
  const perLine = width >= 46 + hexWidth(16) ? 16 : 8;
  const fieldWidth = withHex ? width - hexWidth(perLine) - 2 : width;
  const top = Math.max(0, Math.min(line - (height >> 1), fields.length - height));
  const left = fields.slice(top, top + height).map((field, index) => {
    const text = sliceCells(fieldText(field, fieldWidth - 1, ink), 0, fieldWidth - 1);
    return ` ${options.focused && top + index === line ? inverse(withoutInk(text)) : text}`;
  });
  if (!withHex) return { lines: left, length: fields.length, hex: false };
  const right = hexLines(bytes, perLine, ink, range);
  // The bytes follow the field under the cursor.
  const firstByteLine = range === undefined ? 0 : Math.floor(range[0] / perLine);
  const rightTop = Math.max(0, Math.min(firstByteLine - (height >> 1), right.length - height));
  return {
    lines: Array.from(
      { length: Math.max(left.length, Math.min(height, right.length)) },
      (_, index) =>
        `${sliceCells(left[index] ?? "", 0, fieldWidth)}${ink("dim", "│")} ${right[rightTop + index] ?? ""}`,
    ),
    length: fields.length,
    hex: true,
  };
}

function fieldText({ indent, label, value }: DetailLine, width: number, ink: Ink): string {
  const name = "  ".repeat(indent) + label;
  if (value === undefined) return ink("strong", cut(name, width));
  return `${ink("dim", `${name}:`)} ${cut(value, Math.max(8, width - name.length - 2))}`;
}

function linesOf(packet: PacketEvent, sighting: Sighting, source: PacketSource): DetailLine[] {
  const decoded = flatten(source.describe(sighting), 0);
  const atHand = source.bytes(sighting) !== undefined;
  return [...evidenceLines(packet), ...(atHand ? [] : known(packet, sighting)), ...decoded];
}

function flatten(fields: FieldTree, indent: number): DetailLine[] {
  return fields.flatMap((field: Field): DetailLine[] => [
    {
      indent,
      label: visible(field.label),
      ...(field.value !== undefined && { value: visible(field.value) }),
      ...(field.range !== undefined && { range: field.range }),
    },
    ...flatten(field.fields ?? [], indent + 1),
  ]);
}

/** What the verdict rests on comes first: it is what one looks for. */
function evidenceLines({ verdict, provisional }: PacketEvent): DetailLine[] {
  if (verdict.kind !== "dropped" || verdict.cause === undefined || provisional === true) return [];
  return [
    { indent: 0, label: `cause ${verdict.cause.code}` },
    ...verdict.cause.evidence.map(({ source, strength, text }) => ({
      indent: 1,
      label: `${strength}, ${source}`,
      value: text,
    })),
  ];
}

/** What the trace itself knows, where the bytes are not at hand. */
function known(packet: PacketEvent, sighting: Sighting): DetailLine[] {
  const field = (label: string, value: string | number | undefined): DetailLine[] =>
    value === undefined ? [] : [{ indent: 1, label, value: String(value) }];
  return [
    { indent: 0, label: `${packet.protocol} ${packet.summary}` },
    ...field("source", endpoint(sighting.source, sighting.sourcePort)),
    ...field("destination", endpoint(sighting.destination, sighting.destinationPort)),
    ...field("ttl", sighting.ttl),
    ...field("bytes on the wire", sighting.length),
    ...field("source mac", sighting.sourceMac),
    ...field("destination mac", sighting.destinationMac),
    ...packet.rewrites.flatMap((rewrite) => field(rewrite.between.join(" ▶ "), rewriteText(rewrite))),
  ];
}
