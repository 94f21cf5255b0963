/** @module Which bytes a Range header asks for (RFC 9110 s14). One range only, as `bytes`. */

export type ByteRange = { readonly first: number; readonly last: number }
export type RangeVerdict = ByteRange | 'whole' | 'unsatisfiable'

// A list is answered in full: "A server MAY ignore the Range header field" (s14.2).
const SINGLE_RANGE = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i

/**
 * Judges a Range header against a file of `size` bytes. Malformed and multiple ranges count as
 * absent. A suffix longer than the file is the whole file as a part (s14.1.2). Of an empty file
 * there is no part to send: asked from its start it is answered whole.
 */
export function parseByteRange(header: string | undefined, size: number): RangeVerdict {
  const match = header === undefined ? null : SINGLE_RANGE.exec(header)
  if (match === null) return 'whole'
  const [, firstText = '', lastText = ''] = match
  if (firstText === '') return suffix(lastText, size)
  const first = Number(firstText)
  const last = lastText === '' ? Number.POSITIVE_INFINITY : Number(lastText)
  // s14.1.1: "An int-range is invalid if the last-pos value is present and less than first-pos."
  if (last < first) return 'whole'
  if (size === 0 && first === 0) return 'whole'
  if (first >= size) return 'unsatisfiable'
  return { first, last: Math.min(last, size - 1) }
}

function suffix(lengthText: string, size: number): RangeVerdict {
  if (lengthText === '') return 'whole'
  const length = Number(lengthText)
  if (length === 0) return 'unsatisfiable'
  if (size === 0) return 'whole'
  return { first: Math.max(0, size - length), last: size - 1 }
}
