/** `test`: a line for each expectation, and the path of the packet for each that did not hold. */
import { Failure } from "../model/failure.js";
import type { PacketEvent } from "../model/trace.js";
import { explainPacket } from "./explain-packet.js";
import { noInk, type Ink } from "./ink.js";
import type { TestCase, TestReport } from "./junit.js";
import { count, duration } from "./quantity.js";
import { visible } from "./width.js";

export interface TestedTopology {
  readonly name: string;
  readonly file: string;
  readonly startedAt: string;
  readonly passed: boolean;
  readonly expectations: readonly TestedExpectation[];
  readonly saved?: string;
}

export interface TestedExpectation {
  readonly name: string;
  readonly passed: boolean;
  readonly problems: readonly string[];
  readonly attempts: number;
  /** Nanoseconds. */
  readonly duration: number;
  readonly packet?: PacketEvent;
}

export function testedLines(lab: TestedTopology, ink: Ink = noInk): string[] {
  const failed = lab.expectations.filter(({ passed }) => !passed).length;
  const total = count(lab.expectations.length, "expectation");
  return [
    ink("strong", visible(lab.name)),
    ...lab.expectations.flatMap((each) => expectationLines(each, ink)),
    failed === 0 ? ink("good", `${total}: all hold.`) : ink("bad", `${total}: ${failed} did not hold.`),
    ...(lab.saved === undefined
      ? []
      : [`trace: ${visible(lab.saved)} ${ink("dim", `(yapc-net view ${visible(lab.saved)})`)}`]),
  ];
}

function expectationLines(each: TestedExpectation, ink: Ink): string[] {
  const mark = each.passed ? ink("good", "✓") : ink("bad", "✗");
  const tries = each.attempts === 1 ? "" : `, attempt ${each.attempts}`;
  return [
    `  ${mark} ${visible(each.name)} ${ink("dim", `${duration(each.duration)}${tries}`)}`,
    ...(each.passed ? [] : failureLines(each, ink).map((line) => `      ${line}`.trimEnd())),
  ];
}

function failureLines({ problems, packet }: TestedExpectation, ink: Ink): string[] {
  return [
    ...problems.map((problem) => ink("bad", visible(problem))),
    ...(packet === undefined ? [] : ["", ...explainPacket(packet, ink), ""]),
  ];
}

/** A file whose lab could not be tested, among others that could. */
export function brokenLines(file: string, error: Error, ink: Ink = noInk): string[] {
  const hint = error instanceof Failure && error.hint !== undefined ? [`${ink("accent", "hint:")} ${error.hint}`] : [];
  return [
    ink("strong", visible(file)),
    `  ${ink("bad", "✗ could not be tested")}`,
    ...[...error.message.split("\n"), ...hint].map((line) => `      ${visible(line)}`),
  ];
}

/** The suite of a lab in a JUnit report. */
export function testReport(lab: TestedTopology): TestReport {
  return {
    name: lab.name,
    startedAt: lab.startedAt,
    cases: lab.expectations.map((each): TestCase => ({
      name: each.name,
      duration: each.duration,
      outcome: each.passed
        ? { kind: "passed" }
        : {
            kind: "failed",
            message: each.problems.join("; "),
            text: failureLines(each, noInk).join("\n"),
          },
    })),
  };
}

/** The suite of a file whose lab could not be tested. */
export function brokenReport(file: string, error: unknown): TestReport {
  const message = error instanceof Error ? error.message : String(error);
  return { name: file, cases: [{ name: "start", duration: 0, outcome: { kind: "error", message, text: message } }] };
}
