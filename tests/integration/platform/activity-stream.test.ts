/** The activity as a stream: the same rows as the feed, without asking again. */
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openDatabase } from '../../../apps/platform/src/db/client.ts'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import type { ToldEvent } from '../../../apps/platform/src/domain/told-event.ts'
import { findPassedRow } from '../../../apps/platform/src/services/activity-place.ts'
import { EventSubscription } from '../../../apps/platform/src/services/event-subscription.ts'
import {
  type FollowActivityDeps,
  followActivity,
} from '../../../apps/platform/src/services/follow-activity.ts'
import { pruneActivity } from '../../../apps/platform/src/services/prune-activity.ts'
import { openDatabaseGate } from '../../support/database-gate.ts'
import { type EventStreamClient, openEventStream } from '../../support/event-stream-client.ts'
import { eventually } from '../../support/eventually.ts'
import {
  type ExternalWorkspace,
  externalWorkspace,
  feed,
  notify,
  report,
} from '../../support/external-workspace.ts'
import { HeldClock } from '../../support/held-clock.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'
import { WatchedBell } from '../../support/watched-bell.ts'

sharePlatform()

const follow = (
  workspace: ExternalWorkspace,
  query = 'from=start',
  lastEventId?: string,
): Promise<EventStreamClient> =>
  openEventStream({
    url: `${platform.url}/workspaces/${workspace.id}/activity?${query}`,
    bearer: workspace.authToken,
    lastEventId,
  })

const rowsOf = (client: EventStreamClient): Record<string, unknown>[] =>
  client.frames.flatMap(({ data }) => (data === undefined ? [] : [data as Record<string, unknown>]))

const summariesOf = (client: EventStreamClient) => rowsOf(client).map((row) => row['summary'])

const until = (client: EventStreamClient, count: number) =>
  eventually(() => rowsOf(client).length >= count && summariesOf(client))

describe('GET /workspaces/:id/activity as text/event-stream', () => {
  it('tells each row as the feed does, with its id, those that are there and those that come', async () => {
    const workspace = await externalWorkspace()
    await report(workspace, { summary: 'before', request_body: { task: 'x' } })
    const client = await follow(workspace)
    expect(client.response.headers.get('content-type')).toBe('text/event-stream')
    await until(client, 1)
    await notify(workspace, { message: 'later' })
    await until(client, 2)
    const rows = await feed(workspace, 'from=start')
    expect(rowsOf(client)).toEqual(rows)
    const told = client.frames.filter(({ data }) => data !== undefined)
    expect(told.map(({ id }) => id)).toEqual(rows.map(({ id }) => id))
    expect(client.frames[0]?.comment).toBe('ping')
    client.close()
  })

  it('goes on after since_id, and after Last-Event-ID rather than that', async () => {
    const workspace = await externalWorkspace()
    for (const summary of ['a', 'b', 'c']) await report(workspace, { summary })
    const [a, b] = await feed(workspace, 'from=start')
    const since = await follow(workspace, `since_id=${a?.id}`)
    const resumed = await follow(workspace, `since_id=${a?.id}`, b?.id)
    await report(workspace, { summary: 'd' })
    expect(await until(since, 3)).toEqual(['b', 'c', 'd'])
    expect(await until(resumed, 2)).toEqual(['c', 'd'])
    for (const client of [since, resumed]) client.close()
  })

  it('begins with what comes from now on, and says where that is', async () => {
    const workspace = await externalWorkspace()
    await report(workspace, { summary: 'old' })
    const [old] = await feed(workspace)
    const client = await follow(workspace, '')
    await eventually(() => client.lastId() === old?.id)
    await report(workspace, { summary: 'new' })
    expect(await until(client, 1)).toEqual(['new'])
    client.close()
  })

  it('filters as the feed does', async () => {
    const workspace = await externalWorkspace()
    const client = await follow(workspace, 'from=start&type=error&source=agent')
    await report(workspace, { summary: 'no' })
    await notify(workspace, { message: 'no' })
    await report(workspace, { activity_type: 'error', summary: 'yes' })
    expect(await until(client, 1)).toEqual(['yes'])
    client.close()
  })

  it.each([
    ['', randomUUID(), 410, 'activity_cursor_gone'],
    [`since_id=${randomUUID()}`, undefined, 410, 'activity_cursor_gone'],
    ['', 'x', 400, 'invalid_query'],
    ['source=people', undefined, 400, 'invalid_query'],
  ])('refuses %j after %j before it begins', async (query, lastEventId, status, code) => {
    const workspace = await externalWorkspace()
    const answer = await platform.request(`/workspaces/${workspace.id}/activity?${query}`, {
      as: workspace.authToken,
      headers: {
        accept: 'text/event-stream',
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      },
    })
    expect([answer.status, await answer.json()]).toMatchObject([status, { code }])
  })

  it.each([
    '*/*',
    'application/json, text/event-stream;q=0.5',
    'text/html, */*;q=0.8',
    'text/event-stream;q=0',
  ])('answers once to who accepts %s', async (accept) => {
    const workspace = await externalWorkspace()
    const answer = await platform.request(`/workspaces/${workspace.id}/activity`, {
      as: workspace.authToken,
      headers: { accept },
    })
    expect(await answer.json()).toEqual([])
  })

  it('is told of rows that a page does not hold, in order and once', async () => {
    const workspace = await externalWorkspace()
    await platform.client.sql`
      INSERT INTO activity_logs (id, workspace_id, seq, activity_type, summary, status, body_bytes, created_at)
      SELECT gen_random_uuid(), ${workspace.id}, n, 'agent_log', n, 'ok',
             CASE WHEN n % 50 = 0 THEN 300000 ELSE 0 END, now()
        FROM generate_series(1, 350) AS n`
    const client = await follow(workspace)
    const expected = Array.from({ length: 350 }, (_, index) => String(index + 1))
    expect(await until(client, 350)).toEqual(expected)
    client.close()
  })

  it('ends with its workspace', async () => {
    const workspace = await externalWorkspace()
    const client = await follow(workspace)
    await report(workspace, { summary: 'last' })
    await until(client, 1)
    await platform.request(`/workspaces/${workspace.id}?confirm=true`, { method: 'DELETE' })
    await eventually(() => client.hasEnded())
    expect(summariesOf(client)).toEqual(['last'])
  })

  it('has nobody to follow where there is no workspace', async () => {
    const answer = await platform.request(`/workspaces/${randomUUID()}/activity`, {
      headers: { accept: 'text/event-stream' },
    })
    expect(answer.status).toBe(404)
  })
})

const eventOf = (type: ToldEvent['type'], workspaceId: string): ToldEvent => ({
  seq: undefined,
  type,
  workspaceId,
  timestamp: new Date(0),
  payload: {},
})

/** Follows a workspace of its own from its first row on, while time stands still. */
async function startFollowing(deps: Partial<FollowActivityDeps> = {}, activityType?: string) {
  const workspace = await externalWorkspace()
  const workspaceId = workspaceIdSchema.parse(workspace.id)
  const clock = new HeldClock()
  const leaving = new AbortController()
  const subscription = new EventSubscription({ clock, workspaceId, onClose: () => undefined })
  const activityBell = new WatchedBell(platform.deps.log, workspace.id)
  const items = followActivity(
    {
      ...platform.deps,
      clock,
      events: { subscribe: () => subscription },
      activityBell,
      ...deps,
    },
    {
      workspaceId,
      activityType,
      source: undefined,
      sinceSeconds: undefined,
      after: 'start',
      signal: leaving.signal,
    },
  )
  expect((await items.next()).value).toEqual({ kind: 'start', id: undefined })
  const isWaiting = () => clock.sleepers === 1
  return {
    ...{ workspace, clock, subscription, items, isWaiting },
    ring: () => activityBell.ring(),
    hasRung: () => activityBell.hasRung,
    async leave() {
      leaving.abort()
      await items.return()
    },
  }
}

describe('a stream with nothing to tell', () => {
  it('shows a sign of life every 15 s, whatever else happens in its workspace', async () => {
    const { workspace, clock, subscription, items, isWaiting, leave } = await startFollowing()
    const next = items.next()
    for (let beat = 0; beat < 3; beat += 1) {
      await eventually(isWaiting)
      clock.advance(7_000)
      subscription.offer(eventOf('WORKSPACE_HEARTBEAT', workspace.id))
      await new Promise(setImmediate)
    }
    const told = await Promise.race([next, eventually(() => isWaiting() && 'nothing')])
    expect(told).toEqual({ done: false, value: { kind: 'silence' } })
    await leave()
  })

  it('looks once for each time that it was rung', async () => {
    const { clock, items, isWaiting, ring, hasRung, leave } = await startFollowing()
    const next = items.next()
    for (let time = 0; time < 2; time += 1) {
      await eventually(isWaiting)
      clock.advance(250)
      await eventually(isWaiting)
      ring()
      expect(hasRung()).toBe(true)
      await eventually(() => isWaiting() && hasRung() === false)
    }
    await leave()
    expect(await next).toMatchObject({ done: true })
    ring()
    expect(hasRung()).toBe(false)
  })

  it('looks no more often than every 250 ms while it looks in vain', async () => {
    const { workspace, clock, items, isWaiting, ring, hasRung, leave } = await startFollowing()
    const next = items.next()
    await eventually(isWaiting)
    ring()
    await eventually(() => isWaiting() && hasRung() === false)
    await report(workspace, { summary: 'there' })
    ring()
    await new Promise(setImmediate)
    const resting = eventually(() => isWaiting() && 'rests')
    expect(await Promise.race([next, resting])).toBe('rests')
    clock.advance(250)
    expect((await next).value).toMatchObject({ kind: 'row', row: { summary: 'there' } })
    await leave()
  })

  it.each(['its workspace', 'the platform'])('ends with %s, at once', async (whose) => {
    const { workspace, subscription, items, isWaiting } = await startFollowing()
    const next = items.next()
    await eventually(isWaiting)
    if (whose === 'the platform') subscription.close()
    else subscription.offer(eventOf('WORKSPACE_REMOVED', workspace.id))
    expect(await next).toMatchObject({ done: true })
  })
})

describe('a stream that passes over rows', () => {
  it('has passed them when it shows a sign of life, so that their end by age is no loss', async () => {
    const { workspace, clock, items, isWaiting, ring, leave } = await startFollowing({}, 'error')
    for (const summary of ['a', 'b', 'c']) await report(workspace, { summary })
    const ids = (await feed(workspace, 'from=start')).map(({ id }) => id)
    const silence = items.next()
    await eventually(isWaiting)
    clock.advance(15_000)
    expect((await silence).value).toEqual({ kind: 'silence', id: ids[2] })
    await pruneAll(workspace)
    clock.advance(250)
    const next = items.next()
    await report(workspace, { activity_type: 'error', summary: 'yes' })
    ring()
    expect((await next).value).toMatchObject({ kind: 'row', row: { summary: 'yes' } })
    await leave()
  })

  it('has passed nothing that it still has to tell', async () => {
    const workspace = await externalWorkspace()
    await report(workspace, { activity_type: 'error', summary: 'yes' })
    await report(workspace, { summary: 'no' })
    const [yes, no] = await feed(workspace, 'from=start')
    const [base] = await platform.client.sql<{ seq: number }[]>`
      SELECT seq::integer FROM activity_logs WHERE id = ${yes?.id ?? ''}`
    const query = {
      workspaceId: workspaceIdSchema.parse(workspace.id),
      ...{ activityType: 'error', source: undefined, notBefore: undefined },
      ...{ limit: 1, maxBodyBytes: 1 },
    }
    const seq = base?.seq ?? 0
    expect(await findPassedRow(platform.client.db, { ...query, afterSeq: seq - 1 })).toBeUndefined()
    expect(await findPassedRow(platform.client.db, { ...query, afterSeq: seq })).toEqual({
      id: no?.id,
      seq: seq + 1,
    })
  })
})

/** As the retention does it. */
async function pruneAll({ id }: ExternalWorkspace): Promise<void> {
  await platform.client.sql`
    UPDATE activity_logs SET created_at = now() - interval '8 days' WHERE workspace_id = ${id}`
  await pruneActivity(platform.deps, new AbortController().signal)
}

describe('a stream whose database is away', () => {
  it('goes on when it is there again, and ends meanwhile when it has to', async () => {
    const gate = await openDatabaseGate(platform.database.url)
    const client = openDatabase({ url: gate.url, maxConnections: 1 })
    try {
      const { workspace, ...stream } = await startFollowing({ db: client.db })
      await gate.shut()
      await report(workspace, { summary: 'meanwhile' })
      const silence = stream.items.next()
      await eventually(stream.isWaiting)
      stream.clock.advance(1_000)
      expect((await silence).value).toEqual({ kind: 'silence' })
      await gate.open()
      const { value } = await stream.items.next()
      expect(value).toMatchObject({ kind: 'row', row: { summary: 'meanwhile' } })
      await gate.shut()
      stream.subscription.close()
      const next = stream.items.next()
      const told = await Promise.race([next, eventually(() => stream.isWaiting() && 'waits')])
      expect(told).toMatchObject({ done: true })
    } finally {
      await client.abandon()
      await gate.shut()
    }
  })
})
