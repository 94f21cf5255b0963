/** @module The one handler that hands out a file of a workspace, under whichever name it is asked for. */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { attachmentDisposition } from '@atrium/http-kit/content-disposition'
import { contentTypeFor } from '@atrium/http-kit/file-response'
import { DOWNLOAD_OPERATION } from '@atrium/runtime-contract/file-transfer'
import type { Context } from 'hono'
import { type ForwardDeps, forwardToRuntime } from '../services/forward-to-runtime.ts'
import { type ForwardTargetDeps, findForwardTarget } from '../services/resolve-forward-target.ts'
import type { WorkspaceEnv } from './env.ts'
import { askedFile, assertShown } from './inspection-request.ts'

export type DownloadDeps = ForwardDeps & ForwardTargetDeps

/** GET answers HEAD as well: Hono routes it here, and the forward repeats the client's method. */
export function downloadFile(deps: DownloadDeps) {
  return async (c: Context<WorkspaceEnv>): Promise<Response> => {
    // As a service worker's script a file could take over the origin (design/path-safety 5).
    if (c.req.header('service-worker') === 'script') throw new AppError('file_forbidden')
    const path = askedFile(c)
    assertShown(path)
    const fileName = path.segments.at(-1) ?? ''
    const target = await findForwardTarget(deps, c.get('workspaceId'))
    return rawExchange(c, (exchange) =>
      forwardToRuntime(deps, {
        operation: DOWNLOAD_OPERATION,
        target,
        exchange,
        requestId: c.get('requestId'),
        query: { path: path.text },
        ownHeaders: {
          'content-type': contentTypeFor(fileName),
          'content-disposition': attachmentDisposition(fileName),
        },
      }),
    )
  }
}
