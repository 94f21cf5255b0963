/** Events between two replicas on one database: what one does, a follower of the other is told. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { type DatabaseGate, openDatabaseGate } from '../../support/database-gate.ts'
import { type EventStreamClient, openEventStream } from '../../support/event-stream-client.ts'
import { eventually } from '../../support/eventually.ts'
import { HeldClock } from '../../support/held-clock.ts'
import {
  type OnlineWorkspace,
  type PlatformHarness,
  startPlatformHarness,
  startReplicaOf,
} from '../../support/platform-harness.ts'

let first: PlatformHarness
let second: PlatformHarness
let gate: DatabaseGate
let own: OnlineWorkspace

beforeEach(async () => {
  first = await startPlatformHarness()
  second = await startReplicaOf(first, {
    through: async (url) => {
      gate = await openDatabaseGate(url)
      return gate.url
    },
  })
  own = await first.onlineWorkspace('http://127.0.0.1:9')
})
afterEach(async () => {
  await gate.open()
  await second.stop()
  await gate.shut()
  await first.stop()
})

async function follow(on: PlatformHarness, lastEventId?: string): Promise<EventStreamClient> {
  const url = `${on.url}/workspaces/${own.id}/events/stream`
  const client = await openEventStream({ url, bearer: own.authToken, lastEventId })
  await eventually(() => client.frames.length >= 2)
  return client
}

async function beat(runtimeState: '' | 'wedged', on = first): Promise<void> {
  const body = { workspace_id: own.id, runtime_state: runtimeState }
  expect((await on.json('/registry/heartbeat', body, own.authToken)).status).toBe(200)
}

describe('an event of one replica', () => {
  it('is told on the other as soon as it has happened', async () => {
    // Time stands still there: it looks when it is notified, and never by itself.
    const third = await startReplicaOf(first, { clock: new HeldClock() })
    // A replica that starts gives the workspaces of its machine new boxes: this one comes after it.
    own = await first.onlineWorkspace('http://127.0.0.1:9')
    const client = await follow(third)
    await beat('wedged')
    expect(await client.until(1)).toEqual(['WORKSPACE_DEGRADED'])
    client.close()
    await third.stop()
  })

  it('is told there without any notification, a few seconds later', async () => {
    const client = await follow(second)
    await first.database.sql`
      INSERT INTO structure_events (event_type, workspace_id, payload, created_at)
      VALUES ('AGENT_CARD_UPDATED', ${own.id}, '{}', now())`
    expect(await client.until(1)).toEqual(['AGENT_CARD_UPDATED'])
    client.close()
  })

  it('reaches a follower who changes replicas all the time, once and in order', async () => {
    let client = await follow(first)
    const begin = client.lastId()
    let isWriting = true
    const writing = (async () => {
      for (let round = 0; round < 25; round += 1) {
        await beat('wedged', round % 2 === 0 ? first : second)
        await beat('', round % 3 === 0 ? first : second)
      }
      isWriting = false
    })()
    const ids: string[] = []
    const take = (from: EventStreamClient): void => {
      ids.push(...from.frames.flatMap(({ id, data }) => (id && data !== undefined ? [id] : [])))
    }
    let lastId = begin
    for (let turn = 0; isWriting; turn += 1) {
      await eventually(() => client.types().length >= 3 || !isWriting)
      client.close()
      take(client)
      lastId = client.lastId() ?? lastId
      client = await follow(turn % 2 === 0 ? second : first, lastId)
    }
    await writing
    const written = await first.database.sql<{ seq: string }[]>`
      SELECT seq FROM structure_events
       WHERE workspace_id = ${own.id} AND seq > ${Number(begin)} ORDER BY seq`
    const all = written.map(({ seq }) => String(seq))
    await eventually(() => client.lastId() === all.at(-1))
    client.close()
    take(client)
    expect(all).toHaveLength(50)
    expect(ids).toEqual(all)
  })

  it('waits for a database that is away, and for nothing else', async () => {
    const client = await follow(second)
    await gate.shut()
    await beat('wedged')
    await beat('')
    await eventually(() => second.logLines().some((line) => line.includes('events.look_failed')))
    expect(client.types()).toEqual([])
    await gate.open()
    expect(await client.until(2)).toEqual(['WORKSPACE_DEGRADED', 'WORKSPACE_ONLINE'])
    await beat('wedged')
    expect(await client.until(3)).toHaveLength(3)
    client.close()
  })
})

describe('what is told and not kept', () => {
  const workspaceId = () => workspaceIdSchema.parse(own.id)

  it('reaches both replicas, as often as it was told', async () => {
    const clients = [await follow(first), await follow(second)]
    const tell = (replica: typeof first, index: number) =>
      replica.deps.events.broadcast({
        type: 'AGENT_MESSAGE',
        workspaceId: workspaceId(),
        payload: { index, text: 'x'.repeat(100) },
      })
    const told = Array.from({ length: 200 }, (_, index) => index)
    for (const index of told) tell(first, index)
    for (const client of clients) await client.until(told.length)
    // Comes to the first replica behind what that said itself, which it hears again.
    tell(second, told.length)
    for (const client of clients) {
      await client.until(told.length + 1)
      const indexes = client.frames.flatMap(({ data }) =>
        data === undefined ? [] : [(data as { data: { index: number } }).data.index],
      )
      expect(indexes).toEqual([...told, told.length])
      client.close()
    }
  })

  it('becomes a pointer where a notification cannot hold it', async () => {
    const client = await follow(second)
    first.deps.events.broadcast({
      type: 'ACTIVITY_LOGGED',
      workspaceId: workspaceId(),
      payload: { id: 'here', body: 'ü'.repeat(8_000) },
    })
    await client.until(1)
    expect(client.frames.at(-1)?.data).toMatchObject({ data: { id: 'here', truncated: true } })
    client.close()
  })
})

describe('a stream ends', () => {
  it('with its replica, and goes on at the other', async () => {
    const client = await follow(second)
    await second.deps.events.stop()
    await eventually(() => client.hasEnded())
    await beat('wedged')
    const next = await follow(first, client.lastId())
    expect(await next.until(1)).toEqual(['WORKSPACE_DEGRADED'])
    next.close()
  })

  it('within 30 s of the revocation of its token', async () => {
    const clock = new HeldClock()
    const third = await startReplicaOf(first, { clock })
    await eventually(() => clock.sleepers > 0)
    const others = clock.sleepers
    const client = await follow(third)
    await first.database.sql`
      UPDATE workspace_auth_tokens SET revoked_at = now() WHERE workspace_id = ${own.id}`
    for (let slept = 0; slept < 30_000; slept += 15_000) {
      expect(client.hasEnded()).toBe(false)
      await eventually(() => clock.sleepers > others || client.hasEnded())
      clock.advance(15_000)
    }
    await eventually(() => client.hasEnded())
    await third.stop()
  })
})
