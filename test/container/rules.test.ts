/** docs/security.md against the tests: each rule names the file of its test, and a test there begins with its number. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";

const project = join(import.meta.dirname.replace("/dist/", "/"), "../..");
const page = readFileSync(join(project, "docs/security.md"), "utf8");

const rows = page
  .split("\n")
  .filter((line) => /^\| \d+ \|/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .map(([, number = "", , lessons = "", tests = ""]) => ({
    number,
    lessons: lessons.match(/CVE-\d{4}-\d+/g) ?? [],
    files: [...tests.matchAll(/`([^`]+)`/g)].map(([, file = ""]) => file),
  }));

/** Titles of tests that begin with a number of a rule, or with several: `14, 16: …`. */
function titlesOf(file: string, number: string): string[] {
  const text = readFileSync(join(project, file), "utf8");
  return [...text.matchAll(/^ *test(?:\.serial)?\(\s*["`]([\d, ]+): (.*)["`],/gm)]
    .filter(([, numbers = ""]) => numbers.split(", ").includes(number))
    .map(([, , title = ""]) => title);
}

test("every rule of docs/security.md has a test that begins with its number and names its CVEs", (t) => {
  t.deepEqual(
    rows.map(({ number }) => Number(number)),
    rows.map((_, index) => index + 1),
  );
  t.true(rows.length >= 28);
  for (const { number, lessons, files } of rows) {
    for (const file of files) t.true(existsSync(join(project, file)), `${number}: ${file}`);
    const titles = files.map((file) => titlesOf(file, number));
    for (const [index, found] of titles.entries()) t.true(found.length > 0, `${number} in ${files[index]}`);
    for (const lesson of lessons) {
      const short = lesson.replace("CVE", "");
      t.true(
        titles.flat().some((title) => title.includes(short)),
        `${number}: ${lesson}`,
      );
    }
  }
});

test("28: docs/security.md says what is not kept out", (t) => {
  const [, open = ""] = page.split("## What it is not kept from");
  const part = open.split("\n## ")[0] ?? "";
  for (const words of [
    "not a boundary against hostile code",
    "nf_tables",
    "abstract sockets",
    "shares the kernel",
    "sys_admin",
  ])
    t.true(part.includes(words), words);
});
