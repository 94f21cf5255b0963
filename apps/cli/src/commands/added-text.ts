/** @module What a growing log gained between two looks at its end. */

/**
 * The part of `next` that comes after the longest end of `before` with which `next` begins. Two
 * windows of one log overlap like that; when they do not overlap at all, lines were missed.
 */
export function addedText(
  before: string,
  next: string,
): { readonly text: string; readonly hasGap: boolean } {
  if (before === '') return { text: next, hasGap: false }
  if (next.startsWith(before)) return { text: next.slice(before.length), hasGap: false }
  const overlap = longestOverlap(before, next)
  return { text: next.slice(overlap), hasGap: overlap === 0 && next !== '' }
}

/** Length of the longest suffix of `before` that is a prefix of `next` (Knuth, Morris, Pratt). */
function longestOverlap(before: string, next: string): number {
  // border[i]: length of the longest proper border of next[0..i].
  const border = new Uint32Array(next.length)
  for (let index = 1, length = 0; index < next.length; index += 1) {
    while (length > 0 && next[index] !== next[length]) length = border[length - 1] ?? 0
    if (next[index] === next[length]) length += 1
    border[index] = length
  }
  let matched = 0
  // By UTF-16 unit on both sides: iterating a string would step by code point.
  for (const unit of before.split('')) {
    while (matched > 0 && (matched === next.length || unit !== next[matched])) {
      matched = border[matched - 1] ?? 0
    }
    if (unit === next[matched]) matched += 1
  }
  return matched
}
