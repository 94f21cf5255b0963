/** Events over HTTP, on one replica (contract/platform 9). */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { MAX_SUBSCRIPTIONS } from '../../../apps/platform/src/services/event-bus.ts'
import { MAX_QUEUED_EVENTS } from '../../../apps/platform/src/services/event-subscription.ts'
import { followEvents } from '../../../apps/platform/src/services/follow-events.ts'
import { pruneEvents } from '../../../apps/platform/src/services/prune-events.ts'
import { openEventStream } from '../../support/event-stream-client.ts'
import { eventually } from '../../support/eventually.ts'
import {
  ADMIN_TOKEN,
  type OnlineWorkspace,
  type PlatformHarness,
  startPlatformHarness,
} from '../../support/platform-harness.ts'

const BOX = 'http://127.0.0.1:9'
let platform: PlatformHarness
let own: OnlineWorkspace

beforeAll(async () => {
  platform = await startPlatformHarness()
})
afterAll(() => platform.stop())
beforeEach(async () => {
  own = await platform.onlineWorkspace(BOX)
})

/** A beat that moves the status: wedged degrades, the next one recovers. */
async function beat(runtimeState: '' | 'wedged', who = own): Promise<void> {
  const body = { workspace_id: who.id, runtime_state: runtimeState }
  expect((await platform.json('/registry/heartbeat', body, who.authToken)).status).toBe(200)
}

const stream = (bearer: string, lastEventId?: string) =>
  openEventStream({
    url: `${platform.url}/workspaces/${own.id}/events/stream`,
    bearer,
    lastEventId,
  })

describe('GET /workspaces/:id/events/stream', () => {
  it('answers with a ping at once, then with the place from which one can resume', async () => {
    const client = await stream(own.authToken)
    expect(Object.fromEntries(client.response.headers)).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache',
      connection: 'keep-alive',
      'x-accel-buffering': 'no',
    })
    await eventually(() => client.frames.length === 2)
    expect(client.frames[0]).toMatchObject({ comment: 'ping', id: undefined })
    expect(client.frames[1]).toMatchObject({ id: expect.stringMatching(/^\d+$/), data: undefined })
    client.close()
  })

  it('tells of its own workspace alone, in the frames of the contract', async () => {
    const other = await platform.onlineWorkspace(BOX)
    const client = await stream(own.authToken)
    await beat('wedged', other)
    await beat('wedged')
    await beat('')
    await client.until(2)
    expect(client.frames.slice(2)).toMatchObject([
      {
        id: expect.stringMatching(/^\d+$/),
        event: undefined,
        data: {
          type: 'WORKSPACE_DEGRADED',
          timestamp: expect.any(Number),
          data: { runtime_state: 'wedged', sample_error: '' },
        },
      },
      { data: { type: 'WORKSPACE_ONLINE', data: {} } },
    ])
    client.close()
  })

  it('goes on after the last id, whether a header or a query gives it', async () => {
    const first = await stream(own.authToken)
    await beat('wedged')
    await first.until(1)
    first.close()
    await beat('')
    await beat('wedged')
    const byHeader = await stream(own.authToken, first.lastId())
    const byQuery = await openEventStream({
      url: `${platform.url}/workspaces/${own.id}/events/stream?last_event_id=${first.lastId()}`,
      bearer: own.authToken,
    })
    for (const client of [byHeader, byQuery]) {
      expect(await client.until(2)).toEqual(['WORKSPACE_ONLINE', 'WORKSPACE_DEGRADED'])
      client.close()
    }
  })

  it.each(['999999', 'x', '-1', '9'.repeat(40)])('says so when %s is not known', async (id) => {
    const client = await stream(own.authToken, id)
    await eventually(() => client.frames.length === 2)
    expect(client.frames[1]).toMatchObject({
      event: 'reset',
      id: expect.stringMatching(/^\d+$/),
      data: { reason: 'unknown_event_id' },
    })
    await beat('wedged')
    expect(await client.until(1)).toEqual(['WORKSPACE_DEGRADED'])
    client.close()
  })

  it('says so when what followed is not kept any more', async () => {
    const first = await stream(own.authToken)
    await eventually(() => first.lastId())
    first.close()
    await beat('wedged')
    const future = new Date(Date.now() + 31 * 24 * 60 * 60 * 1000)
    const clock = { ...platform.deps.clock, now: () => future }
    await pruneEvents({ ...platform.deps, clock }, new AbortController().signal)
    const client = await stream(own.authToken, first.lastId())
    await eventually(() => client.frames.some(({ event }) => event === 'reset'))
    client.close()
  })

  it('tells of what is kept nowhere, without an id', async () => {
    const client = await stream(own.authToken)
    await eventually(() => client.frames.length === 2)
    platform.deps.events.broadcast({
      type: 'AGENT_MESSAGE',
      workspaceId: workspaceIdSchema.parse(own.id),
      payload: { id: 'a' },
    })
    await client.until(1)
    expect(client.frames[2]).toMatchObject({
      id: undefined,
      data: { type: 'AGENT_MESSAGE', data: { id: 'a' } },
    })
    client.close()
  })

  it('ends with the removal of its workspace, and tells of it', async () => {
    const client = await stream(own.authToken)
    await eventually(() => client.frames.length === 2)
    await platform.request(`/workspaces/${own.id}`, { method: 'DELETE' })
    await eventually(() => client.hasEnded())
    expect(client.types()).toEqual(['WORKSPACE_REMOVED'])
  })

  it('is not there for an unknown or removed workspace', async () => {
    const ghost = crypto.randomUUID()
    const url = `${platform.url}/workspaces/${ghost}/events/stream`
    const client = await openEventStream({ url, bearer: ADMIN_TOKEN })
    expect(client.response.status).toBe(404)
  })

  it('is refused beyond what one process serves, until somebody leaves', async () => {
    const { events } = platform.deps
    const others = Array.from({ length: MAX_SUBSCRIPTIONS }, () => events.subscribe(undefined))
    try {
      const client = await stream(own.authToken)
      expect(client.response.status).toBe(503)
      expect(client.response.headers.get('retry-after')).toBe('15')
      others[0]?.close()
      const next = await stream(own.authToken)
      expect(next.response.status).toBe(200)
      next.close()
    } finally {
      for (const other of others) other.close()
    }
  })

  it('answers HEAD with the head alone', async () => {
    const path = `/workspaces/${own.id}/events/stream`
    const answer = await platform.request(path, { method: 'HEAD' })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
  })
})

describe('a follower who is slow', () => {
  it('is told every kept event all the same, once and in order', async () => {
    const leaving = new AbortController()
    const request = { workspaceId: workspaceIdSchema.parse(own.id), lastEventId: undefined }
    const followed = followEvents(platform.deps, { ...request, signal: leaving.signal })
    const start = (await followed.next()).value
    const count = 3 * MAX_QUEUED_EVENTS
    const insert = async (from: number, to: number) => {
      await platform.database.sql`
        INSERT INTO structure_events (event_type, workspace_id, payload, created_at)
        SELECT 'AGENT_CARD_UPDATED', ${own.id}, jsonb_build_object('index', n), now()
          FROM generate_series(${from}::int, ${to}::int) n`
      await platform.database.sql`SELECT pg_notify('atrium_events', '')`
    }
    await insert(1, count / 2)
    // It takes one, and the rest piles up meanwhile.
    const items = [(await followed.next()).value]
    await insert(count / 2 + 1, count)
    await eventually(async () => {
      const rows = await platform.database.sql`SELECT 1 FROM structure_events WHERE seq IS NULL`
      return rows.length === 0
    })
    while (items.length < count) items.push((await followed.next()).value)
    leaving.abort()
    const indexes = items.map(
      (item) => item?.kind === 'event' && (item.event.payload as { index: number }).index,
    )
    expect(start).toMatchObject({ kind: 'start', isReset: false })
    expect(indexes).toEqual(Array.from({ length: count }, (_, index) => index + 1))
    expect((await followed.next()).done).toBe(true)
  })
})

describe('GET /events', () => {
  it('gives the last 100 of all or of one workspace, newest first', async () => {
    const other = await platform.onlineWorkspace(BOX)
    for (let round = 0; round < 60; round += 1) {
      await beat('wedged')
      await beat('')
    }
    const all = (await (await platform.request('/events')).json()) as { event: string }[]
    expect(all).toHaveLength(100)
    expect(all[0]).toEqual({
      event: 'WORKSPACE_ONLINE',
      workspace_id: own.id,
      timestamp: expect.stringMatching(/Z$/),
      payload: {},
    })
    await platform.request(`/workspaces/${other.id}`, { method: 'DELETE' })
    const ofOther = await platform.request(`/events/${other.id}`)
    expect(((await ofOther.json()) as { event: string }[]).map(({ event }) => event)).toEqual([
      'WORKSPACE_REMOVED',
      'WORKSPACE_ONLINE',
      'WORKSPACE_PROVISIONING',
    ])
    expect((await platform.request('/events/nobody')).status).toBe(400)
  })
})

describe('a registration that brings a workspace online', () => {
  it('tells where its agent is, and its card (contract/platform 2.1)', async () => {
    const created = await platform.json('/workspaces', { name: 'ext', runtime: 'external' })
    const { id, connection } = (await created.json()) as {
      id: string
      connection: { auth_token: string }
    }
    const at = { url: 'http://93.184.216.34/a', delivery_mode: 'push' }
    const card = { name: 'agent' }
    const body = { id, agent_card: card, ...at }
    const answer = await platform.json('/registry/register', body, connection.auth_token)
    expect(answer.status).toBe(200)
    const told = (await (await platform.request(`/events/${id}`)).json()) as unknown[]
    expect(told[0]).toMatchObject({
      event: 'WORKSPACE_ONLINE',
      payload: { url: at.url, agent_card: card },
    })
  })
})

describe('GET /events/stream', () => {
  it('tells operators of every workspace, and of which', async () => {
    const client = await openEventStream({
      url: `${platform.url}/events/stream`,
      bearer: ADMIN_TOKEN,
    })
    const other = await platform.onlineWorkspace(BOX)
    await beat('wedged')
    await client.until(3)
    expect(client.frames.slice(2).map(({ data }) => data)).toMatchObject([
      { type: 'WORKSPACE_PROVISIONING', workspace_id: other.id },
      { type: 'WORKSPACE_ONLINE', workspace_id: other.id },
      { type: 'WORKSPACE_DEGRADED', workspace_id: own.id },
    ])
    client.close()
  })
})
