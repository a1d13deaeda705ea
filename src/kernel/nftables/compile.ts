/** Statements of nft(8) -> expressions of the kernel, in the shapes that `nft list ruleset` prints back. */
import type { NftFamily, NftField, NftRange, NftStatement, NftValue } from "../../model/nft.js";
import { ipFamily, parseIp } from "../codec/index.js";
import {
  type Operator,
  REG_1,
  compare,
  encodeScalar,
  intervalOf,
  maskTest,
  rangeTest,
  valueTest,
} from "./comparison.js";
import * as k from "./constants.js";
import { type Expression, make } from "./expressions.js";
import { type DataType, type Dependency, fields } from "./fields.js";
import { compareBytes, toElements } from "./intervals.js";
import type { SetElement } from "./messages.js";
import { DEFAULT_BURST, limitUnits, rejections } from "./vocabulary.js";

/** A set without a name, made together with the rule that looks in it. */
export interface AnonymousSet {
  /** Unique in its batch: what the rule's lookup refers to. */
  readonly id: number;
  readonly type: DataType;
  readonly interval: boolean;
  readonly elements: readonly SetElement[];
}

export interface CompiledRule {
  readonly expressions: readonly Expression[];
  readonly sets: readonly AnonymousSet[];
}

type Match = Extract<NftStatement, { kind: "match" }>;
const REG_2 = 2;

/** The name of an anonymous set before the kernel numbers it. */
export const ANONYMOUS = "__set%d";

/**
 * Compiles one rule. What nft puts before a field by itself is put there too (`ip saddr` in an inet table looks at the
 * protocol first), unless the rule has said so already.
 * Throws RangeError for a value that its field cannot have, or a statement that is no more than shown (`unknown`).
 * @param firstSetId number for the first anonymous set
 */
export function compileRule(family: NftFamily, statements: readonly NftStatement[], firstSetId = 1): CompiledRule {
  return new RuleCompiler(family, firstSetId).compile(statements);
}

class RuleCompiler {
  readonly #expressions: Expression[] = [];
  readonly #sets: AnonymousSet[] = [];
  /** What the rule has made sure of so far. */
  readonly #known = new Map<Dependency["field"], number>();

  constructor(
    private readonly family: NftFamily,
    private readonly firstSetId: number,
  ) {}

  compile(statements: readonly NftStatement[]): CompiledRule {
    for (const statement of statements) this.#statement(statement);
    return { expressions: this.#expressions, sets: this.#sets };
  }

  #emit(...expressions: Expression[]): void {
    this.#expressions.push(...expressions);
  }

  #statement(statement: NftStatement): void {
    switch (statement.kind) {
      case "match":
        this.#match(statement);
        break;
      case "accept":
        this.#verdict(k.NF_ACCEPT);
        break;
      case "drop":
        this.#verdict(k.NF_DROP);
        break;
      case "return":
        this.#verdict(k.NFT_RETURN);
        break;
      case "continue":
        this.#verdict(k.NFT_CONTINUE);
        break;
      case "jump":
        this.#verdict(k.NFT_JUMP, statement.chain);
        break;
      case "goto":
        this.#verdict(k.NFT_GOTO, statement.chain);
        break;
      case "dnat":
      case "snat":
        this.#nat(statement);
        break;
      case "masquerade":
        this.#emit(make("masq", statement.random === true ? { flags: k.NF_NAT_RANGE_PROTO_RANDOM } : {}));
        break;
      case "redirect":
        if (statement.port === undefined) this.#emit(make("redir", {}));
        else {
          this.#immediate(REG_1, port(statement.port));
          this.#emit(make("redir", { portMinimum: REG_1, flags: k.NF_NAT_RANGE_PROTO_SPECIFIED }));
        }
        break;
      case "counter":
        // Without attributes it begins at zero, as nft has it.
        this.#emit(make("counter", { packets: statement.packets || undefined, bytes: statement.bytes || undefined }));
        break;
      case "log":
        this.#emit(make("log", { group: statement.group, prefix: statement.prefix, level: statement.level }));
        break;
      case "reject":
        this.#reject(statement);
        break;
      case "limit":
        this.#emit(
          make("limit", {
            rate: statement.rate,
            unit: limitUnits[statement.per],
            burst: statement.burst ?? DEFAULT_BURST,
            type: 0,
            flags: 0,
          }),
        );
        break;
      case "meta set":
        this.#setMeta(statement.key, statement.value);
        break;
      case "unknown":
        throw new RangeError(`"${statement.text}" can be shown, but not written`);
    }
  }

  #verdict(code: number, chain?: string): void {
    this.#emit(make("immediate", { dreg: k.NFT_REG_VERDICT, data: { verdict: { code, chain } } }));
  }

  #immediate(dreg: number, value: Uint8Array): void {
    this.#emit(make("immediate", { dreg, data: { value } }));
  }

  #match({ field, op, value }: Match): void {
    const { needs = [] } = fields[field];
    for (const need of needs) this.#require(need);
    if ((field === "nfproto" || field === "l4proto") && op === "==" && typeof value !== "object") {
      this.#known.set(field, Number(fields[field].type.decode(fields[field].type.encode(value))));
    }
    this.#comparison(field, op, value);
  }

  /** What has to be true before a field can be looked at. */
  #require({ field, value }: Dependency): void {
    if (this.#known.get(field) === value) return;
    this.#known.set(field, value);
    if (field === "l4proto") {
      this.#comparison("l4proto", "==", value);
    } else if (this.family === "inet") {
      this.#comparison("nfproto", "==", value);
    } else if (this.family === "bridge" || this.family === "netdev") {
      // There is no nfproto below IP: the EtherType says it.
      const etherType = value === k.NFPROTO_IPV4 ? [0x08, 0x00] : [0x86, 0xdd];
      this.#emit(make("meta", { dreg: REG_1, key: k.NFT_META_PROTOCOL }), compare("==", Uint8Array.from(etherType)));
    }
  }

  #comparison(field: NftField, op: Operator, value: NftValue): void {
    const { type, load } = fields[field];
    if (type.bits !== undefined && typeof value !== "number" && (op === "==" || op === "!=")) {
      const names = Array.isArray(value) ? (value as readonly unknown[]) : [value];
      if (names.every((name): name is string => typeof name === "string")) {
        this.#emit(load(type.size), ...maskTest(type, op, names));
        return;
      }
    }
    if (Array.isArray(value)) {
      this.#emit(load(type.size), this.#lookup(type, op, value as readonly (string | number | NftRange)[]));
    } else if (typeof value === "object") {
      this.#emit(load(type.size), ...rangeTest(type, op, value as NftRange));
    } else {
      this.#emit(...valueTest(type, load, op, value));
    }
  }

  #lookup(type: DataType, op: Operator, values: readonly (string | number | NftRange)[]): Expression {
    if (op !== "==" && op !== "!=") throw new RangeError(`a set is compared with == or !=, not ${op}`);
    if (values.length === 0) throw new RangeError("a set without elements");
    const interval = values.some(
      (value) => typeof value === "object" || (type.prefixes && String(value).includes("/")),
    );
    if (interval && type.byteOrder === "host") throw new RangeError("this field takes no ranges");
    const elements = interval
      ? toElements(values.map((value) => intervalOf(type, value)))
      : apart(values.map((value) => encodeScalar(type, value))).map((value) => ({ key: { value } }));
    const id = this.firstSetId + this.#sets.length;
    this.#sets.push({ id, type, interval, elements });
    return make("lookup", {
      set: ANONYMOUS,
      sreg: REG_1,
      setId: id,
      flags: op === "!=" ? k.NFT_LOOKUP_F_INV : undefined,
    });
  }

  #nat(statement: Extract<NftStatement, { kind: "dnat" | "snat" }>): void {
    const { address, port: first, toPort } = statement;
    if (address !== undefined) {
      if (ipFamily(address) !== statement.family)
        throw new RangeError(`"${address}" is no IPv${statement.family} address`);
      this.#immediate(REG_1, parseIp(address));
    }
    // Without an address the ports move up.
    const portRegister = address === undefined ? REG_1 : REG_2;
    if (first !== undefined) this.#immediate(portRegister, port(first));
    if (toPort !== undefined) this.#immediate(portRegister + 1, port(toPort));
    this.#emit(
      make("nat", {
        type: statement.kind === "dnat" ? k.NFT_NAT_DNAT : k.NFT_NAT_SNAT,
        family: statement.family === 4 ? k.NFPROTO_IPV4 : k.NFPROTO_IPV6,
        addressMinimum: address === undefined ? undefined : REG_1,
        portMinimum: first === undefined ? undefined : portRegister,
        portMaximum: toPort === undefined ? undefined : portRegister + 1,
        flags: first === undefined ? undefined : k.NF_NAT_RANGE_PROTO_SPECIFIED,
      }),
    );
  }

  #reject(statement: Extract<NftStatement, { kind: "reject" }>): void {
    const { type, code, needs } = rejections[statement.with];
    if (needs !== undefined) this.#require(needs);
    this.#emit(make("reject", { type, code: statement.code ?? code }));
  }

  #setMeta(key: "mark" | "nftrace", value: number): void {
    const encoded = key === "mark" ? fields.mark.type.encode(value) : Uint8Array.of(value);
    this.#immediate(REG_1, encoded);
    this.#emit(make("meta", { key: key === "mark" ? k.NFT_META_MARK : k.NFT_META_NFTRACE, sreg: REG_1 }));
  }
}

/** Each value once. */
function apart(values: readonly Uint8Array[]): Uint8Array[] {
  return values.filter((value, at) => values.findIndex((other) => compareBytes(value, other) === 0) === at);
}

function port(number: number): Uint8Array {
  return fields["th dport"].type.encode(number);
}
