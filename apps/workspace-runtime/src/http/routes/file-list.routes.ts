/** @module GET and HEAD /internal/file/list?path= (contract/runtime 20.3 and 20.6). */
import { type RawExchange, rawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { FILE_LIST_PATH } from '@atrium/runtime-contract/file-inspection'
import { type ListPage, parseListPage } from '@atrium/runtime-contract/inspection-query'
import { Hono } from 'hono'
import type { FilePlane } from '../../files/file-plane.ts'
import { listFolder, listSessionFolder } from '../../files/list-folder.ts'
import type { AppEnv } from '../env.ts'
import { answerJson } from './answer-json.ts'
import { type AskedFolder, askedFolder, askedQuery } from './asked-file.ts'

export type FileListDeps = { readonly files: FilePlane }

export function fileListRoutes(deps: FileListDeps): Hono<AppEnv> {
  const app = new Hono<AppEnv>()
  app.get(FILE_LIST_PATH, (c) => {
    const asked = askedFolder(c)
    const page = askedQuery(c, parseListPage)
    return rawExchange(c, (exchange) => answer(deps, { asked, page }, exchange))
  })
  app.all(FILE_LIST_PATH, () => {
    throw new AppError('method_not_allowed', { headers: { Allow: 'GET, HEAD' } })
  })
  return app
}

async function answer(
  { files }: FileListDeps,
  { asked, page }: { readonly asked: AskedFolder; readonly page: ListPage },
  exchange: RawExchange,
): Promise<void> {
  const listed =
    'session' in asked
      ? await listSessionFolder(files, asked, { page, signal: exchange.signal })
      : await listFolder(files, asked.path, { page, signal: exchange.signal })
  await answerJson(exchange, listed, files.idleTimeoutMs)
}
