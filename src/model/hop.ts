/** A hop: a place where a packet can be seen. Written `node:interface`. */
export interface Hop {
  readonly node: string;
  readonly interface: string;
  /** Index of the interface in its namespace, to tell sightings of an `any` tap apart. */
  readonly index: number;
  readonly kind: "physical" | "veth" | "bridge" | "other";
  /** Link-layer address, tells which way a frame went. */
  readonly mac?: string;
}

/** `host:eth0`. The one spelling in output, saved traces and errors. */
export function hopName(hop: { readonly node: string; readonly interface: string }): string {
  return `${hop.node}:${hop.interface}`;
}
