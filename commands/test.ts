import { writeFileSync } from "node:fs";
import { Args, Flags } from "@oclif/core";
import { exitCodes, Failure } from "../src/model/failure.js";
import { testLab, type TestedLab } from "../src/session/test-lab.js";
import { junit, type TestReport } from "../src/view/junit.js";
import { type FailureBody, failureBody } from "../src/view/failure.js";
import { brokenLines, brokenReport, testedLines, testReport } from "../src/view/tested.js";
import { BaseCommand } from "./base/command.js";

export interface TestResult {
  readonly passed: boolean;
  readonly labs: readonly (TestedLab | BrokenLab)[];
}

/** A file whose lab could not be tested, among others that could. */
interface BrokenLab {
  readonly file: string;
  readonly passed: false;
  readonly error: FailureBody;
}

export default class Test extends BaseCommand {
  static override summary = "Check what a topology file expects of packets";
  static override description = `Starts each lab under a name of its own, sends a probe for every \`expect\` while all hops are traced, compares
verdict, path and addresses, shows the path of what failed, and takes the lab down. The exit code is 1 where an
expectation does not hold; the trace is then kept as NAME.trace, for \`view\`. Of several files one whose lab cannot
start is told and counts as failed; the others are tested.`;
  static override examples = [
    "<%= config.bin %> test topologies/docker-bridge.json",
    "<%= config.bin %> test labs/*.json --junit report.xml",
    "<%= config.bin %> test lab.json --save lab --json",
  ];
  static override strict = false;
  static override usage = "test FILE... [--junit FILE] [--save NAME] [--set NAME=VALUE] [--strict] [--json]";
  static override args = {
    file: Args.string({ description: "topology file, or the name of one that ships", required: true }),
  };
  static override flags = {
    junit: Flags.string({ summary: "write a JUnit report", helpValue: "FILE" }),
    save: Flags.string({ summary: "keep the trace as NAME.trace/ in any case", helpValue: "NAME" }),
    set: Flags.string({ summary: "set a variable of the file", helpValue: "NAME=VALUE", multiple: true, default: [] }),
    strict: Flags.boolean({ summary: "treat warnings as errors (exit code 3 for what the machine cannot do)" }),
  };

  async run(): Promise<TestResult> {
    const { flags, argv } = await this.parse(Test);
    if (flags.save !== undefined && argv.length > 1)
      throw new Failure("usage", "--save names one trace, so it goes with one file");
    const signal = this.interruptible();
    const files = argv.map(String);
    const labs: (TestedLab | BrokenLab)[] = [];
    const reports: TestReport[] = [];
    // After each lab: an interrupted run leaves a report of what was done.
    const report = (suite: TestReport): void => {
      reports.push(suite);
      if (flags.junit !== undefined) writeReport(flags.junit, reports);
    };
    for (const file of files) {
      try {
        const lab = await testLab({
          file,
          strict: flags.strict,
          assignments: flags.set,
          save: flags.save === undefined ? undefined : `${flags.save.replace(/\.trace\/?$/, "")}.trace`,
          onWarning: (text) => this.warning(text),
          onExpectation: (expectation) => this.progress.show(`${file}: ${expectation ?? "starting the lab"}`),
          signal,
        });
        labs.push(lab);
        this.print(testedLines(lab, this.ink).join("\n"));
        report(testReport(lab));
      } catch (error) {
        report(brokenReport(file, error));
        // A file by itself ends the command as any failure does, with its exit code. Among others it is one that failed.
        if (!(error instanceof Failure) || error.kind === "interrupted" || files.length === 1) throw error;
        labs.push({ file, passed: false, error: failureBody(error) });
        this.print(brokenLines(file, error, this.ink).join("\n"));
      }
    }
    const passed = labs.every((lab) => lab.passed);
    if (!passed) this.status(exitCodes.expectation);
    return { passed, labs };
  }
}

function writeReport(file: string, reports: readonly TestReport[]): void {
  try {
    writeFileSync(file, junit(reports));
  } catch (error) {
    throw new Failure("usage", `cannot write the report: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}
