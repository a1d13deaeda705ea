/** Capabilities by number (linux/capability.h; capabilities(7)). */
import { capabilityNames } from "../model/capability.js";
import { Failure } from "../model/failure.js";

const numbers = new Map<string, number>(capabilityNames.map((name, number) => [name, number]));

/** The set as bits. Throws a usage Failure for a name that there is not, or that this kernel does not know. */
export function capabilityMask(names: readonly string[], lastCapability: number): bigint {
  return names.reduce((mask, name) => {
    const number = numbers.get(name);
    if (number === undefined || number > lastCapability) {
      const where = number === undefined ? "" : " on this kernel";
      throw new Failure("usage", `there is no capability ${name}${where}`, {
        code: "NO_CAPABILITY",
        hint: "capabilities(7) lists them; write net_raw for CAP_NET_RAW",
      });
    }
    return mask | (1n << BigInt(number));
  }, 0n);
}

/** The names of a set of bits, in the order of their numbers. */
export function capabilitiesOf(mask: bigint): readonly string[] {
  return capabilityNames.filter((_, number) => ((mask >> BigInt(number)) & 1n) === 1n);
}
