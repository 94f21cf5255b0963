/** @module POST /internal/chat/uploads/ingest (contract/runtime 2). */
import { rawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { FILE_SECURITY_HEADERS } from '@atrium/http-kit/file-response'
import { INGEST_PATH } from '@atrium/runtime-contract/file-transfer'
import { Hono } from 'hono'
import type { FilePlane } from '../../files/file-plane.ts'
import { ingestUpload } from '../../files/ingest-upload.ts'
import type { AppEnv } from '../env.ts'

export type ChatUploadsDeps = { readonly files: FilePlane }

export function chatUploadsRoutes(deps: ChatUploadsDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.post(INGEST_PATH, (c) =>
    rawExchange(c, async ({ incoming, outgoing, signal }) => {
      const files = await ingestUpload(deps.files, { incoming, signal })
      outgoing.writeHead(200, { ...FILE_SECURITY_HEADERS, 'Content-Type': 'application/json' })
      outgoing.end(JSON.stringify({ files }))
    }),
  )
  app.all(INGEST_PATH, () => {
    throw new AppError('method_not_allowed', { headers: { Allow: 'POST' } })
  })
  return app
}
