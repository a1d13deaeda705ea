/** What a generated topology may need and a kernel may lack. */
import { Failure } from "../../src/model/failure.js";

/** Parts of the kernel that not every one has, and how they stand in a generated topology. */
const parts = { netem: ["delay"], vlan: ["vlan"], vxlan: ["vxlan"], macvlan: ["macvlan"], vrf: ["vrf"] } as const;
export type KernelPart = keyof typeof parts;

/** @param error what `up` threw */
export function lacking(error: unknown): KernelPart | undefined {
  const name = error instanceof Failure ? /this kernel has no (\w+) /.exec(error.message)?.[1] : undefined;
  return Object.keys(parts).find((part): part is KernelPart => part === name);
}

/** The topology without what needs a part of the kernel: links lose a setting, nodes an interface. */
export function without(text: string, missing: ReadonlySet<KernelPart>): string {
  const keys = new Set<string>([...missing].flatMap((part) => parts[part]));
  const has = (value: unknown) =>
    typeof value === "object" && value !== null && Object.keys(value).some((key) => keys.has(key));
  return JSON.stringify(JSON.parse(text), (_, value: unknown) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).filter(([key, inner]) => !keys.has(key) && !has(inner)));
  });
}
