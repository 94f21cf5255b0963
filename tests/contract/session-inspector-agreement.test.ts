/** Anything at all, asked of a runtime and of a job-control host that see the same folder. */
import { rmSync } from 'node:fs'
import { Agent } from 'node:http'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  anySessionRequest,
  FUZZED_SESSION,
  type FuzzedRequest,
  makeFuzzedTree,
  OUTSIDE_MARK,
  toldBy,
} from '../support/inspector-arbitraries.ts'
import { ADMIN_TOKEN } from '../support/platform-harness.ts'
import { findPython } from '../support/pseudo-terminals.ts'
import { type Answer, send } from '../support/raw-client.ts'
import { type RuntimeHarness, startRuntimeHarness } from '../support/runtime-harness.ts'
import { type ShellctlScene, startShellctlScene } from '../support/session-scene.ts'

// 100,000 for the acceptance run.
const PATHS = Number(process.env['ATRIUM_INSPECTOR_PATHS'] ?? 40)
/** At once: a workspace has four jobs, and while they run the next ones should wait already. */
const BATCH = 8
/** A reader that waits for somebody takes 20 s for the first window alone. */
const HANG_MS = 15_000
const PROGRESS = 2_000

const ROUTES = { list: '', preview: '/preview', content: '/download', read: undefined } as const

const python = findPython()

describe.skipIf(python === undefined)('a runtime and a job-control host', () => {
  let scene: ShellctlScene
  let runtime: RuntimeHarness
  let near = ''
  const agent = new Agent({ keepAlive: true, maxSockets: 2 * BATCH })

  beforeAll(async () => {
    scene = await startShellctlScene(python ?? '')
    // The very same folder: what is told of it may not differ in a byte.
    let secret = ''
    const acceptedSecrets = () => [secret]
    runtime = await startRuntimeHarness({ base: scene.server.home, acceptedSecrets })
    const workspace = await scene.platform.onlineWorkspace(runtime.url)
    secret = workspace.inboundSecret
    near = workspace.id
    makeFuzzedTree(runtime)
    // Which inode is a runtime's credential no job-control host can know: it has no runtime.
    for (const folder of ['', 'folder']) {
      rmSync(join(runtime.local(`/workspace/${FUZZED_SESSION}`), folder, 'hard'))
    }
  })
  afterAll(async () => {
    agent.destroy()
    await runtime.stop()
    await scene.stop()
  })

  async function ask(workspaceId: string, request: FuzzedRequest): Promise<Answer> {
    const { operation, session = '', paths, window } = request
    const route = `/workspaces/${workspaceId}/sessions/${encodeURIComponent(session)}/files`
    const pairs = [
      ...paths.map((path) => `path=${path.toString('hex').replace(/../g, '%$&')}`),
      ...Object.entries(window).map(([name, value]) => `${name}=${encodeURIComponent(value)}`),
    ]
    const url = new URL(`${route}${ROUTES[operation]}?${pairs.join('&')}`, scene.platform.url)
    return send(url, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` }, agent })
  }

  it(
    'answer anything alike, fail never, leave no job, and show nothing from outside',
    async () => {
      const met = new Map<string, number>()
      let asked = 0
      let jobs = 0
      async function judge(request: FuzzedRequest): Promise<void> {
        const [far, close] = await Promise.all([
          ask(scene.workspaceId, request),
          ask(near, request),
        ])
        const [verdict, code] = judged(far)
        expect({ request, verdict }).toEqual({ request, verdict: judged(close)[0] })
        expect([far.status < 500, far.isComplete, close.isComplete]).toEqual([true, true, true])
        expect(toldBy(far)).not.toMatch(new RegExp(`${OUTSIDE_MARK}|root:x:0:`))
        met.set(code, (met.get(code) ?? 0) + 1)
      }
      async function judgeAll(requests: readonly FuzzedRequest[]): Promise<void> {
        const startedAt = performance.now()
        await Promise.all(requests.map(judge))
        expect(performance.now() - startedAt).toBeLessThan(HANG_MS)
        asked += requests.length
        jobs += scene.server.calls.filter(({ path }) => path === '/v1/jobs/run').length
        // Each holds the text of the reader.
        scene.server.calls.length = 0
        if (asked % PROGRESS === 0) report()
      }
      function report(): void {
        const counts = JSON.stringify(Object.fromEntries(met))
        process.stdout.write(`fuzz: ${asked} asked, ${jobs} by the reader: ${counts}\n`)
      }
      const batch = fc.array(anySessionRequest, { minLength: BATCH, maxLength: BATCH })
      await fc.assert(fc.asyncProperty(batch, judgeAll), { numRuns: Math.ceil(PATHS / BATCH) })
      report()
      // Most are not refused by their text.
      expect(jobs).toBeGreaterThan(asked / 3)
      await scene.expectQuiet()
    },
    60_000 + PATHS * 500,
  )
})

/** What does not depend on the way; and the code for the count. */
function judged({ status, body }: Answer): readonly [verdict: unknown, code: string] {
  const { version: _, ...told } = JSON.parse(body.toString('utf8')) as Record<string, unknown>
  if (status === 200) return [[status, told], 'served']
  return [[status, told['code'], told['error']], String(told['code'])]
}
