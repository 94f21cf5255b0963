/** @module The queries of the inspector's routes, judged alike on both sides (H15). */
import {
  ARCHIVE_FORMATS,
  type ArchiveFormat,
  DEFAULT_PREVIEW_BYTES,
  MAX_CONTENT_BYTES,
  MAX_LIST_ENTRIES,
  MAX_PREVIEW_BYTES,
} from './file-inspection.ts'

/** All the values that a parameter was sent with, decoded once. */
export type ReadParameter = (name: string) => readonly string[]

/** `message` is for the client, with the code `invalid_query`. */
export type QueryVerdict<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly message: string }

export type ListPage = {
  readonly limit: number
  /** The bytes of the name behind which the page begins. */
  readonly after: Buffer | undefined
}

/** Bytes of a file: from `offset` on, or the last `tail`. */
export type ByteWindow =
  | { readonly offset: number; readonly limit: number }
  | { readonly tail: number }

class QueryRefusal extends Error {}

/** `limit`: 1 to 1000, 1000 unless given; `cursor`: the `next_cursor` of the page before. */
export function parseListPage(read: ReadParameter): QueryVerdict<ListPage> {
  return judge(() => {
    const limit = wholeNumber(read, 'limit', { min: 1, max: MAX_LIST_ENTRIES }) ?? MAX_LIST_ENTRIES
    const cursor = single(read, 'cursor')
    return { limit, after: cursor === undefined ? undefined : decodeCursor(cursor) }
  })
}

/** `offset` and `limit`, or `tail`; in bytes. 256 KiB from the beginning unless given. */
export function parsePreviewWindow(read: ReadParameter): QueryVerdict<ByteWindow> {
  return judge(() => {
    const size = { min: 1, max: MAX_PREVIEW_BYTES }
    const tail = wholeNumber(read, 'tail', size)
    const offset = wholeNumber(read, 'offset', { min: 0, max: Number.MAX_SAFE_INTEGER })
    const limit = wholeNumber(read, 'limit', size)
    if (tail === undefined) return { offset: offset ?? 0, limit: limit ?? DEFAULT_PREVIEW_BYTES }
    if (offset === undefined && limit === undefined) return { tail }
    throw new QueryRefusal('tail goes without offset and limit')
  })
}

/** `offset`; always as much as an answer may hold. */
export function parseContentWindow(
  read: ReadParameter,
): QueryVerdict<{ readonly offset: number; readonly limit: number }> {
  return judge(() => ({
    offset: wholeNumber(read, 'offset', { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? 0,
    limit: MAX_CONTENT_BYTES,
  }))
}

export function parseArchiveFormat(read: ReadParameter): QueryVerdict<ArchiveFormat> {
  return judge(() => {
    const asked = single(read, 'format') ?? 'tar'
    const format = ARCHIVE_FORMATS.find((each) => each === asked)
    if (format !== undefined) return format
    throw new QueryRefusal(`format must be one of ${ARCHIVE_FORMATS.join(', ')}`)
  })
}

/** The name itself: good for as long as names sort alike, whatever comes and goes meanwhile. */
export function encodeCursor(name: Buffer): string {
  return name.toString('base64url')
}

const MAX_NAME_BYTES = 255

function decodeCursor(cursor: string): Buffer {
  const name = Buffer.from(cursor, 'base64url')
  const isName =
    name.length > 0 && name.length <= MAX_NAME_BYTES && !/[/\0]/.test(name.toString('latin1'))
  // A cursor is spelled in one way only: Node's decoder skips over what it does not know.
  if (isName && encodeCursor(name) === cursor) return name
  throw new QueryRefusal('cursor must be the next_cursor of a page of this folder')
}

function judge<Value>(read: () => Value): QueryVerdict<Value> {
  try {
    return { ok: true, value: read() }
  } catch (error) {
    if (error instanceof QueryRefusal) return { ok: false, message: error.message }
    throw error
  }
}

function single(read: ReadParameter, name: string): string | undefined {
  const values = read(name)
  if (values.length > 1) throw new QueryRefusal(`${name} must be given once`)
  return values[0]
}

function wholeNumber(
  read: ReadParameter,
  name: string,
  { min, max }: { readonly min: number; readonly max: number },
): number | undefined {
  const text = single(read, name)
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^\d{1,16}$/.test(text) && value >= min && value <= max) return value
  throw new QueryRefusal(`${name} must be a whole number from ${min} to ${max}`)
}
