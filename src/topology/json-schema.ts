/** `topologies/schema.json`: the schema for editors, made from the one that checks. */
import * as z from "zod/mini";
import { topologyForm } from "./form/file.js";

/** A number, a switch or a word may be a variable in the file: an editor shall not mark a good file. */
const variable = { type: "string", pattern: "^\\$\\{[A-Za-z_][A-Za-z0-9_]*\\}$" } as const;

/** The text of the file, as it stands in the repository. */
export function jsonSchema(): string {
  const schema = z.toJSONSchema(topologyForm, {
    io: "input",
    reused: "ref",
    override: ({ zodSchema, jsonSchema: json }) => {
      const { type } = zodSchema._zod.def;
      if (type !== "number" && type !== "boolean" && type !== "enum") return;
      const plain = { ...json };
      for (const key of Object.keys(json)) Reflect.deleteProperty(json, key);
      json.anyOf = [plain, variable];
    },
  });
  return `${JSON.stringify({ title: "yapc-net topology", ...schema }, null, 2)}\n`;
}
