/**
 * @module What a request to look into a workspace asks for, judged by its text alone: before any
 * database access, and before the workspace hears of it. The runtime judges again.
 */

import { rawQueryValues } from '@atrium/hono-kit/raw-query'
import type { BaseEnv } from '@atrium/hono-kit/request-context'
import { AppError } from '@atrium/http-kit/app-error'
import { parseSessionPath, type SessionPath } from '@atrium/path-safety/session-path'
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

/** What `path` may name when a file is asked for. Throws its verdict's code, `file_not_found`. */
export function askedFile<E extends BaseEnv>(c: Context<E>): WorkspacePath {
  return admitted(parseWorkspacePath(rawQueryValues(c, 'path')))
}

/** The same for a folder, which may be a root. */
export function askedFolder<E extends BaseEnv>(c: Context<E>): FolderPath {
  return admitted(parseFolderPath(rawQueryValues(c, 'path')))
}

/** The same in the folder of a session. Throws `invalid_path`, `not_found` in the contract's words. */
export function askedInSession<E extends BaseEnv>(c: Context<E>): SessionPath {
  const verdict = parseSessionPath(rawQueryValues(c, 'path'))
  if (!verdict.ok) throw new AppError(verdict.code, { message: verdict.message })
  if (!isHiddenUploadTemporary(verdict.path)) return verdict.path
  throw new AppError('not_found', { message: 'path not found in workspace' })
}

/** Of what nobody may see it is not even said that it is there. */
function admitted<Path extends FolderPath>(verdict: Verdict<Path>): Path {
  if (!verdict.ok) throw new AppError(verdict.code)
  const { path } = verdict
  if (isSecretFile(path) || isHiddenUploadTemporary(path)) throw new AppError('file_not_found')
  return path
}

/** The rest of the query by one of the functions of `inspection-query`. Throws `invalid_query`. */
export function askedQuery<E extends BaseEnv, Value>(
  c: Context<E>,
  parse: (read: ReadParameter) => QueryVerdict<Value>,
): Value {
  const verdict = parse((name) => decodedValues(c, name))
  if (verdict.ok) return verdict.value
  throw new AppError('invalid_query', { message: verdict.message })
}

function decodedValues<E extends BaseEnv>(c: Context<E>, name: string): string[] {
  try {
    return rawQueryValues(c, name)
  } catch (cause) {
    throw new AppError('invalid_query', { message: `${name} cannot be decoded`, cause })
  }
}
