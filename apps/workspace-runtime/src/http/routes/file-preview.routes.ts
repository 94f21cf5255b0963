/** @module GET and HEAD /internal/file/preview?path= (contract/runtime 20.3 and 20.6). */
import { type RawExchange, rawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { FILE_PREVIEW_PATH } from '@atrium/runtime-contract/file-inspection'
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

async function answer(
  { files: { roots } }: FilePreviewDeps,
  { asked, window }: { readonly asked: AskedFile; readonly window: ByteWindow },
  { outgoing, signal }: RawExchange,
): Promise<void> {
  const isOfSession = 'session' in asked
  const path = isOfSession ? asked.path.echo : asked.path.text
  const file = isOfSession
    ? await roots.openSessionFile({ ...asked, signal })
    : await roots.open(asked.path, signal)
  try {
    const preview = await previewFile(file, { path, window }, signal)
    answerJson(outgoing, preview)
  } finally {
    file.close()
  }
}
