/** Any path in a session, asked of a runtime and of a job-control host that see the same folder. */
import { dirname } from 'node:path'
import process from 'node:process'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findPython } from '../support/pseudo-terminals.ts'
import {
  type SessionScene,
  startRuntimeScene,
  startShellctlScene,
} from '../support/session-scene.ts'
import { LINKS, prepareSession, SESSION } from './session-inspector-contract.ts'

const PATHS = Number(process.env['ATRIUM_INSPECTOR_PATHS'] ?? 60)
/** Asked at once: as many as a host runs at once. */
const AT_ONCE = 4
const python = findPython()

const KNOWN = [
  ...['links', 'file', 'folder', 'further', 'around', 'absolute', 'above', 'beside', 'outside'],
  ...['loop', 'not-there', 'hidden', 'other-session', 'dir', 'sub', 'inner.txt', 'hello.txt'],
  ...['a..b', '~tilde', ' led ', 'in', ' file ', 'sorted', 'é', '😀', SESSION, '.', '..', ''],
  ...['\0', '\u001f', '\u007f', '%2e%2e', '\\', '$(x)', "'", '"', '-rf', '\ufeff', 'x'.repeat(256)],
]
const segment = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...KNOWN) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }) },
)
const anywhere = fc.array(segment, { maxLength: 6 })
/** What resolution is about, which chance alone would hardly meet. */
const throughLink = fc
  .tuple(fc.constantFrom(...Object.keys(LINKS)), fc.array(segment, { maxLength: 3 }))
  .map(([link, rest]) => ['links', link, ...rest])
const path = fc.oneof(anywhere, throughLink, throughLink).map((segments) => segments.join('/'))
const question = fc.record({ path, operation: fc.constantFrom('', '/preview', '/download') })

describe.skipIf(python === undefined)('a runtime and a job-control host', () => {
  let runtime: SessionScene
  let host: SessionScene

  beforeAll(async () => {
    runtime = await startRuntimeScene()
    host = await startShellctlScene(python ?? '', dirname(runtime.sessions))
    prepareSession(runtime.sessions)
  })
  afterAll(async () => {
    await host.expectQuiet()
    await host.stop()
    await runtime.stop()
  })

  it(
    `say the same of any path, and nothing from outside (${PATHS} paths)`,
    async () => {
      const questions = fc.array(question, { minLength: AT_ONCE, maxLength: AT_ONCE })
      const property = fc.asyncProperty(questions, async (asked) => {
        const [here, there] = await Promise.all([runtime, host].map((each) => told(each, asked)))
        expect(there).toEqual(here)
        for (const { status, body } of here ?? []) {
          expect(status).toBeLessThan(500)
          expect(JSON.stringify(body)).not.toMatch(/SECRET|U0VDUkVU|root:/)
        }
      })
      await fc.assert(property, { numRuns: Math.ceil(PATHS / AT_ONCE) })
    },
    60_000 + PATHS * 500,
  )
})

type Question = { readonly path: string; readonly operation: string }

/** Without what differs from run to run, and who refused: the platform, or the workspace. */
function told(scene: SessionScene, asked: readonly Question[]) {
  return Promise.all(
    asked.map(async ({ path: of, operation }) => {
      const answer = await scene.get(SESSION, operation, { path: of })
      const body = (await answer.json()) as Record<string, unknown>
      const { version, request_id, hop, ...rest } = body
      return { status: answer.status, body: rest }
    }),
  )
}
