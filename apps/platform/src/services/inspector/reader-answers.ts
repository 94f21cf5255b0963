/**
 * @module What the reader of a job-control host says, as the answers of the inspector. It runs where
 * the agent runs: nothing of it is believed that can be checked (contract/runtime 20.3, 20.4).
 */
import { AppError, type ErrorCode } from '@atrium/http-kit/app-error'
import { NO_FOLDER_TEXT, NOT_FOUND_TEXT } from '@atrium/path-safety/session-path'
import { tellName } from '@atrium/runtime-contract/entry-name'
import type {
  FileContent,
  FilePreview,
  FolderEntry,
  FolderPage,
} from '@atrium/runtime-contract/file-inspection'
import {
  type ByteWindow,
  encodeCursor,
  type ListPage,
} from '@atrium/runtime-contract/inspection-query'
import {
  askedWindow,
  filePreview,
  SIGNATURE_BYTES,
  spanAround,
} from '@atrium/runtime-contract/preview-text'
import { z } from 'zod'
import { lenientBoolean, lenientCount, lenientInteger } from '../../upstream/lenient-fields.ts'
import { type ReaderBlob, readerFailed } from './reader-output.ts'

/** contract/runtime 20.4; `undefined` stands for the words of the table. */
const READER_CODES: Readonly<Record<string, readonly [ErrorCode, string | undefined]>> = {
  workspace_not_found: ['workspace_not_found', NO_FOLDER_TEXT],
  not_found: ['not_found', NOT_FOUND_TEXT],
  path_escape: ['path_escape', undefined],
  not_a_directory: ['not_a_directory', undefined],
  is_a_directory: ['is_a_directory', undefined],
  not_a_regular_file: ['not_a_regular_file', undefined],
  file_forbidden: ['file_forbidden', undefined],
  stat_failed: ['stat_failed', undefined],
  bad_op: ['bad_op', undefined],
}

const refusal = z.object({ error: z.string().regex(/^[a-z0-9_]{1,64}$/) })
const base64 = z.base64().transform((text) => Buffer.from(text, 'base64'))
const version = z.string().regex(/^[0-9a-f-]{1,128}$/)

const listAnswer = z.object({
  entries: z.array(
    z.tuple([z.enum(['file', 'dir', 'symlink']), lenientCount, lenientInteger, lenientCount]),
  ),
  truncated: lenientBoolean,
  last: base64,
})
const fileAnswer = z.object({
  size: lenientCount,
  offset: lenientCount,
  position: lenientCount,
  version,
})
const previewAnswer = fileAnswer.extend({ signature: base64 })

/** Throws what the reader refused with: a code of 20.4, or `bad_op` with another code as its words. */
export function throwRefusal({ answer }: ReaderBlob): void {
  if (!('error' in answer)) return
  const refused = refusal.safeParse(answer)
  if (!refused.success) throw readerFailed('error is no code')
  const code = refused.data.error
  const known = Object.hasOwn(READER_CODES, code) ? READER_CODES[code] : undefined
  const [own, message] = known ?? (['bad_op', code] as const)
  throw new AppError(own, message === undefined ? {} : { message })
}

/** Throws `reader_failed`. */
export function folderPageOf(path: string, page: ListPage, blob: ReaderBlob): FolderPage {
  const { entries, truncated, last } = understood(listAnswer, blob)
  const names = blob.payload.length === 0 ? [] : namesOf(blob.payload)
  if (names.length !== entries.length || names.length > page.limit) {
    throw readerFailed('not as many names as entries')
  }
  // A client that follows cursors must come to an end, whatever the host is.
  const order = [page.after ?? Buffer.alloc(0), ...names]
  const isSorted = order.every((each, at) => at === 0 || isBefore(order[at - 1], each))
  const lastKnown = order.at(-1)
  if (!isSorted || (truncated && !isName(last))) throw readerFailed('names out of order')
  if (truncated && lastKnown !== undefined && isBefore(last, lastKnown)) {
    throw readerFailed('cursor out of order')
  }
  return {
    path,
    entries: entries.map(([type, size, mtime, mode], at): FolderEntry => {
      const name = names[at] ?? Buffer.alloc(0)
      return { ...tellName(name), type, size, mtime, mode: mode % 0o10000 }
    }),
    truncated,
    next_cursor: truncated ? encodeCursor(last) : null,
  }
}

/** Throws `reader_failed`. */
export function filePreviewOf(path: string, window: ByteWindow, blob: ReaderBlob): FilePreview {
  const answer = understood(previewAnswer, blob)
  const { size, offset, position, signature } = answer
  const asked = askedWindow(window, size)
  const span = spanAround(asked, size)
  const isWindow =
    offset === asked.offset &&
    position === span.position &&
    position + blob.payload.length === span.end &&
    signature.length === Math.min(SIGNATURE_BYTES, size)
  if (!isWindow) throw readerFailed('another window than was asked for')
  const read = { bytes: blob.payload, position, signature, fileSize: size }
  return filePreview({ path, version: answer.version }, read, asked)
}

/** Throws `reader_failed`. */
export function fileContentOf(
  path: string,
  window: { readonly offset: number; readonly limit: number },
  blob: ReaderBlob,
): FileContent {
  const { size, offset, position, version: state } = understood(fileAnswer, blob)
  const { payload } = blob
  const begin = Math.min(window.offset, size)
  const end = position + payload.length
  const isWindow =
    offset === window.offset && position === begin && end === Math.min(size, begin + window.limit)
  if (!isWindow) throw readerFailed('another window than was asked for')
  return {
    path,
    size,
    offset: position,
    truncated: end < size,
    content_base64: payload.toString('base64'),
    version: state,
  }
}

function understood<Schema extends z.ZodType>(schema: Schema, { answer }: ReaderBlob) {
  const parsed = schema.safeParse(answer)
  if (parsed.success) return parsed.data
  // The first of them: how many there are is the host's to say.
  throw readerFailed(`wrong field: ${parsed.error.issues[0]?.path.join('.')}`)
}

function namesOf(payload: Buffer): readonly Buffer[] {
  const names: Buffer[] = []
  for (let start = 0; start <= payload.length; ) {
    const end = payload.indexOf(0, start)
    const name = payload.subarray(start, end < 0 ? payload.length : end)
    if (!isName(name)) throw readerFailed('a name that no entry can have')
    names.push(name)
    start += name.length + 1
  }
  return names
}

const MAX_NAME_BYTES = 255
const NOT_A_NAME: ReadonlySet<string> = new Set(['', '.', '..'])

function isName(name: Buffer): boolean {
  const text = name.toString('latin1')
  return name.length <= MAX_NAME_BYTES && !NOT_A_NAME.has(text) && !/[/\0]/.test(text)
}

function isBefore(one: Buffer | undefined, other: Buffer): boolean {
  return one !== undefined && Buffer.compare(one, other) < 0
}
