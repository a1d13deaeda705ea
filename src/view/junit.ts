/** JUnit XML, as CI systems read it (the format of the Ant task: testsuites, testsuite, testcase, failure). */
import { markup } from "./html-text.js";

export interface TestReport {
  /** Name of the lab or its file. */
  readonly name: string;
  /** ISO 8601. */
  readonly startedAt?: string;
  readonly cases: readonly TestCase[];
}

export interface TestCase {
  /** `client -> tcp://203.0.113.1:8080 answered` */
  readonly name: string;
  /** Nanoseconds. */
  readonly duration: number;
  readonly outcome: TestOutcome;
}

export type TestOutcome =
  | { readonly kind: "passed" }
  /** The expectation did not hold. @property text the path of the packet, in lines */
  | { readonly kind: "failed"; readonly message: string; readonly text: string }
  /** It could not be checked. */
  | { readonly kind: "error"; readonly message: string; readonly text: string }
  | { readonly kind: "skipped"; readonly message: string };

export function junit(reports: readonly TestReport[]): string {
  const all = reports.flatMap(({ cases }) => cases);
  return [
    `<?xml version="1.0" encoding="UTF-8"?>`,
    `<testsuites ${totals(all)}>`,
    ...reports.flatMap((report) => [
      `  <testsuite name="${markup(report.name)}" ${totals(report.cases)}${report.startedAt === undefined ? "" : ` timestamp="${markup(report.startedAt)}"`}>`,
      ...report.cases.flatMap((one) => caseLines(report.name, one)),
      "  </testsuite>",
    ]),
    "</testsuites>",
    "",
  ].join("\n");
}

function totals(cases: readonly TestCase[]): string {
  const number = (kind: TestOutcome["kind"]): number => cases.filter(({ outcome }) => outcome.kind === kind).length;
  const time = cases.reduce((sum, { duration }) => sum + duration, 0);
  return `tests="${cases.length}" failures="${number("failed")}" errors="${number("error")}" skipped="${number("skipped")}" time="${seconds(time)}"`;
}

function seconds(nanoseconds: number): string {
  return (nanoseconds / 1e9).toFixed(3);
}

function caseLines(suite: string, { name, duration, outcome }: TestCase): string[] {
  const open = `    <testcase classname="${markup(suite)}" name="${markup(name)}" time="${seconds(duration)}"`;
  if (outcome.kind === "passed") return [`${open}/>`];
  const message = `message="${markup(outcome.message)}"`;
  const inner =
    outcome.kind === "skipped"
      ? `<skipped ${message}/>`
      : outcome.kind === "failed"
        ? `<failure ${message} type="expectation">${markup(outcome.text)}</failure>`
        : `<error ${message} type="failure">${markup(outcome.text)}</error>`;
  return [`${open}>`, `      ${inner}`, "    </testcase>"];
}
