/**
 * @module Paths of a session's folder, `~/workspace/<session id>`: relative, lenient about empty
 * and `.` segments, and judged in two stages of which this is the first (contract/runtime 20.2).
 * Platform, runtime and the reader of a job-control host are asked with what passes here.
 */
import { MAX_PATH_BYTES, MAX_SEGMENT_BYTES } from './workspace-path.ts'

const CHECKED: unique symbol = Symbol('checked')

/** The contract's words for what is not there (20.4): a path, and the folder of the session. */
export const NOT_FOUND_TEXT = 'path not found in workspace'
export const NO_FOLDER_TEXT = 'workspace does not exist'

/** Seven digits of lower-case hex (contract/runtime 20.1). */
export type SessionId = string & { readonly [CHECKED]: 'session id' }

export const SESSION_ID = /^[0-9a-f]{7}$/

export function isSessionId(text: string): text is SessionId {
  return SESSION_ID.test(text)
}

/** A path that passed `parseSessionPath`, and nothing else. */
export type SessionPath = {
  /** What answers repeat as `path`: trimmed, `.` for the folder itself, otherwise as it was asked for. */
  readonly echo: string
  /** None empty, `.` or `..`; none at all for the session's folder itself. */
  readonly segments: readonly string[]
  readonly [CHECKED]: 'session path'
}

export type SessionPathVerdict =
  | { readonly ok: true; readonly path: SessionPath }
  | {
      readonly ok: false
      /** `not_found`: no file system here can have it. Codes of `ERROR_TABLE`. */
      readonly code: 'invalid_path' | 'not_found'
      /** The contract's words. */
      readonly message: string
    }

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses.
const CONTROL_CHARACTER = /[\u0000-\u001f]/

function invalid(message: string): SessionPathVerdict {
  return { ok: false, code: 'invalid_path', message }
}

/**
 * Judges the `path` query parameter, given as all the values it was sent with; none is the folder
 * itself. The order of the checks is the contract's. A name with blanks around it, or with a `~` in
 * front, is reached as `./ name /` and `./~name`. Must be decoded exactly once. Never throws.
 */
export function parseSessionPath(values: readonly string[]): SessionPathVerdict {
  if (values.length > 1) return invalid('path must be given once')
  const text = (values[0] ?? '').trim()
  if (text.startsWith('/') || text.startsWith('~')) {
    return invalid('path must be relative to the workspace')
  }
  if (CONTROL_CHARACTER.test(text)) return invalid('path contains control characters')
  const segments = text.split('/').filter((segment) => segment !== '' && segment !== '.')
  if (segments.includes('..')) return invalid('path must not traverse outside the workspace')
  if (isTooLong(text) || !segments.every(fitsInName)) {
    return { ok: false, code: 'not_found', message: NOT_FOUND_TEXT }
  }
  const isFolderItself = text === '' || text === './'
  return {
    ok: true,
    path: { echo: isFolderItself ? '.' : text, segments, [CHECKED]: 'session path' },
  }
}

const UTF8 = new TextEncoder()

function isTooLong(text: string): boolean {
  return UTF8.encode(text).byteLength > MAX_PATH_BYTES
}

function fitsInName(segment: string): boolean {
  return UTF8.encode(segment).byteLength <= MAX_SEGMENT_BYTES
}
