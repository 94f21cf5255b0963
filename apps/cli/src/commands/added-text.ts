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
  const pattern = { text: next, border: bordersOf(next) }
  // By UTF-16 unit on both sides: iterating a string would step by code point.
  return before.split('').reduce((matched, unit) => extend(pattern, matched, unit), 0)
}

type Pattern = {
  readonly text: string
  /** border[i]: length of the longest proper border of text[0..i]. */
  readonly border: Uint32Array
}

function bordersOf(text: string): Uint32Array {
  const border = new Uint32Array(text.length)
  const pattern = { text, border }
  for (let index = 1; index < text.length; index += 1) {
    border[index] = extend(pattern, border[index - 1] ?? 0, text[index] ?? '')
  }
  return border
}

/** How much of the pattern is matched when `unit` follows where `matched` of it were. */
function extend({ text, border }: Pattern, matched: number, unit: string): number {
  let length = matched
  while (length > 0 && text[length] !== unit) length = border[length - 1] ?? 0
  return text[length] === unit ? length + 1 : 0
}
