/** @module Which file or folder a request of the inspector names, by a path on the wire or in a session's folder. */
import { rawParameterValues, rawQueryValues } from '@atrium/hono-kit/raw-query'
import { AppError } from '@atrium/http-kit/app-error'
import {
  isSessionId,
  parseSessionPath,
  type SessionId,
  type SessionPath,
} from '@atrium/path-safety/session-path'
import {
  type FolderPath,
  parseFolderPath,
  parseWorkspacePath,
  type WorkspacePath,
} from '@atrium/path-safety/workspace-path'
import { SESSION_PARAMETER } from '@atrium/runtime-contract/file-inspection'
import type { QueryVerdict, ReadParameter } from '@atrium/runtime-contract/inspection-query'
import type { Context } from 'hono'
import type { AppEnv } from '../env.ts'

export type AskedSessionFile = { readonly session: SessionId; readonly path: SessionPath }
export type AskedFile = AskedSessionFile | { readonly path: WorkspacePath }
export type AskedFolder = AskedSessionFile | { readonly path: FolderPath }

/** Lexical: what lies there is judged when it is opened. Throws the verdict's code. */
export function askedFile(c: Context<AppEnv>): AskedFile {
  const session = askedSessionFile(c)
  if (session !== undefined) return session
  const verdict = parseWorkspacePath(rawQueryValues(c, 'path'))
  if (!verdict.ok) throw new AppError(verdict.code)
  return { path: verdict.path }
}

/** `askedFile` for what may be a folder; the roots and a session's folder itself are some. */
export function askedFolder(c: Context<AppEnv>): AskedFolder {
  const session = askedSessionFile(c)
  if (session !== undefined) return session
  const verdict = parseFolderPath(rawQueryValues(c, 'path'))
  if (!verdict.ok) throw new AppError(verdict.code)
  return { path: verdict.path }
}

/** Undefined when the request names no session. */
export function askedSessionFile(c: Context<AppEnv>): AskedSessionFile | undefined {
  const [session, ...others] = rawQueryValues(c, SESSION_PARAMETER)
  if (session === undefined) return undefined
  if (others.length > 0 || !isSessionId(session)) throw new AppError('invalid_session_id')
  const verdict = parseSessionPath(rawQueryValues(c, 'path'))
  if (!verdict.ok) throw new AppError(verdict.code, { message: verdict.message })
  return { session, path: verdict.path }
}

/** What the parser says of the query's values. Throws `invalid_query` in its words. */
export function askedQuery<Value>(
  c: Context<AppEnv>,
  parse: (read: ReadParameter) => QueryVerdict<Value>,
): Value {
  const verdict = parse((name) => rawParameterValues(c, name))
  if (!verdict.ok) throw new AppError('invalid_query', { message: verdict.message })
  return verdict.value
}
