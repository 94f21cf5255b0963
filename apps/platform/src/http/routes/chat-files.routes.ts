/** @module /workspaces/:id/chat/uploads and /chat/download (contract/platform 6.2, 6.3). */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { rawQueryValues } from '@atrium/hono-kit/raw-query'
import { AppError } from '@atrium/http-kit/app-error'
import { attachmentDisposition } from '@atrium/http-kit/content-disposition'
import { contentTypeFor } from '@atrium/http-kit/file-response'
import { isSecretFile, parseWorkspacePath } from '@atrium/path-safety/workspace-path'
import { DOWNLOAD_OPERATION, UPLOAD_OPERATION } from '@atrium/runtime-contract/file-transfer'
import { type Context, Hono } from 'hono'
import { type ForwardDeps, forwardToRuntime } from '../../services/forward-to-runtime.ts'
import {
  type ForwardTarget,
  type ForwardTargetDeps,
  findForwardTarget,
} from '../../services/resolve-forward-target.ts'
import type { WorkspaceEnv } from '../env.ts'

export type ChatFilesDeps = ForwardDeps & ForwardTargetDeps & { readonly maxRequestBytes: number }

export function chatFilesRoutes(deps: ChatFilesDeps): Hono<WorkspaceEnv> {
  const app = new Hono<WorkspaceEnv>()
  app.post('/chat/uploads', async (c) => {
    const bodyLimit = uploadLimit(deps.maxRequestBytes)
    const declared = Number(c.req.header('content-length') ?? 0)
    if (declared > bodyLimit.maxBytes) throw bodyLimit.exceeded()
    const target = await targetOf(deps, c)
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
  // GET answers HEAD as well: Hono routes it here, and the forward repeats the client's method.
  app.get('/chat/download', async (c) => {
    const path = downloadPath(c)
    const target = await targetOf(deps, c)
    return rawExchange(c, (exchange) =>
      forwardToRuntime(deps, {
        operation: DOWNLOAD_OPERATION,
        target,
        exchange,
        requestId: c.get('requestId'),
        query: { path: path.text },
        ownHeaders: {
          'content-type': contentTypeFor(path.fileName),
          'content-disposition': attachmentDisposition(path.fileName),
        },
      }),
    )
  })
  return app
}

async function targetOf(deps: ChatFilesDeps, c: Context<WorkspaceEnv>): Promise<ForwardTarget> {
  return findForwardTarget(deps, c.get('workspaceId'))
}

/** Lexical, before any database access (contract/platform 6.3); the runtime checks again. */
function downloadPath(c: Context<WorkspaceEnv>): { text: string; fileName: string } {
  // As a service worker's script a file could take over the origin (design/path-safety 5).
  if (c.req.header('service-worker') === 'script') throw new AppError('file_forbidden')
  const verdict = parseWorkspacePath(rawQueryValues(c, 'path'))
  if (!verdict.ok) throw new AppError(verdict.code)
  if (isSecretFile(verdict.path)) throw new AppError('file_not_found')
  return { text: verdict.path.text, fileName: verdict.path.segments.at(-1) ?? '' }
}

/** One limit for the declared and the real length, in the runtime's own words (contract/runtime 2.2). */
function uploadLimit(maxBytes: number) {
  const message = `request body exceeds total limit (${Math.floor(maxBytes / 1024 ** 2)} MB)`
  return {
    maxBytes,
    exceeded: () => new AppError('declared_length_exceeds_total', { message }),
  }
}
