/** The database goes away while the platform runs, and comes back. */
import { systemClock } from '@atrium/http-kit/clock'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DatabaseGate, openDatabaseGate } from '../../support/database-gate.ts'
import { eventually } from '../../support/eventually.ts'
import { type PlatformHarness, startPlatformHarness } from '../../support/platform-harness.ts'

let platform: PlatformHarness
let gate: DatabaseGate

beforeEach(async () => {
  platform = await startPlatformHarness({}, systemClock, async (url) => {
    gate = await openDatabaseGate(url)
    return gate.url
  })
})
afterEach(async () => {
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
