/** @module GET and HEAD /internal/file/read?path= (contract/runtime 3). */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { rawQueryValues } from '@atrium/hono-kit/raw-query'
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import { parseWorkspacePath, type WorkspacePath } from '@atrium/path-safety/workspace-path'
import { FILE_READ_PATH } from '@atrium/runtime-contract/file-transfer'
import { type Context, Hono } from 'hono'
import type { FilePlane } from '../../files/file-plane.ts'
import { serveFile } from '../../files/serve-file.ts'
import type { AppEnv } from '../env.ts'

export type FileReadDeps = { readonly clock: Clock; readonly files: FilePlane }

export function fileReadRoutes(deps: FileReadDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  // HEAD as well: Hono routes it here, and Node sends no body for it.
  app.get(FILE_READ_PATH, (c) => {
    const path = requestedPath(c)
    return rawExchange(c, (exchange) => serveFile(deps, path, exchange))
  })
  app.all(FILE_READ_PATH, () => {
    throw new AppError('method_not_allowed', { headers: { Allow: 'GET, HEAD' } })
  })
  return app
}

/** Lexical, in the contract's order (contract/runtime 3.1); what lies there is judged when opened. */
function requestedPath(c: Context<AppEnv>): WorkspacePath {
  const verdict = parseWorkspacePath(rawQueryValues(c, 'path'))
  if (!verdict.ok) throw new AppError(verdict.code)
  return verdict.path
}
