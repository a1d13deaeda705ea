/** Provisional. */
export function defaultFilter(_architecture: string, _capabilities: readonly string[]): Uint8Array {
  return new Uint8Array();
}
