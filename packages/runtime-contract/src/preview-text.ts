/**
 * @module Bytes of a file as text, or the verdict that they are none. Pure. A window may begin and
 * end anywhere: what is shown begins and ends between two characters, and a cut one is never a
 * reason to call text binary (contract/runtime 20.5). Here because the runtime and the platform's
 * job-control transport have to judge alike.
 */
import type { FilePreview, TextEncodingName } from './file-inspection.ts'
import type { ByteWindow } from './inspection-query.ts'

/** The longest character of any encoding here, and so what a window needs around itself. */
const MAX_CHARACTER_BYTES = 4
/** Of the beginning of a file: what says which encoding it has. */
export const SIGNATURE_BYTES = 2

/** What was read of a file in order to show a window of it. */
export type WindowBytes = {
  /** Those of `spanAround`, as far as they could be read. */
  readonly bytes: Buffer
  /** Where in the file `bytes` begins. */
  readonly position: number
  /** The first `SIGNATURE_BYTES` of the file. */
  readonly signature: Uint8Array
  readonly fileSize: number
}

/** Bytes of the file, as they were asked for; `offset` may lie behind its end. */
export type AskedWindow = { readonly offset: number; readonly limit: number }

export type WindowText = {
  readonly offset: number
  /** Greater than `offset` unless the end of the file was reached. */
  readonly nextOffset: number
  /** Undefined when the window is binary. */
  readonly shown?: {
    readonly encoding: TextEncodingName
    readonly text: string
    readonly lines: number
  }
}

/** What is asked for of a file of that size: `tail` is so many bytes before its end. */
export function askedWindow(window: ByteWindow, fileSize: number): AskedWindow {
  if ('offset' in window) return window
  return { offset: Math.max(0, fileSize - window.tail), limit: window.tail }
}

/** What has to be read in order to show it: the window, and a character on either side. */
export function spanAround({ offset, limit }: AskedWindow, fileSize: number): Span {
  const begin = Math.min(offset, fileSize)
  return {
    position: Math.max(0, begin - MAX_CHARACTER_BYTES),
    end: Math.min(begin + limit + 2 * MAX_CHARACTER_BYTES, fileSize),
  }
}

/** From a place in the file to another. */
export type Span = { readonly position: number; readonly end: number }

/** What was read as the answer of a preview; `path` and `version` are told as they are. */
export function filePreview(
  { path, version }: Pick<FilePreview, 'path' | 'version'>,
  read: WindowBytes,
  asked: AskedWindow,
): FilePreview {
  const { offset, nextOffset, shown } = decodeWindow(read, asked)
  return {
    path,
    size: read.fileSize,
    offset,
    next_offset: nextOffset,
    truncated: offset > 0 || nextOffset < read.fileSize,
    binary: shown === undefined,
    encoding: shown?.encoding ?? null,
    text: shown?.text ?? null,
    lines: shown?.lines ?? null,
    version,
  }
}

/**
 * The text that begins in the window, as much of it as fits, and one character at the least: a
 * client that follows `nextOffset` gets every character once and comes to an end. Binary is what is
 * not valid in its encoding, or holds a NUL.
 */
export function decodeWindow(read: WindowBytes, asked: AskedWindow): WindowText {
  const { encoding, codec } = encodingOf(read.signature)
  const offset = Math.min(asked.offset, read.fileSize)
  const known = { ...read, end: read.position + read.bytes.length }
  const start = codec.startOfCharacter(known, offset)
  const end = endOfText(codec, known, { start, limit: asked.limit })
  const text = codec.decode(known, start, end)
  if (text === undefined || text.includes('\0')) {
    return { offset, nextOffset: Math.min(offset + asked.limit, read.fileSize) }
  }
  return {
    offset: start,
    nextOffset: end,
    shown: { encoding, text, lines: countLines(text) },
  }
}

/** Positions are those of the file. */
type Known = WindowBytes & { readonly end: number }

type Codec = {
  /** `at`, or the end of the character that begins before it and goes on behind. */
  startOfCharacter(known: Known, at: number): number
  /** `at`, or the beginning of the character that goes on behind it. */
  cutBefore(known: Known, start: number, at: number): number
  /** How long the character at `at` says that it is. */
  lengthAt(known: Known, at: number): number
  /** Undefined when it is not valid. */
  decode(known: Known, start: number, end: number): string | undefined
}

function endOfText(codec: Codec, known: Known, { start, limit }: { start: number; limit: number }) {
  const asked = start + limit
  // At its end there is no next window that an incomplete character could be left for.
  if (asked >= known.fileSize) return known.fileSize
  const cut = codec.cutBefore(known, start, asked)
  return cut > start ? cut : Math.min(start + codec.lengthAt(known, start), known.fileSize)
}

/** Lines end with LF, alone or behind CR; what follows the last one is a line as well. */
function countLines(text: string): number {
  let lines = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines += 1
  return text === '' || text.endsWith('\n') ? lines : lines + 1
}

function encodingOf([first, second]: Uint8Array): { encoding: TextEncodingName; codec: Codec } {
  if (first === 0xff && second === 0xfe) return { encoding: 'utf-16le', codec: utf16(1) }
  if (first === 0xfe && second === 0xff) return { encoding: 'utf-16be', codec: utf16(0) }
  return { encoding: 'utf-8', codec: UTF8 }
}

/** 0 outside of what was read: no lead, no continuation, no surrogate. */
function byteAt({ bytes, position }: Known, at: number): number {
  return bytes[at - position] ?? 0
}

function isContinuation(byte: number): boolean {
  return byte >= 0x80 && byte < 0xc0
}

function utf8Length(lead: number): number {
  if (lead >= 0xf0) return 4
  if (lead >= 0xe0) return 3
  return lead >= 0xc0 ? 2 : 1
}

/** Where the character begins that goes on at `at`; `at` itself when none does. */
function utf8Across(known: Known, at: number): number {
  for (let back = 1; back < MAX_CHARACTER_BYTES; back += 1) {
    const byte = byteAt(known, at - back)
    if (!isContinuation(byte)) return utf8Length(byte) > back ? at - back : at
  }
  return at
}

/** A byte order mark stays in the text. */
const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const UTF8: Codec = {
  startOfCharacter(known, at) {
    const lead = utf8Across(known, at)
    const behind = lead + utf8Length(byteAt(known, lead))
    // One that the file ends in the middle of is nobody's to skip: it makes the end binary.
    if (lead === at || behind > known.fileSize) return at
    let start = at
    while (start < behind && isContinuation(byteAt(known, start))) start += 1
    return start
  },
  cutBefore: (known, start, at) => Math.max(start, utf8Across(known, at)),
  lengthAt: (known, at) => utf8Length(byteAt(known, at)),
  decode({ bytes, position }, start, end) {
    try {
      return STRICT_UTF8.decode(bytes.subarray(start - position, end - position))
    } catch {
      // It throws for one reason only: they are no UTF-8.
      return undefined
    }
  },
}

const UNIT_BYTES = 2
const BOM_BYTES = SIGNATURE_BYTES

/** `high` is which byte of a unit is the high one. */
function utf16(high: 0 | 1): Codec {
  // The upper six bits tell a surrogate, and which half of a pair it is.
  const kind = (known: Known, at: number): number => byteAt(known, at + high) & 0xfc
  const isHighHalf = (known: Known, at: number): boolean => kind(known, at) === 0xd8
  const isLowHalf = (known: Known, at: number): boolean =>
    at + UNIT_BYTES <= known.end && kind(known, at) === 0xdc
  return {
    startOfCharacter(known, at) {
      const unit = Math.min(at + (at % UNIT_BYTES), known.fileSize)
      const isInPair = isLowHalf(known, unit) && isHighHalf(known, unit - UNIT_BYTES)
      return isInPair ? unit + UNIT_BYTES : unit
    },
    cutBefore(known, start, at) {
      const unit = at - (at % UNIT_BYTES)
      if (unit <= start) return start
      return isHighHalf(known, unit - UNIT_BYTES) ? unit - UNIT_BYTES : unit
    },
    lengthAt: (known, at) => (isHighHalf(known, at) ? 2 * UNIT_BYTES : UNIT_BYTES),
    decode(known, start, end) {
      // The mark is of the file, and not of its text; it counts as shown with the first character.
      const first = Math.min(Math.max(start, BOM_BYTES), end)
      if ((end - first) % UNIT_BYTES !== 0) return undefined
      const units = known.bytes.subarray(first - known.position, end - known.position)
      const text = (high === 1 ? units : Buffer.from(units).swap16()).toString('utf16le')
      return text.isWellFormed() ? text : undefined
    },
  }
}
