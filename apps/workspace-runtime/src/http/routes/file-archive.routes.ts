/** @module GET and HEAD /internal/file/archive?path=&format= (contract/runtime 20.6, ADR-0043). */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { rawQueryValues } from '@atrium/hono-kit/raw-query'
import { AppError } from '@atrium/http-kit/app-error'
import { parseFolderPath } from '@atrium/path-safety/workspace-path'
import { FILE_ARCHIVE_PATH } from '@atrium/runtime-contract/file-inspection'
import { parseArchiveFormat } from '@atrium/runtime-contract/inspection-query'
import { type Context, Hono } from 'hono'
import type { FilePlane } from '../../files/file-plane.ts'
import { type ArchiveRequest, serveArchive } from '../../files/serve-archive.ts'
import type { AppEnv } from '../env.ts'
import { askedQuery } from './asked-file.ts'

export type FileArchiveDeps = { readonly files: FilePlane }

export function fileArchiveRoutes(deps: FileArchiveDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  // HEAD as well: Hono routes it here, and nothing is walked for it.
  app.get(FILE_ARCHIVE_PATH, (c) => {
    const request = requested(c)
    return rawExchange(c, (exchange) => serveArchive(deps.files, request, exchange))
  })
  app.all(FILE_ARCHIVE_PATH, () => {
    throw new AppError('method_not_allowed', { headers: { Allow: 'GET, HEAD' } })
  })
  return app
}

/** Lexical; what lies there is judged when it is opened. */
function requested(c: Context<AppEnv>): ArchiveRequest {
  const path = parseFolderPath(rawQueryValues(c, 'path'))
  if (!path.ok) throw new AppError(path.code)
  return { path: path.path, format: askedQuery(c, parseArchiveFormat) }
}
