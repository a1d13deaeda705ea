/**
 * Ranges: `web[1-3]` stands for web1, web2, web3; `[01-10]` keeps its zeros; `[1,3,5-7]` picks; `[8001+3]` counts three
 * from 8001. Several ranges in one text
 * advance together, and so do all texts of one entry; a text without a range repeats.
 */
const pattern = /\[([0-9]+(?:[-+][0-9]+)?(?:,[0-9]+(?:[-+][0-9]+)?)*)\]/g;

/** More than any bridge or lab of ours holds: guards against `[1-999999999]`. */
const largest = 100_000;

export class RangeMistake extends Error {}

/** `[8]` would be a range of one; an IPv6 literal in brackets has a colon, so it is none. */
export function hasRange(text: string): boolean {
  return text.search(pattern) >= 0;
}

/** How many texts it stands for: undefined for a text without a range. Throws a RangeMistake where its parts differ. */
export function rangeCount(text: string): number | undefined {
  let count: number | undefined;
  for (const [whole, body] of text.matchAll(pattern)) {
    const length = membersOf(whole, body ?? "").length;
    if (count !== undefined && count !== length) {
      throw new RangeMistake(`the ranges of "${text}" have ${count} and ${length} members; they advance together`);
    }
    count = length;
  }
  return count;
}

/** The text number `index` that it stands for, from 0. */
export function rangeMember(text: string, index: number): string {
  return text.replaceAll(pattern, (whole, body: string) => membersOf(whole, body)[index] ?? whole);
}

/** All texts that it stands for. */
export function expandRange(text: string): string[] {
  const count = rangeCount(text);
  return count === undefined ? [text] : Array.from({ length: count }, (_, index) => rangeMember(text, index));
}

/**
 * How many entries one entry stands for, that holds these texts: 1 without ranges.
 * Throws a RangeMistake that names two texts whose counts differ.
 */
export function entryCount(texts: Iterable<string>): number {
  let first: { text: string; count: number } | undefined;
  for (const text of texts) {
    const count = rangeCount(text);
    if (count === undefined) continue;
    if (first !== undefined && first.count !== count) {
      throw new RangeMistake(
        `"${first.text}" has ${first.count} members and "${text}" has ${count}; ranges of one entry advance together`,
      );
    }
    first ??= { text, count };
  }
  return first?.count ?? 1;
}

const memo = new Map<string, readonly string[]>();

function membersOf(whole: string, body: string): readonly string[] {
  const known = memo.get(body);
  if (known) return known;
  const members: string[] = [];
  for (const part of body.split(",")) {
    const [from = "", to = from] = part.split(/[-+]/);
    const first = Number(from);
    const last = part.includes("+") ? first + Number(to) - 1 : Number(to);
    if (last < first) throw new RangeMistake(`the range ${whole} is empty: it ends before it begins`);
    if (last - first >= largest) throw new RangeMistake(`the range ${whole} has more than ${largest} members`);
    const width = from.startsWith("0") ? from.length : 0;
    for (let number = first; number <= last; number++) members.push(String(number).padStart(width, "0"));
  }
  memo.set(body, members);
  return members;
}
