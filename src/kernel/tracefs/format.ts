/** Where the fields of a trace event stand: its `format` file. */

export interface EventFormat {
  /** `common_type` of its records. */
  readonly id: number;
  readonly fields: ReadonlyMap<string, EventField>;
}

export interface EventField {
  /** Bytes from the beginning of the record. */
  readonly offset: number;
  readonly size: number;
}

export function parseFormat(text: string): EventFormat {
  const fields = new Map<string, EventField>();
  for (const [, name = "", offset, size] of text.matchAll(
    /^\s*field:[^;]*?(\w+)(?:\[[^\]]*\])?;\s*offset:(\d+);\s*size:(\d+);/gm,
  ))
    fields.set(name, { offset: Number(offset), size: Number(size) });
  return { id: Number(/^ID: (\d+)$/m.exec(text)?.[1]), fields };
}
