/** Looking into a workspace that misbehaves, or whose inbound secret is being rotated. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { type EvilBehaviour, EvilWorkspace } from '../../support/evil-workspace.ts'
import type { OnlineWorkspace } from '../../support/platform-harness.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform({ ATRIUM_IDLE_TIMEOUT_MS: '10000', ATRIUM_HEADERS_TIMEOUT_MS: '10000' })

const ROUTES = [
  'files?path=/workspace',
  'files/archive?path=/workspace',
  'files/download?path=/workspace/a',
  'sessions/0a1b2c3/files',
  'sessions/0a1b2c3/files/download?path=a',
]

const REFUSED: readonly (readonly [EvilBehaviour, string])[] = [
  ['redirect', 'workspace_redirected'],
  ['closes-at-once', 'workspace_unreachable'],
  ['resets-at-once', 'workspace_unreachable'],
  ['garbage', 'workspace_invalid_response'],
  ['huge-head', 'workspace_invalid_response'],
  ['interim-flood', 'workspace_invalid_response'],
  ['switches-protocols', 'workspace_invalid_response'],
  ['bare-cr-in-header', 'workspace_invalid_response'],
  ['two-framings', 'workspace_invalid_response'],
  ['no-framing', 'workspace_invalid_response'],
  ['compressed-unasked', 'workspace_invalid_response'],
]

const BROKEN: readonly EvilBehaviour[] = [
  'length-too-long',
  'bad-chunk-size',
  'chunks-without-end',
  'resets-mid-body',
]

let evil: EvilWorkspace
let workspace: OnlineWorkspace

beforeAll(async () => {
  evil = await EvilWorkspace.start()
  workspace = await platform.onlineWorkspace(evil.url.href)
})
afterAll(async () => {
  await evil.close()
})

const ask = (route: string, init: RequestInit = {}, { id } = workspace) =>
  platform.request(`/workspaces/${id}/${route}`, init)

/** Whether an answer came to an end that a client could take for one. */
async function isWhole(route: string): Promise<boolean> {
  try {
    await (await ask(route)).arrayBuffer()
    return true
  } catch {
    return false
  }
}

describe.each(ROUTES)('GET /workspaces/:id/%s', (route) => {
  it('answers what is no answer with an error of its own', async () => {
    for (const [behaviour, code] of REFUSED) {
      evil.behaviour = behaviour
      const answer = await ask(route)
      const body = expect.objectContaining({ code, hop: 'workspace' })
      expect([behaviour, answer.status, await answer.json()]).toEqual([behaviour, 502, body])
      expect(answer.headers.get('location')).toBeNull()
    }
    expect(evil.targets.join('\n')).not.toContain('/landed')
  })

  it('breaks with an answer that breaks, and never ends as if it were whole', async () => {
    for (const behaviour of BROKEN) {
      evil.behaviour = behaviour
      expect([behaviour, await isWhole(route)]).toEqual([behaviour, false])
    }
  })

  it('lets go of the workspace when its client leaves', async () => {
    evil.behaviour = 'endless-body'
    const client = new AbortController()
    const answer = await ask(route, { signal: client.signal })
    expect(answer.status).toBe(200)
    client.abort()
    await eventually(() => evil.openConnections === 0, 3_000)
  })
})

describe('while the inbound secret is rotated', () => {
  it.each([ROUTES[0], ROUTES[1], ROUTES[3]])(
    '%s is asked again with the other secret',
    async (route = '') => {
      const presented: (string | undefined)[] = []
      let open = ''
      const server = createServer((request, response) => {
        presented.push(request.headers.authorization)
        const isLetIn = request.headers.authorization === `Bearer ${open}`
        response.writeHead(isLetIn ? 200 : 401, { 'content-type': 'application/json' }).end('{}')
      })
      await new Promise<void>((resolve) => {
        server.listen(0, '127.0.0.1', resolve)
      })
      try {
        const { port } = server.address() as AddressInfo
        const rotated = await platform.onlineWorkspace(`http://127.0.0.1:${port}`)
        await ask('inbound-secret/rotate', { method: 'POST' }, rotated)
        const written = await eventually(() =>
          platform.provisioner.writtenSecrets.find(({ workspaceId }) => workspaceId === rotated.id),
        )
        open = written.secret
        expect((await ask(route, {}, rotated)).status).toBe(200)
        expect(presented).toEqual([`Bearer ${rotated.inboundSecret}`, `Bearer ${open}`])
      } finally {
        server.closeAllConnections()
        server.close()
      }
    },
  )
})
