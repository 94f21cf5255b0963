/** @module GET and HEAD /internal/file/preview?path= (contract/runtime 20.3 and 20.6). */
import { type RawExchange, rawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { FILE_PREVIEW_PATH, type FilePreview } from '@atrium/runtime-contract/file-inspection'
import { type ByteWindow, parsePreviewWindow } from '@atrium/runtime-contract/inspection-query'
import { Hono } from 'hono'
import type { FilePlane } from '../../files/file-plane.ts'
import { previewFile } from '../../files/preview-file.ts'
import type { AppEnv } from '../env.ts'
import { answerJson } from './answer-json.ts'
import { type AskedFile, askedFile, askedQuery } from './asked-file.ts'

export type FilePreviewDeps = { readonly files: FilePlane }

export function filePreviewRoutes(deps: FilePreviewDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get(FILE_PREVIEW_PATH, (c) => {
    const asked = askedFile(c)
    const window = askedQuery(c, parsePreviewWindow)
    return rawExchange(c, (exchange) => answer(deps, { asked, window }, exchange))
  })
  app.all(FILE_PREVIEW_PATH, () => {
    throw new AppError('method_not_allowed', { headers: { Allow: 'GET, HEAD' } })
  })
  return app
}

type Asked = { readonly asked: AskedFile; readonly window: ByteWindow }

async function answer(
  { files }: FilePreviewDeps,
  { asked, window }: Asked,
  exchange: RawExchange,
): Promise<void> {
  // A turn lasts until the client has the answer: what is held of it is several times the window.
  await files.previews.run(async () => {
    const preview = await readPreview(files, { asked, window }, exchange.signal)
    await answerJson(exchange, preview, files.idleTimeoutMs)
  }, exchange.signal)
}

async function readPreview(
  { roots }: FilePlane,
  { asked, window }: Asked,
  signal: AbortSignal,
): Promise<FilePreview> {
  const isOfSession = 'session' in asked
  const path = isOfSession ? asked.path.echo : asked.path.text
  const file = isOfSession
    ? await roots.openSessionFile({ ...asked, signal })
    : await roots.open(asked.path, signal)
  try {
    return await previewFile(file, { path, window }, signal)
  } finally {
    file.close()
  }
}
