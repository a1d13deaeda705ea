/** What the file expects of packets, with names replaced by addresses. */
import { canonicalAddress, type Family, formatAddress, parseAddress } from "../model/address.js";
import { addressesOf, type Draft, type DraftNode, findInterface, findNode } from "./draft.js";
import type { ExpectationForm } from "./form/file.js";
import { listOf } from "./merge.js";
import { nearestAddress } from "./nat.js";
import { entryIndexes } from "./nodes.js";
import { formatService, parseHopName, parseService } from "./notation.js";
import type { Path } from "./problem.js";
import { parseDuration } from "./quantity.js";
import { rangeMember } from "./range.js";
import type { ResolvedExpectation } from "./resolved.js";
import { wireName } from "./wire-name.js";

export function resolveExpectations(draft: Draft): ResolvedExpectation[] {
  return (draft.form.expect ?? []).flatMap((form, position) => {
    const at: Path = ["expect", position];
    const texts = Object.values(form).flatMap((value) => (typeof value === "number" ? [] : [...listOf(value)]));
    return entryIndexes(draft.document, at, texts, false).flatMap((index) => resolveOne(draft, form, at, index) ?? []);
  });
}

function resolveOne(draft: Draft, form: ExpectationForm, at: Path, index: number): ResolvedExpectation | undefined {
  const text = (value: string) => rangeMember(value, index);
  const from = findNode(draft, text(form.from), [...at, "from"]);
  const to = from && resolveTarget(draft, from, text(form.to), [...at, "to"]);
  const reaches =
    form.reaches === undefined || !from ? undefined : resolveReached(draft, text(form.reaches), [...at, "reaches"], to);
  const hops = (key: "via" | "notVia" | "between") =>
    listOf(form[key]).flatMap((hop, place) => {
      const where = Array.isArray(form[key]) ? [...at, key, place] : [...at, key];
      return resolveHop(draft, text(hop), where) ?? [];
    });
  const [via, notVia] = [hops("via"), hops("notVia")];
  const [first, second] = hops("between");
  if (form.between !== undefined && form.verdict === "answered") {
    draft.document.error([...at, "between"], `"between" says where a packet ends, and this one is answered`, {
      code: "conflict",
    });
  }
  if (form.cause !== undefined && form.verdict === "answered") {
    draft.document.error([...at, "cause"], `"cause" says why a packet ends, and this one is answered`, {
      code: "conflict",
    });
  }
  const within = form.within === undefined ? undefined : parseDuration(form.within);
  const seenAs =
    form.seenAs === undefined || !from ? undefined : seenAddress(draft, text(form.seenAs), [...at, "seenAs"]);
  if (!from || to === undefined) return undefined;
  return {
    from: from.name,
    to,
    verdict: form.verdict,
    ...(reaches === undefined ? {} : { reaches }),
    via,
    notVia,
    ...(first === undefined || second === undefined ? {} : { between: [first, second] as const }),
    ...(form.cause === undefined ? {} : { cause: form.cause }),
    ...(seenAs === undefined ? {} : { seenAs }),
    ...(within === undefined ? {} : { within }),
  };
}

function resolveTarget(draft: Draft, from: DraftNode, text: string, at: Path): string | undefined {
  const service = parseService(text);
  if (!service) return undefined;
  const literal = canonicalAddress(service.host);
  if (literal !== undefined) return formatService(service.protocol, literal, service.port);
  const node = findNode(draft, service.host, at);
  if (!node) return undefined;
  const address = nearestAddress(from, node, 4) ?? nearestAddress(from, node, 6);
  if (address) return formatService(service.protocol, formatAddress(address.address), service.port);
  draft.document.error(at, `the node "${node.name}" has no address`, { code: "missing" });
  return undefined;
}

/** The node that is reached is known by its address in the family that was asked. */
function resolveReached(draft: Draft, text: string, at: Path, to: string | undefined): string | undefined {
  const service = parseService(text);
  if (!service) return undefined;
  const asked = to === undefined ? undefined : parseService(to);
  const family: Family = asked ? (parseAddress(asked.host)?.family ?? 4) : 4;
  const literal = canonicalAddress(service.host);
  if (literal !== undefined) return formatService(service.protocol, literal, service.port);
  const node = findNode(draft, service.host, at);
  const address = node && (addressesOf(node, family)[0] ?? addressesOf(node)[0]);
  return address && formatService(service.protocol, formatAddress(address.address), service.port);
}

function seenAddress(draft: Draft, text: string, at: Path): string | undefined {
  const literal = canonicalAddress(text);
  if (literal !== undefined) return literal;
  const node = findNode(draft, text, at);
  const address = node && addressesOf(node)[0];
  return address && formatAddress(address.address);
}

function resolveHop(draft: Draft, text: string, at: Path): string | undefined {
  const hop = parseHopName(text);
  const node = hop && findNode(draft, hop.node, at);
  const found = node && findInterface(draft, node, hop.interface, at);
  return found && `${node.name}:${wireName(found.name)}`;
}
