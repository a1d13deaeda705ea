/** A longer copy of a typed array. */
export function grown<T extends { set(from: T): void }>(make: new (length: number) => T, from: T, length: number): T {
  const to = new make(length);
  to.set(from);
  return to;
}
