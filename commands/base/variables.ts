/** `--env NAME=VALUE`. */
import { Failure } from "../../src/model/failure.js";

export function variables(texts: readonly string[] = []): [string, string][] {
  return texts.map((text) => {
    const at = text.indexOf("=");
    if (at <= 0) throw new Failure("usage", `--env ${text} is not of the form NAME=VALUE`);
    return [text.slice(0, at), text.slice(at + 1)];
  });
}
