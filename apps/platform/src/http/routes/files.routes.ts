/** @module /workspaces/:id/files: looking into a workspace through its runtime (ADR-0041). */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { attachmentDisposition } from '@atrium/http-kit/content-disposition'
import type { FolderPath } from '@atrium/path-safety/workspace-path'
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
import { askedFile, askedFolder, askedQuery, assertShown } from '../inspection-request.ts'

const JSON_ANSWER = { 'content-type': 'application/json' } as const

/** Each GET answers HEAD as well: the forward repeats the client's method. */
export function filesRoutes(deps: DownloadDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.get('/files', (c) => {
    const path = askedFolder(c)
    const query = listQuery(askedQuery(c, parseListPage))
    return inspect(deps, c, { path, operation: LIST_OPERATION, query, ownHeaders: JSON_ANSWER })
  })
  app.get('/files/preview', (c) => {
    const path = askedFile(c)
    const query = windowQuery(askedQuery(c, parsePreviewWindow))
    return inspect(deps, c, { path, operation: PREVIEW_OPERATION, query, ownHeaders: JSON_ANSWER })
  })
  app.get('/files/archive', (c) => {
    const path = askedFolder(c)
    const format = askedQuery(c, parseArchiveFormat)
    const name = path.segments.at(-1) ?? path.root
    return inspect(deps, c, {
      path,
      operation: ARCHIVE_OPERATION,
      query: { format },
      ownHeaders: {
        'content-type': ARCHIVE_MEDIA_TYPES[format],
        'content-disposition': attachmentDisposition(`${name}.${format}`),
      },
    })
  })
  app.get('/files/download', downloadFile(deps))
  return app
}

type Inspection = Pick<Forward, 'operation' | 'ownHeaders'> & {
  readonly path: FolderPath
  readonly query: Readonly<Record<string, string>>
}

async function inspect(
  deps: DownloadDeps,
  c: Context<WorkspaceEnv>,
  { path, query, ...asked }: Inspection,
): Promise<Response> {
  assertShown(path)
  const target = await findForwardTarget(deps, c.get('workspaceId'))
  return rawExchange(c, (exchange) =>
    forwardToRuntime(deps, {
      ...asked,
      target,
      exchange,
      requestId: c.get('requestId'),
      query: { path: path.text, ...query },
    }),
  )
}
