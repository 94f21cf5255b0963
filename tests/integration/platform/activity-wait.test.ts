import { describe, expect, it } from 'vitest'
import { ActivityBell, type BellRope } from '../../../apps/platform/src/services/activity-bell.ts'
import {
  type ReadActivityDeps,
  readActivity,
} from '../../../apps/platform/src/services/read-activity.ts'
import { eventually } from '../../support/eventually.ts'
import { externalWorkspace, feed, readFeed, report } from '../../support/external-workspace.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()

const waiting = () =>
  platform.client.sql`SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND query ILIKE 'listen %'`

describe('GET /workspaces/:id/activity?wait=', () => {
  it('answers with what is there at once', async () => {
    const workspace = await externalWorkspace()
    await report(workspace, { summary: 'there' })
    const startedMs = performance.now()
    expect(await feed(workspace, 'from=start&wait=60')).toHaveLength(1)
    expect(performance.now() - startedMs).toBeLessThan(10_000)
  })

  it('answers with nothing when nothing came in time', async () => {
    const workspace = await externalWorkspace()
    const startedMs = performance.now()
    expect(await feed(workspace, 'from=start&wait=1')).toEqual([])
    expect(performance.now() - startedMs).toBeGreaterThan(900)
  })

  it.each(['', '&wait=1'])(
    'says how far it has looked, whatever fits: type=error%s',
    async (wait) => {
      const workspace = await externalWorkspace({}, false)
      const nextOf = async (query: string) => {
        const answer = await readFeed(workspace, `${query}&type=error${wait}`)
        return [answer.status, answer.headers.get('x-next-since-id')]
      }
      expect(await nextOf('from=start')).toEqual([200, null])
      for (const summary of ['a', 'b']) await report(workspace, { summary })
      const [a, b] = await feed(workspace, 'from=start')
      expect(await nextOf('from=start')).toEqual([200, b?.id])
      expect(await nextOf(`since_id=${a?.id}`)).toEqual([200, b?.id])
      expect(await nextOf(`since_id=${b?.id}`)).toEqual([200, null])
      await report(workspace, { activity_type: 'error', summary: 'c' })
      await report(workspace, { summary: 'd' })
      const [c, d] = await feed(workspace, `since_id=${b?.id}`)
      expect(await nextOf(`since_id=${b?.id}`)).toEqual([200, c?.id])
      expect(await nextOf(`since_id=${c?.id}`)).toEqual([200, d?.id])
    },
  )

  it('is released by a row of that workspace that fits, whoever wrote it', async () => {
    const workspace = await externalWorkspace()
    const other = await externalWorkspace()
    let isAnswered = false
    const answer = feed(workspace, 'type=error&from=start&wait=60').finally(() => {
      isAnswered = true
    })
    await eventually(async () => (await waiting()).length > 0)
    await report(other, { activity_type: 'error', summary: 'not ours' })
    await report(workspace, { summary: 'does not fit' })
    expect(isAnswered).toBe(false)
    // As another replica would: through the database alone.
    await platform.client.sql.begin(async (tx) => {
      await tx`INSERT INTO activity_logs (id, workspace_id, seq, activity_type, summary, status, created_at)
        VALUES (gen_random_uuid(), ${workspace.id}, 900, 'error', 'fits', 'ok', now())`
      await tx`SELECT pg_notify('atrium_activity', ${workspace.id})`
    })
    expect((await answer).map((row) => row.summary)).toEqual(['fits'])
  })

  it('is released by looking when no notification is heard', async () => {
    const workspace = await externalWorkspace()
    const answer = feed(workspace, 'from=start&wait=60')
    await eventually(async () => (await waiting()).length > 0)
    await platform.client.sql`
      INSERT INTO activity_logs (id, workspace_id, seq, activity_type, summary, status, created_at)
      VALUES (gen_random_uuid(), ${workspace.id}, 1, 'error', 'silent', 'ok', now())`
    expect((await answer).map((row) => row.summary)).toEqual(['silent'])
  })
})

describe('a token that is revoked while its holder waits', () => {
  it('gets nothing of what comes afterwards', async () => {
    const workspace = await externalWorkspace()
    const answer = readFeed(workspace, 'from=start&wait=60')
    await eventually(async () => (await waiting()).length > 0)
    await platform.client.sql`
      UPDATE workspace_auth_tokens SET revoked_at = now() WHERE workspace_id = ${workspace.id}`
    await platform.json(`/workspaces/${workspace.id}/notify`, { message: 'for others' })
    const refused = await answer
    expect(refused.status).toBe(401)
    expect(await refused.text()).not.toContain('for others')
  })
})

/** A wait for the next row of a workspace of its own, as an operator. */
async function startWait(deps: Partial<ReadActivityDeps>, signal: AbortSignal) {
  const workspace = await externalWorkspace()
  return readActivity(
    { ...platform.deps, isShuttingDown: () => false, ...deps },
    {
      workspaceId: workspace.id as Parameters<ActivityBell['hold']>[0],
      activityType: undefined,
      source: undefined,
      limit: 1,
      sinceSeconds: undefined,
      after: 'start',
      waitMs: 60_000,
      caller: { kind: 'operator', via: 'admin_token' },
      signal,
    },
  )
}

describe('a platform that stops', () => {
  it('does not wait for those who wait', async () => {
    let isShuttingDown = false
    const startedMs = performance.now()
    const { signal } = new AbortController()
    const reading = startWait({ isShuttingDown: () => isShuttingDown }, signal)
    isShuttingDown = true
    expect((await reading).rows).toEqual([])
    expect(performance.now() - startedMs).toBeLessThan(30_000)
  })
})

describe('a reader that leaves', () => {
  it('is not waited for, and nothing of it stays', async () => {
    let held = 0
    class CountedBell extends ActivityBell {
      override hold(...given: Parameters<ActivityBell['hold']>): BellRope {
        const rope = super.hold(...given)
        held += 1
        const close = (): void => {
          held -= 1
          rope.close()
        }
        return { signal: rope.signal, take: () => rope.take(), close }
      }
    }
    const activityBell = new CountedBell({ log: platform.deps.log, listen: () => undefined })
    const client = new AbortController()
    const startedMs = performance.now()
    const reading = startWait({ activityBell }, client.signal)
    await eventually(() => held === 1)
    client.abort()
    expect((await reading).rows).toEqual([])
    expect(performance.now() - startedMs).toBeLessThan(30_000)
    expect(held).toBe(0)
  })
})

describe('the bell', () => {
  it('rings for all when it listens again: something may have been missed', async () => {
    let again = (): void => undefined
    const bell = new ActivityBell({
      log: platform.deps.log,
      listen: (_, on) => {
        again = on.listening
      },
    })
    const { id } = await externalWorkspace()
    const workspaceId = id as Parameters<typeof bell.hold>[0]
    const rope = bell.hold(workspaceId)
    again()
    expect([rope.take(), rope.take()]).toEqual([true, false])
    rope.close()
  })
})
