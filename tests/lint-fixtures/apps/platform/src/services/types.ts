export function first(list: readonly string[]): unknown[] {
  const found: unknown[] = [list.length]
  found.push(list[0]!) // <- lint/style/noNonNullAssertion
  found.push(list as unknown) // <- lint/nursery/noUnsafeTypeAssertion
  return found
}
