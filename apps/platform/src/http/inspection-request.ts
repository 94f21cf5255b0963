/**
 * @module What a request to look into a workspace asks for, judged by its text alone: before any
 * database access, and before the workspace hears of it. The runtime judges again.
 */

import { rawParameterValues, rawQueryValues } from '@atrium/hono-kit/raw-query'
import type { BaseEnv } from '@atrium/hono-kit/request-context'
import { AppError } from '@atrium/http-kit/app-error'
import {
  NOT_FOUND_TEXT,
  parseSessionPath,
  type SessionPath,
} from '@atrium/path-safety/session-path'
import {
  type FolderPath,
  isHiddenUploadTemporary,
  isSecretFile,
  parseFolderPath,
  parseWorkspacePath,
  type Verdict,
  type WorkspacePath,
} from '@atrium/path-safety/workspace-path'
import type { QueryVerdict, ReadParameter } from '@atrium/runtime-contract/inspection-query'
import type { Context } from 'hono'

/** What `path` may name when a file is asked for. Throws its verdict's code. */
export function askedFile<E extends BaseEnv>(c: Context<E>): WorkspacePath {
  return accepted(parseWorkspacePath(rawQueryValues(c, 'path')))
}

/** The same for a folder, which may be a root. */
export function askedFolder<E extends BaseEnv>(c: Context<E>): FolderPath {
  return accepted(parseFolderPath(rawQueryValues(c, 'path')))
}

function accepted<Path extends FolderPath>(verdict: Verdict<Path>): Path {
  if (verdict.ok) return verdict.path
  throw new AppError(verdict.code)
}

/** The same in the folder of a session. Throws `invalid_path`, `not_found` in the contract's words. */
export function askedInSession<E extends BaseEnv>(c: Context<E>): SessionPath {
  const verdict = parseSessionPath(rawQueryValues(c, 'path'))
  if (verdict.ok) return verdict.path
  throw new AppError(verdict.code, { message: verdict.message })
}

/**
 * Of what nobody may see it is not even said that it is there. After everything else about the
 * request, as in the runtime, so that both say the same of one. Throws `file_not_found`.
 */
export function assertShown(path: FolderPath): void {
  if (isSecretFile(path) || isHiddenUploadTemporary(path)) throw new AppError('file_not_found')
}

/** The same in the folder of a session, in its words. Throws `not_found`. */
export function assertShownInSession(path: SessionPath): void {
  if (!isHiddenUploadTemporary(path)) return
  throw new AppError('not_found', { message: NOT_FOUND_TEXT })
}

/** The rest of the query by one of the functions of `inspection-query`. Throws `invalid_query`. */
export function askedQuery<E extends BaseEnv, Value>(
  c: Context<E>,
  parse: (read: ReadParameter) => QueryVerdict<Value>,
): Value {
  const verdict = parse((name) => rawParameterValues(c, name))
  if (verdict.ok) return verdict.value
  throw new AppError('invalid_query', { message: verdict.message })
}
