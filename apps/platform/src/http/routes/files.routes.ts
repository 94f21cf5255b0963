/** @module /workspaces/:id/files: looking into a workspace through its runtime (ADR-0041). */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { attachmentDisposition } from '@atrium/http-kit/content-disposition'
import {
  ARCHIVE_MEDIA_TYPES,
  ARCHIVE_OPERATION,
  LIST_OPERATION,
  PREVIEW_OPERATION,
} from '@atrium/runtime-contract/file-inspection'
import {
  parseArchiveFormat,
  parseListPage,
  parsePreviewWindow,
} from '@atrium/runtime-contract/inspection-query'
import { type Context, Hono } from 'hono'
import { type Forward, forwardToRuntime } from '../../services/forward-to-runtime.ts'
import { listQuery, windowQuery } from '../../services/inspector/forwarded-query.ts'
import { findForwardTarget } from '../../services/resolve-forward-target.ts'
import { type DownloadDeps, downloadFile } from '../download-file.ts'
import type { WorkspaceEnv } from '../env.ts'
import { askedFile, askedFolder, askedQuery } from '../inspection-request.ts'

const JSON_ANSWER = { 'content-type': 'application/json' } as const

/** Each GET answers HEAD as well: the forward repeats the client's method. */
export function filesRoutes(deps: DownloadDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.get('/files', (c) => {
    const { text: path } = askedFolder(c)
    const query = { path, ...listQuery(askedQuery(c, parseListPage)) }
    return inspect(deps, c, { operation: LIST_OPERATION, query, ownHeaders: JSON_ANSWER })
  })
  app.get('/files/preview', (c) => {
    const { text: path } = askedFile(c)
    const query = { path, ...windowQuery(askedQuery(c, parsePreviewWindow)) }
    return inspect(deps, c, { operation: PREVIEW_OPERATION, query, ownHeaders: JSON_ANSWER })
  })
  app.get('/files/archive', (c) => {
    const folder = askedFolder(c)
    const format = askedQuery(c, parseArchiveFormat)
    const name = folder.segments.at(-1) ?? folder.root
    return inspect(deps, c, {
      operation: ARCHIVE_OPERATION,
      query: { path: folder.text, format },
      ownHeaders: {
        'content-type': ARCHIVE_MEDIA_TYPES[format],
        'content-disposition': attachmentDisposition(`${name}.${format}`),
      },
    })
  })
  app.get('/files/download', downloadFile(deps))
  return app
}

async function inspect(
  deps: DownloadDeps,
  c: Context<WorkspaceEnv>,
  asked: Pick<Forward, 'operation' | 'query' | 'ownHeaders'>,
): Promise<Response> {
  const target = await findForwardTarget(deps, c.get('workspaceId'))
  return rawExchange(c, (exchange) =>
    forwardToRuntime(deps, { ...asked, target, exchange, requestId: c.get('requestId') }),
  )
}
