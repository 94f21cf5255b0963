/** @module GET and HEAD /internal/file/content?session=&path= (contract/runtime 20.3, download). */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { FILE_CONTENT_PATH } from '@atrium/runtime-contract/file-inspection'
import { parseContentWindow } from '@atrium/runtime-contract/inspection-query'
import { type Context, Hono } from 'hono'
import type { FilePlane } from '../../files/file-plane.ts'
import { serveContent } from '../../files/serve-content.ts'
import type { AppEnv } from '../env.ts'
import { type AskedSessionFile, askedQuery, askedSessionFile } from './asked-file.ts'

export type FileContentDeps = { readonly files: FilePlane }

export function fileContentRoutes({ files }: FileContentDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get(FILE_CONTENT_PATH, (c) => {
    const { session, path } = requiredSessionFile(c)
    const window = askedQuery(c, parseContentWindow)
    return rawExchange(c, async (exchange) => {
      const file = await files.roots.openSessionFile({ session, path, signal: exchange.signal })
      try {
        await serveContent(files, file, { path: path.echo, window, exchange })
      } finally {
        file.close()
      }
    })
  })
  app.all(FILE_CONTENT_PATH, () => {
    throw new AppError('method_not_allowed', { headers: { Allow: 'GET, HEAD' } })
  })
  return app
}

/** Files that are no session's are read at `/internal/file/read`: without base64 and without an end. */
function requiredSessionFile(c: Context<AppEnv>): AskedSessionFile {
  const asked = askedSessionFile(c)
  if (asked === undefined) throw new AppError('invalid_query', { message: 'session is required' })
  return asked
}
