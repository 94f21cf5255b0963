/** Many who wait for the activity of one workspace. */
import { describe, expect, it } from 'vitest'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { MAX_ROPES } from '../../../apps/platform/src/services/activity-bell.ts'
import { readActivity } from '../../../apps/platform/src/services/read-activity.ts'
import { openEventStream } from '../../support/event-stream-client.ts'
import { eventually } from '../../support/eventually.ts'
import { externalWorkspace, readFeed, report } from '../../support/external-workspace.ts'
import { HeldClock } from '../../support/held-clock.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'
import { WatchedBell } from '../../support/watched-bell.ts'

sharePlatform()

describe('those who wait for the activity of a workspace', () => {
  it('are so many at a process, and one more when one has left', async () => {
    const workspace = await externalWorkspace()
    const target = {
      url: `${platform.url}/workspaces/${workspace.id}/activity`,
      bearer: workspace.authToken,
    }
    const stream = await openEventStream(target)
    const bell = platform.deps.activityBell
    const id = workspaceIdSchema.parse(workspace.id)
    const ropes = Array.from({ length: MAX_ROPES - 1 }, () => bell.hold(id))
    const wait = () => readFeed(workspace, 'from=start&wait=1')
    const refused = await wait()
    expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toEqual([
      429,
      '5',
      expect.objectContaining({ code: 'too_many_waits', retryable: true, retry_after: 5 }),
    ])
    expect((await openEventStream(target)).response.status).toBe(429)
    expect((await readFeed(workspace, 'from=start')).status).toBe(200)
    expect((await readFeed(await externalWorkspace(), 'wait=1')).status).toBe(200)
    stream.close()
    await eventually(async () => (await wait()).status === 200)
    for (const rope of ropes) rope.close()
  })
})

describe('one who waits while rows keep coming that do not fit', () => {
  it('looks at once when the first comes, and then no more often than every 250 ms', async () => {
    const workspace = await externalWorkspace()
    const clock = new HeldClock()
    const activityBell = new WatchedBell(platform.deps.log, workspace.id)
    const reading = readActivity(
      { ...platform.deps, clock, activityBell, isShuttingDown: () => false },
      {
        workspaceId: workspaceIdSchema.parse(workspace.id),
        ...{ activityType: 'error', source: undefined, sinceSeconds: undefined },
        ...{ after: 'start', limit: 1, waitMs: 60_000 },
        caller: { kind: 'operator', via: 'admin_token' },
        signal: new AbortController().signal,
      },
    )
    const isAsleep = () => clock.sleepers === 1
    const hasLooked = () => isAsleep() && activityBell.hasRung === false
    await eventually(isAsleep)
    await report(workspace)
    activityBell.ring()
    await eventually(hasLooked)
    await report(workspace, { activity_type: 'error', summary: 'fits' })
    activityBell.ring()
    const resting = eventually(() => hasLooked() && 'rests')
    expect(await Promise.race([reading, resting])).toBe('rests')
    clock.advance(250)
    expect((await reading).rows).toMatchObject([{ summary: 'fits' }])
  })
})
