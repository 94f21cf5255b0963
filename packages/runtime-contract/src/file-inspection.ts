/**
 * @module What the platform and the runtime agree on for looking into a workspace: routes, limits,
 * queries, shapes of answers (contract/runtime 20). Nothing here writes. A query is judged by both
 * sides with the functions below, so that their verdicts cannot differ.
 */
import type { ForwardOperation } from './file-transfer.ts'

export const FILE_LIST_PATH = '/internal/file/list'
export const FILE_PREVIEW_PATH = '/internal/file/preview'
export const FILE_ARCHIVE_PATH = '/internal/file/archive'
/** A window of a file as base64 in JSON: the contract's download of a session (20.3). */
export const FILE_CONTENT_PATH = '/internal/file/content'

/** Names the session whose folder `path` is relative to, on the routes above, archive excepted. */
export const SESSION_PARAMETER = 'session'
/** Sessions lie in `~/workspace/<session id>`; on the wire that is `/workspace/<session id>`. */
export const SESSIONS_ROOT = 'workspace'

/** contract/runtime 20.1 */
export const MAX_LIST_ENTRIES = 1000
export const DEFAULT_PREVIEW_BYTES = 262_144
export const MAX_PREVIEW_BYTES = 1_048_576
export const MAX_CONTENT_BYTES = 8_388_608

export const ENTRY_TYPES = ['file', 'dir', 'symlink', 'other'] as const
export type EntryType = (typeof ENTRY_TYPES)[number]

export type FolderEntry = {
  /** With U+FFFD in place of what is not UTF-8; `name_base64` has the bytes then, and no path does. */
  readonly name: string
  readonly name_base64?: string
  /** Of the entry itself: links are not followed. */
  readonly type: EntryType
  /** Bytes; of a link, of its target's name. */
  readonly size: number
  /** Whole seconds since 1970, rounded down. */
  readonly mtime: number
  /** Permission bits, `st_mode & 07777`. */
  readonly mode: number
}

/** Entries sorted by the bytes of their names, which is by code point. */
export type FolderPage = {
  readonly path: string
  readonly entries: readonly FolderEntry[]
  /** Whether there are more behind the last of these. */
  readonly truncated: boolean
  /** Where they begin; null when there are none. */
  readonly next_cursor: string | null
}

export type TextEncodingName = 'utf-8' | 'utf-16le' | 'utf-16be'

export type FilePreview = {
  readonly path: string
  /** Bytes of the whole file. */
  readonly size: number
  /** Where what is shown begins and ends, in bytes: never inside a character. */
  readonly offset: number
  readonly next_offset: number
  /** Whether anything of the file is not shown, before or behind. */
  readonly truncated: boolean
  readonly binary: boolean
  /** Null when binary, as is everything below. */
  readonly encoding: TextEncodingName | null
  readonly text: string | null
  /** Lines in `text`; one without an end counts. */
  readonly lines: number | null
  /** Opaque; another one means another or a changed file, so that windows do not belong together. */
  readonly version: string
}

export type FileContent = {
  readonly path: string
  readonly size: number
  readonly offset: number
  readonly truncated: boolean
  readonly content_base64: string
  readonly version: string
}

export const ARCHIVE_FORMATS = ['tar', 'tar.gz', 'zip'] as const
export type ArchiveFormat = (typeof ARCHIVE_FORMATS)[number]

export const ARCHIVE_MEDIA_TYPES: Readonly<Record<ArchiveFormat, string>> = {
  tar: 'application/x-tar',
  'tar.gz': 'application/gzip',
  zip: 'application/zip',
}

const JSON_ANSWER = ['content-length', 'retry-after'] as const

export const LIST_OPERATION: ForwardOperation = {
  name: 'list',
  path: FILE_LIST_PATH,
  methods: ['GET', 'HEAD'],
  requestHeaders: [],
  responseHeaders: JSON_ANSWER,
}

export const PREVIEW_OPERATION: ForwardOperation = {
  name: 'preview',
  path: FILE_PREVIEW_PATH,
  methods: ['GET', 'HEAD'],
  requestHeaders: [],
  responseHeaders: JSON_ANSWER,
}

export const CONTENT_OPERATION: ForwardOperation = {
  name: 'content',
  path: FILE_CONTENT_PATH,
  methods: ['GET', 'HEAD'],
  requestHeaders: [],
  responseHeaders: JSON_ANSWER,
}

/** No length: it is not known before the end. */
export const ARCHIVE_OPERATION: ForwardOperation = {
  name: 'archive',
  path: FILE_ARCHIVE_PATH,
  methods: ['GET', 'HEAD'],
  requestHeaders: [],
  responseHeaders: ['retry-after'],
}
