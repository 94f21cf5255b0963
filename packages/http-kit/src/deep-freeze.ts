/** @module A configuration that nobody can change after it was read (H27). */

/** Freezes an object with everything below it, and returns it. */
export function deepFreeze<T extends object>(value: T): T {
  for (const nested of Object.values(value)) {
    // A typed array cannot be frozen; it is only ever read.
    if (typeof nested === 'object' && nested !== null && !ArrayBuffer.isView(nested)) {
      deepFreeze(nested)
    }
  }
  return Object.freeze(value)
}
