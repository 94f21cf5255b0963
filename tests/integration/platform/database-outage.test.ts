/** The database goes away while the platform runs, and comes back. */
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '@atrium/http-kit/clock'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DatabaseGate, openDatabaseGate } from '../../support/database-gate.ts'
import { eventually } from '../../support/eventually.ts'
import { type PlatformHarness, startPlatformHarness } from '../../support/platform-harness.ts'
import { startWorkspaceServer } from '../../support/workspace-server.ts'

let platform: PlatformHarness
let gate: DatabaseGate

beforeEach(async () => {
  platform = await startPlatformHarness({}, systemClock, async (url) => {
    gate = await openDatabaseGate(url)
    return gate.url
  })
})
afterEach(async () => {
  await gate.open()
  await platform.stop()
  await gate.shut()
})

const BOX = 'http://127.0.0.1:9'

describe('while the database is away', () => {
  it('every route says so and that it passes, and no log line holds a parameter', async () => {
    const { id } = await platform.onlineWorkspace(BOX)
    await gate.shut()
    try {
      for (const [method, path] of [
        ['GET', '/ready'],
        ['GET', '/workspaces'],
        ['GET', `/workspaces/${id}`],
        ['DELETE', `/workspaces/${id}`],
        ['POST', '/admin/a2a-queue/drop-stale'],
      ] as const) {
        const answer = await platform.request(path, { method })
        expect([path, answer.status]).toEqual([path, 503])
        expect(await answer.json()).toMatchObject({
          error: 'platform datastore unavailable — retry shortly',
          code: 'platform_unavailable',
          retryable: true,
        })
      }
      const log = platform.logLines().join('\n')
      expect(log).toContain('database query failed')
      expect(log).not.toMatch(/Failed query|params/)
    } finally {
      await gate.open()
    }
  })

  it('a beat is told to come back, and the next one is stored', async () => {
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    const beat = () => platform.json('/registry/heartbeat', { workspace_id: id }, authToken)
    await gate.shut()
    const refused = await beat()
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5'])
    expect(await refused.json()).toMatchObject({ code: 'platform_unavailable', retryable: true })
    await gate.open()
    await eventually(async () => (await beat()).status === 200)
  })

  it('a long outage does not make the platform slow to notice its end', async () => {
    await gate.shut()
    for (let round = 0; round < 16; round += 1) await platform.request('/ready')
    await gate.open()
    const openedAt = performance.now()
    await eventually(async () => (await platform.request('/ready')).status === 200)
    // The driver's own back-off grows to 20 s.
    expect(performance.now() - openedAt).toBeLessThan(5_000)
  }, 30_000)
})

describe('a message that its agent is too busy for', () => {
  it('is said to wait when it does, also when nobody was told that this was written', async () => {
    const box = await startWorkspaceServer()
    try {
      box.answer = (_, response) => {
        gate.loseAnswerTo('workspace agent busy')
        response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '300' })
        response.end('{"error":"busy","code":"agent_busy"}')
      }
      const { id } = await platform.onlineWorkspace(box.url)
      const message = { role: 'user', messageId: 'm1', parts: [{ kind: 'text', text: 'hi' }] }
      const body = { jsonrpc: '2.0', id: 7, method: 'message/send', params: { message } }
      const answer = await platform.json(`/workspaces/${id}/a2a`, body)
      expect(platform.logLines().join()).toContain('delivery.claim_lost')
      expect([answer.status, await answer.json()]).toMatchObject([
        202,
        { queued: true, queue_id: expect.any(String), queue_depth: 1, position: 1 },
      ])
      expect(box.requests).toHaveLength(1)
    } finally {
      await box.close()
    }
  })
})

describe('a workspace that', () => {
  it('dies meanwhile is started again when the database is back', async () => {
    const { id } = await platform.onlineWorkspace(BOX)
    await gate.shut()
    platform.provisioner.die({ workspaceId: id, generation: 1, reason: 'signal SIGKILL' })
    await eventually(() => platform.logLines().some((line) => line.includes('lifecycle.waiting')))
    await gate.open()
    await eventually(() => platform.provisioner.starts.some(({ generation }) => generation === 2))
  })

  it('comes up meanwhile is written down when the database is back, and not started twice', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    platform.provisioner.endpoint = () => promise
    const created = await platform.json('/workspaces', { name: 'meanwhile', runtime: 'echo' })
    const { id } = (await created.json()) as { id: string }
    await eventually(() => platform.provisioner.starts.length === 1)
    await gate.shut()
    resolve(BOX)
    await eventually(() => platform.logLines().some((line) => line.includes('lifecycle.waiting')))
    await gate.open()
    await eventually(async () => {
      const rows = await platform.database.sql`SELECT endpoint_url FROM workspaces WHERE id = ${id}`
      return rows[0]?.['endpoint_url'] === BOX
    })
    expect(platform.provisioner.starts).toHaveLength(1)
    expect(platform.provisioner.stopped).toEqual([])
  })

  it('was written down by a commit whose answer was lost stays where it is', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    platform.provisioner.endpoint = () => promise
    const created = await platform.json('/workspaces', { name: 'committed', runtime: 'echo' })
    const { id } = (await created.json()) as { id: string }
    const start = await eventually(() => platform.provisioner.starts[0])
    const card = { id, url: BOX, agent_card: { name: 'agent' } }
    const authToken = start.credentials.authToken.reveal()
    expect((await platform.json('/registry/register', card, authToken)).status).toBe(200)
    gate.loseNextCommit()
    const before = gate.commits()
    resolve(BOX)
    // The one that is lost, and the second look at what became of it.
    await eventually(() => gate.commits() === before + 2)
    expect(platform.logLines().join()).toContain('lifecycle.waiting')
    await delay(100)
    const rows = await platform.database.sql`SELECT status FROM workspaces WHERE id = ${id}`
    expect(rows[0]?.['status']).toBe('online')
    expect(platform.provisioner.running.has(id)).toBe(true)
    expect(platform.provisioner.stopped).toEqual([])
  })

  it('could not be started is said to be so once, and written down when the database is back', async () => {
    const { promise, reject } = Promise.withResolvers<string>()
    platform.provisioner.endpoint = () => promise
    const created = await platform.json('/workspaces', { name: 'broken', runtime: 'echo' })
    const { id } = (await created.json()) as { id: string }
    await eventually(() => platform.provisioner.starts.length === 1)
    await gate.shut()
    reject(new Error('no such image'))
    await eventually(() => platform.logLines().some((line) => line.includes('lifecycle.waiting')))
    // So long that it is tried a second time.
    await delay(1_000)
    await gate.open()
    await eventually(async () => {
      const rows = await platform.database.sql`SELECT status FROM workspaces WHERE id = ${id}`
      return rows[0]?.['status'] === 'failed'
    })
    const said = platform.logLines().filter((line) => line.includes('lifecycle.provision_failed'))
    expect(said).toHaveLength(1)
  })

  it('is waited for does not hold up the end of the platform', async () => {
    const { id } = await platform.onlineWorkspace(BOX)
    await gate.shut()
    platform.provisioner.die({ workspaceId: id, generation: 1, reason: 'signal SIGKILL' })
    await eventually(() => platform.logLines().some((line) => line.includes('lifecycle.waiting')))
    // The rows cannot be written any more; that is said, and nothing hangs.
    await expect(platform.deps.lifecycle.stop()).rejects.toThrow()
    await gate.open()
  })
})
