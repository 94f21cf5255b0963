/** @module /workspaces/:id/chat/uploads and /chat/download (contract/platform 6.2, 6.3). */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { UPLOAD_OPERATION } from '@atrium/runtime-contract/file-transfer'
import { Hono } from 'hono'
import { forwardToRuntime } from '../../services/forward-to-runtime.ts'
import { findForwardTarget } from '../../services/resolve-forward-target.ts'
import { type DownloadDeps, downloadFile } from '../download-file.ts'
import type { WorkspaceEnv } from '../env.ts'

export type ChatFilesDeps = DownloadDeps & { readonly maxRequestBytes: number }

export function chatFilesRoutes(deps: ChatFilesDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.post('/chat/uploads', async (c) => {
    const bodyLimit = uploadLimit(deps.maxRequestBytes)
    const declared = Number(c.req.header('content-length') ?? 0)
    if (declared > bodyLimit.maxBytes) throw bodyLimit.exceeded()
    const target = await findForwardTarget(deps, c.get('workspaceId'))
    return rawExchange(c, (exchange) =>
      forwardToRuntime(deps, {
        operation: UPLOAD_OPERATION,
        target,
        exchange,
        requestId: c.get('requestId'),
        bodyLimit,
        ownHeaders: { 'content-type': 'application/json' },
      }),
    )
  })
  app.get('/chat/download', downloadFile(deps))
  return app
}

/** One limit for the declared and the real length, in the runtime's own words (contract/runtime 2.2). */
function uploadLimit(maxBytes: number) {
  const message = `request body exceeds total limit (${Math.floor(maxBytes / 1024 ** 2)} MB)`
  return {
    maxBytes,
    exceeded: () => new AppError('declared_length_exceeds_total', { message }),
  }
}
