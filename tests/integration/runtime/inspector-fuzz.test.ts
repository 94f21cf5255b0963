import { isUtf8 } from 'node:buffer'
import { Agent } from 'node:http'
import { isSessionId, parseSessionPath } from '@atrium/path-safety/session-path'
import { parseFolderPath, parseWorkspacePath } from '@atrium/path-safety/workspace-path'
import {
  FILE_CONTENT_PATH,
  FILE_LIST_PATH,
  FILE_PREVIEW_PATH,
} from '@atrium/runtime-contract/file-inspection'
import { FILE_READ_PATH } from '@atrium/runtime-contract/file-transfer'
import {
  parseContentWindow,
  parseListPage,
  parsePreviewWindow,
} from '@atrium/runtime-contract/inspection-query'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  anyRequest,
  type FuzzedRequest,
  makeFuzzedTree,
  OUTSIDE_MARK,
  toldBy,
} from '../../support/inspector-arbitraries.ts'
import { errorCode } from '../../support/raw-client.ts'
import { runtime, shareRuntime } from '../../support/shared-runtime.ts'

// 100,000 for the acceptance run.
const PATHS = Number(process.env['ATRIUM_INSPECTOR_PATHS'] ?? 1_000)
/** What nothing here takes: a FIFO that is opened takes for ever. */
const HANG_MS = 10_000

const ROUTES = {
  list: FILE_LIST_PATH,
  preview: FILE_PREVIEW_PATH,
  content: FILE_CONTENT_PATH,
  read: FILE_READ_PATH,
} as const

/** Codes that only a path's text can have earned. */
const LEXICAL_CODES: readonly unknown[] = [
  'path_required',
  'path_not_absolute',
  'path_outside_roots',
  'invalid_path',
  'invalid_session_id',
  'invalid_query',
]

shareRuntime()

const agent = new Agent({ keepAlive: true, maxSockets: 1 })

beforeAll(() => makeFuzzedTree(runtime))
afterAll(() => agent.destroy())

function targetOf({ operation, session, paths, window }: FuzzedRequest): string {
  const percent = (bytes: Buffer): string => bytes.toString('hex').replace(/../g, '%$&')
  const pairs = [
    ...(session === undefined ? [] : [`session=${encodeURIComponent(session)}`]),
    ...paths.map((path) => `path=${percent(path)}`),
    ...Object.entries(window).map(([name, value]) => `${name}=${encodeURIComponent(value)}`),
  ]
  return `${ROUTES[operation]}?${pairs.join('&')}`
}

/** The code that the functions which the platform asks as well refuse the request with. */
function lexicalVerdict(request: FuzzedRequest): string | undefined {
  const { operation, paths } = request
  const isOfSession = operation !== 'read' && request.session !== undefined
  if (isOfSession && !isSessionId(request.session)) return 'invalid_session_id'
  if (!paths.every((path) => isUtf8(path))) return 'invalid_path'
  const texts = paths.map(String)
  const parseAbsolute = operation === 'list' ? parseFolderPath : parseWorkspacePath
  const verdict = isOfSession ? parseSessionPath(texts) : parseAbsolute(texts)
  return verdict.ok ? windowVerdict(request) : verdict.code
}

function windowVerdict({ operation, window }: FuzzedRequest): string | undefined {
  if (operation === 'read') return undefined
  const parse = { list: parseListPage, preview: parsePreviewWindow, content: parseContentWindow }
  const verdict = parse[operation]((name) => {
    const value = window[name]
    return value === undefined ? [] : [value]
  })
  return verdict.ok ? undefined : 'invalid_query'
}

describe('the inspector, asked for anything', () => {
  it(
    'refuses what its text forbids by that code, fails never, and shows nothing from outside',
    async () => {
      const met = new Map<string, number>()
      async function judge(request: FuzzedRequest): Promise<void> {
        const headers = { authorization: `Bearer ${runtime.secret}` }
        const answer = await runtime.call(targetOf(request), { headers, agent })
        const code = answer.status === 200 ? 'served' : errorCode(answer)
        const lexical = lexicalVerdict(request)
        met.set(`${code}`, (met.get(`${code}`) ?? 0) + 1)
        expect([answer.status < 500, answer.isComplete]).toEqual([true, true])
        if (lexical !== undefined) expect(code).toBe(lexical)
        else expect(LEXICAL_CODES).not.toContain(code)
        if (answer.status !== 200) return
        const told = toldBy(answer)
        expect(told.includes(OUTSIDE_MARK) || told.includes(runtime.secret)).toBe(false)
        expect(told).not.toContain('root:x:0:')
      }
      await fc.assert(fc.asyncProperty(anyRequest, judge), {
        numRuns: PATHS,
        timeout: HANG_MS,
      })
      process.stdout.write(`fuzz: ${JSON.stringify(Object.fromEntries(met))}\n`)
      // The generator reaches what it is for.
      for (const code of ['served', 'path_escape', 'not_found', 'not_a_regular_file']) {
        expect(met.get(code), code).toBeGreaterThan(PATHS / 100)
      }
    },
    60_000 + PATHS * 20,
  )
})
