/**
 * A seccomp profile in Docker's form (moby, profiles/seccomp/default.json; the `seccomp` of an OCI runtime
 * specification is one, too), compiled to BPF. What cannot be compiled is an error: a filter that is not what the file
 * says would be worse than none.
 */
import type { SeccompProfile } from "../model/container.js";
import { Failure } from "../model/failure.js";
import { type Instruction, instruction, operation } from "./bpf.js";
import { type Code, errno, filterOf, machineOf } from "./seccomp.js";
import { type ArgumentTest, argumentTest, comparisons } from "./seccomp-tests.js";

/** SECCOMP_RET_* (linux/seccomp.h); ERRNO carries a number. */
const actions: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0,
  SCMP_ACT_KILL_THREAD: 0,
  SCMP_ACT_TRAP: 0x00030000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};
const EPERM = 1;
const ENOSYS = 38;

/** As profiles name what Node names otherwise. */
const architectureNames: Readonly<Record<string, readonly string[]>> = {
  x64: ["SCMP_ARCH_X86_64", "amd64"],
  arm64: ["SCMP_ARCH_AARCH64", "arm64"],
};

interface Rule {
  readonly names: readonly string[];
  readonly action: number;
  readonly tests: readonly ArgumentTest[];
}

/** @param architecture as Node names it. @param capabilities that the container has. @throws Failure (usage) */
export function profileFilter(
  profile: SeccompProfile,
  architecture: string,
  capabilities: readonly string[],
): Uint8Array {
  const machine = machineOf(architecture);
  const reader = new ProfileReader(profile, architecture, capabilities);
  const { fallback, rules } = reader.read();
  const ofName = new Map<string, Rule[]>();
  for (const rule of rules) for (const name of rule.names) ofName.set(name, [...(ofName.get(name) ?? []), rule]);
  const codes = new Map<string, Code>();
  const once = (code: Code): Code => {
    const key = JSON.stringify(code);
    const same = codes.get(key) ?? code;
    codes.set(key, same);
    return same;
  };
  const otherwise = once([instruction(operation.return, fallback)]);
  // What is newer than our list: a profile that refuses what it does not name means that it is not there.
  const isErrno = fallback >>> 16 === errno(0) >>> 16;
  return filterOf(machine, {
    codeOf: (name) => {
      const found = ofName.get(name);
      return found === undefined ? undefined : once(ruleCode(found, fallback));
    },
    otherwise,
    unknown: isErrno ? once([instruction(operation.return, errno(ENOSYS))]) : otherwise,
  });
}

/** The first rule whose tests all hold decides. */
function ruleCode(rules: readonly Rule[], fallback: number): Code {
  const tail: Instruction[] = [instruction(operation.return, fallback)];
  return rules.reduceRight<Instruction[]>((rest, { action, tests }) => {
    // A rule without tests is the last that counts.
    if (tests.length === 0) return [instruction(operation.return, action)];
    const own = tests.reduceRight<Instruction[]>(
      (code, test) => [...argumentTest(test, code.length), ...code],
      [instruction(operation.return, action)],
    );
    return [...own, ...rest];
  }, tail);
}

type Json = Readonly<Record<string, unknown>>;

class ProfileReader {
  constructor(
    private readonly profile: SeccompProfile,
    private readonly architecture: string,
    private readonly capabilities: readonly string[],
  ) {}

  read(): { readonly fallback: number; readonly rules: readonly Rule[] } {
    const file = this.#object(this.#parse(), "the profile");
    this.#only(file, "the profile", [
      "defaultAction",
      "defaultErrnoRet",
      "architectures",
      "archMap",
      "syscalls",
      "flags",
      "$schema",
    ]);
    if (this.#list(file.flags, "flags").length > 0) this.#fail('"flags" are not supported');
    this.#checkArchitecture(file);
    return {
      fallback: this.#action(file.defaultAction, file.defaultErrnoRet, "defaultAction"),
      rules: this.#list(file.syscalls, "syscalls").flatMap((entry, index) => this.#rule(entry, `syscalls[${index}]`)),
    };
  }

  #parse(): unknown {
    try {
      return JSON.parse(this.profile.text);
    } catch (error) {
      return this.#fail(error instanceof Error ? error.message : String(error));
    }
  }

  #checkArchitecture(file: Json): void {
    const listed = [
      ...this.#strings(file.architectures, "architectures"),
      ...this.#list(file.archMap, "archMap").map((entry) => this.#object(entry, "archMap").architecture),
    ];
    if (listed.length > 0 && !listed.some((name) => this.#isOurs(name)))
      this.#fail(`it is not for this machine's architecture, ${this.architecture}`);
  }

  #isOurs(name: unknown): boolean {
    return architectureNames[this.architecture]?.some((known) => known === name) ?? false;
  }

  #rule(value: unknown, where: string): Rule[] {
    const entry = this.#object(value, where);
    this.#only(entry, where, ["names", "name", "action", "errnoRet", "args", "includes", "excludes", "comment"]);
    const names = [
      ...this.#strings(entry.names, `${where}.names`),
      ...(typeof entry.name === "string" && entry.name !== "" ? [entry.name] : []),
    ];
    if (names.length === 0) this.#fail(`${where} names no system call`);
    const action = this.#action(entry.action, entry.errnoRet, `${where}.action`);
    const tests = this.#list(entry.args, `${where}.args`).map((test) => this.#test(test, `${where}.args`));
    const isIn = this.#holds(entry.includes, `${where}.includes`, true);
    const isOut = this.#holds(entry.excludes, `${where}.excludes`, false);
    if (!isIn || isOut) return [];
    // As libseccomp has it: several tests of one argument are alternatives.
    const repeated = new Set(tests.map(({ index }) => index)).size < tests.length;
    return repeated ? tests.map((test) => ({ names, action, tests: [test] })) : [{ names, action, tests }];
  }

  /** Includes hold when all of them do, excludes when any does (moby, profiles/seccomp/seccomp_linux.go). */
  #holds(value: unknown, where: string, all: boolean): boolean {
    if (value === undefined || value === null) return all;
    const entry = this.#object(value, where);
    this.#only(entry, where, ["caps", "arches", "minKernel"]);
    const caps = this.#strings(entry.caps, `${where}.caps`).map((name) => name.toLowerCase().replace(/^cap_/, ""));
    const arches = this.#strings(entry.arches, `${where}.arches`);
    const answers = [
      ...caps.map((name) => this.capabilities.includes(name)),
      ...(arches.length === 0 ? [] : [arches.some((name) => this.#isOurs(name))]),
      ...(entry.minKernel === undefined ? [] : [this.#isKernel(entry.minKernel, where)]),
    ];
    return all ? answers.every(Boolean) : answers.some(Boolean);
  }

  #isKernel(wanted: unknown, where: string): boolean {
    const asked = /^(\d+)\.(\d+)$/.exec(typeof wanted === "string" ? wanted : "");
    const [, major = "0", minor = "0"] = /^(\d+)\.(\d+)/.exec(this.profile.kernel) ?? [];
    if (asked === null) return this.#fail(`${where}.minKernel is no version such as "5.8"`);
    const difference = Number(major) - Number(asked[1]);
    return difference > 0 || (difference === 0 && Number(minor) >= Number(asked[2]));
  }

  #test(value: unknown, where: string): ArgumentTest {
    const entry = this.#object(value, where);
    this.#only(entry, where, ["index", "value", "valueTwo", "op"]);
    const comparison = comparisons.find((known) => known === entry.op);
    if (comparison === undefined) return this.#fail(`${where}.op is none of ${comparisons.join(", ")}`);
    const index = this.#whole(entry.index, `${where}.index`, 5);
    return {
      index,
      comparison,
      value: BigInt(this.#whole(entry.value, `${where}.value`)),
      masked: BigInt(this.#whole(entry.valueTwo ?? 0, `${where}.valueTwo`)),
    };
  }

  #action(value: unknown, number: unknown, where: string): number {
    const code = number === undefined || number === null ? EPERM : this.#whole(number, `${where} errno`, 4095);
    if (value === "SCMP_ACT_ERRNO") return errno(code);
    const action = typeof value === "string" ? actions[value] : undefined;
    return action ?? this.#fail(`${where} is ${JSON.stringify(value)}, which is not supported`);
  }

  #whole(value: unknown, where: string, most = Number.MAX_SAFE_INTEGER): number {
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most) return value;
    return this.#fail(`${where} is no whole number up to ${most}`);
  }

  #strings(value: unknown, where: string): string[] {
    return this.#list(value, where).map((each) =>
      typeof each === "string" ? each : this.#fail(`${where} holds what is no text`),
    );
  }

  #list(value: unknown, where: string): readonly unknown[] {
    if (value === undefined || value === null) return [];
    return Array.isArray(value) ? value : this.#fail(`${where} is no list`);
  }

  #object(value: unknown, where: string): Json {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return this.#fail(`${where} is no object`);
    return value as Json; // an object of JSON has string keys
  }

  #only(value: Json, where: string, known: readonly string[]): void {
    const other = Object.keys(value).find((key) => !known.includes(key));
    if (other !== undefined) this.#fail(`${where} has "${other}", which is not supported`);
  }

  #fail(what: string): never {
    throw new Failure("usage", `cannot use the seccomp profile ${this.profile.name}: ${what}`, {
      code: "SECCOMP_PROFILE",
      hint: "the form is Docker's: docs.docker.com/engine/security/seccomp",
    });
  }
}
