/** The activity as a stream: the same rows as the feed, without asking again. */
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import type { ToldEvent } from '../../../apps/platform/src/domain/told-event.ts'
import { EventSubscription } from '../../../apps/platform/src/services/event-subscription.ts'
import { followActivity } from '../../../apps/platform/src/services/follow-activity.ts'
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

const beatOf = (workspaceId: string): ToldEvent => ({
  seq: undefined,
  type: 'WORKSPACE_HEARTBEAT',
  workspaceId,
  timestamp: new Date(0),
  payload: {},
})

describe('a stream with nothing to tell', () => {
  it('shows a sign of life every 15 s, whatever else happens in its workspace', async () => {
    const { id } = await externalWorkspace()
    const workspaceId = workspaceIdSchema.parse(id)
    const clock = new HeldClock()
    const leaving = new AbortController()
    const subscription = new EventSubscription({ clock, workspaceId, onClose: () => undefined })
    const items = followActivity(
      { ...platform.deps, clock, events: { subscribe: () => subscription } },
      {
        workspaceId,
        activityType: undefined,
        source: undefined,
        sinceSeconds: undefined,
        after: 'start',
        signal: leaving.signal,
      },
    )
    expect((await items.next()).value).toEqual({ kind: 'start', id: undefined })
    const next = items.next()
    for (let beat = 0; beat < 3; beat += 1) {
      await eventually(() => clock.sleepers === 1)
      clock.advance(7_000)
      subscription.offer(beatOf(workspaceId))
      await new Promise(setImmediate)
    }
    const told = await Promise.race([next, eventually(() => clock.sleepers === 1 && 'nothing')])
    expect(told).toEqual({ done: false, value: { kind: 'silence' } })
    leaving.abort()
    await items.return()
  })
})
