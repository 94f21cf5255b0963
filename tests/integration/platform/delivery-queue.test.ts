import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  claimWaiting,
  dropStale,
  expireWaiting,
  pruneDeliveries,
  workspacesWithWaiting,
} from '../../../apps/platform/src/db/delivery-queue-writes.ts'
import { dropWaiting, queuePlace } from '../../../apps/platform/src/db/delivery-store.ts'
import { dropStaleDeliveries } from '../../../apps/platform/src/services/delivery/operate-queue.ts'
import { eventually } from '../../support/eventually.ts'
import {
  answered,
  claim,
  claimOf,
  client,
  database,
  dispatchNext,
  enqueue,
  inMs,
  ledger,
  makeDue,
  messageFor,
  provideLedger,
  replicaId,
  rowOf,
  workspaceWithRoom,
} from '../../support/ledger-scene.ts'

provideLedger()

const ids = (rows: readonly { readonly id: string }[]) => rows.map(({ id }) => id)

describe('a claim', () => {
  it('takes the most urgent first, and of equals the one that came first', async () => {
    const workspaceId = await workspaceWithRoom(9)
    const [a, low, b] = [
      await enqueue(workspaceId),
      await enqueue(workspaceId, { priority: 10 }),
      await enqueue(workspaceId),
    ]
    const high = await enqueue(workspaceId, { priority: 100 })
    expect(ids(await claim(workspaceId))).toEqual([high, a, b, low])
  })

  it('takes no more than there is room for, by rows and by what the agent says', async () => {
    const workspaceId = await workspaceWithRoom(3)
    for (let n = 0; n < 5; n += 1) await enqueue(workspaceId)
    await database.sql`
      UPDATE workspaces SET active_tasks = 1, last_heartbeat_at = now() WHERE id = ${workspaceId}`
    expect(await claim(workspaceId)).toHaveLength(2)
    expect(await claim(workspaceId)).toHaveLength(0)
    // The next beat knows of those that are only on their way.
    await database.sql`
      UPDATE workspaces SET active_tasks = 0, last_heartbeat_at = now() WHERE id = ${workspaceId}`
    expect(await claim(workspaceId)).toHaveLength(1)
  })

  it('does not believe a beat that is older than what has ended since', async () => {
    const workspaceId = await workspaceWithRoom(1)
    await enqueue(workspaceId)
    const sent = await dispatchNext(workspaceId)
    await enqueue(workspaceId)
    await database.sql`
      UPDATE workspaces SET active_tasks = 1, last_heartbeat_at = now() WHERE id = ${workspaceId}`
    expect(await claim(workspaceId)).toHaveLength(0)
    await ledger.settle(sent, answered)
    expect(await claim(workspaceId)).toHaveLength(1)
  })

  it('does not take what came and went since the beat for what the beat had counted', async () => {
    const workspaceId = await workspaceWithRoom(1)
    await database.sql`
      UPDATE workspaces SET active_tasks = 1, last_heartbeat_at = now() WHERE id = ${workspaceId}`
    await ledger.settle(claimOf(await ledger.accept(messageFor(workspaceId))), answered)
    await enqueue(workspaceId)
    expect(await claim(workspaceId)).toEqual([])
    await database.sql`
      UPDATE workspaces SET last_heartbeat_at = now() - interval '91 seconds'
       WHERE id = ${workspaceId}`
    expect(await claim(workspaceId)).toHaveLength(1)
  })

  it.each(['offline', 'hibernated', 'paused', 'provisioning'])(
    'leaves all to a workspace that is %s',
    async (status) => {
      const workspaceId = await workspaceWithRoom()
      await enqueue(workspaceId)
      await database.sql`UPDATE workspaces SET status = ${status}::workspace_status WHERE id = ${workspaceId}`
      expect(await claim(workspaceId)).toEqual([])
      expect(await workspacesWithWaiting(client.db, 1_000)).not.toContain(workspaceId)
    },
  )

  it('takes nothing that its agent fetches, even when that is called now', async () => {
    const workspaceId = await workspaceWithRoom()
    await enqueue(workspaceId, { mode: 'poll' })
    expect(await claim(workspaceId)).toEqual([])
    expect(await workspacesWithWaiting(client.db, 1_000)).not.toContain(workspaceId)
  })

  it('is held up by the first that is not due, whatever comes after it', async () => {
    const workspaceId = await workspaceWithRoom(9)
    const first = await enqueue(workspaceId)
    await enqueue(workspaceId)
    await database.sql`
      UPDATE a2a_deliveries SET next_attempt_at = now() + interval '1 minute' WHERE id = ${first}`
    expect(await claim(workspaceId)).toEqual([])
    await makeDue(first)
    expect(await claim(workspaceId)).toHaveLength(2)
  })

  it('never takes the same row on two replicas', async () => {
    const workspaceId = await workspaceWithRoom(4)
    for (let n = 0; n < 5; n += 1) await enqueue(workspaceId)
    const replicas = Array.from({ length: 6 }, () => claim(workspaceId, randomUUID()))
    const taken = (await Promise.all(replicas)).flat()
    expect(taken).toHaveLength(4)
    expect(new Set(ids(taken)).size).toBe(4)
  })

  it('is left to the replica that is at the queue already', async () => {
    const workspaceId = await workspaceWithRoom()
    const input = { workspaceId, replicaId, leaseMs: 30_000 }
    const id = await enqueue(workspaceId)
    await database.sql.begin(async (tx) => {
      await tx`SELECT pg_advisory_xact_lock(hashtextextended(${`a2a:${workspaceId}`}, 0))`
      expect(await claimWaiting(client.db, input)).toBeUndefined()
    })
    expect(ids((await claimWaiting(client.db, input)) ?? [])).toEqual([id])
  })

  it('does not take back to life what is being cancelled at that moment', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    let claimed: Promise<unknown[]> | undefined
    await database.sql.begin(async (tx) => {
      await tx`UPDATE a2a_deliveries SET state = 'dropped', finished_at = now() WHERE id = ${id}`
      claimed = claim(workspaceId)
      await eventually(async () => {
        const [row] = await database.sql`
          SELECT count(*)::integer AS waiting FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock'`
        return row?.['waiting'] > 0
      })
    })
    expect(await claimed).toEqual([])
    expect(await rowOf(id)).toMatchObject({ state: 'dropped' })
  })

  it('leaves alone what has waited too long for its sender', async () => {
    const workspaceId = await workspaceWithRoom(9)
    const key = { value: 'late', expiresAt: inMs(600_000) }
    const late = await enqueue(workspaceId, { expiresAt: inMs(60_000), key })
    const next = await enqueue(workspaceId)
    await database.sql`
      UPDATE a2a_deliveries SET expires_at = now() - interval '1 second' WHERE id = ${late}`
    expect(ids(await claim(workspaceId))).toEqual([next])
    expect(await rowOf(late)).toMatchObject({ state: 'queued' })
    expect(ids(await expireWaiting(client.db, 1_000))).toContain(late)
    // Its agent has never seen it.
    const gone = { state: 'expired', reason: 'expired', idempotency_key: null }
    expect(await rowOf(late)).toMatchObject(gone)
  })
})

describe('what waits', () => {
  it('has its place among those that are sent, or among those that are fetched', async () => {
    const workspaceId = await workspaceWithRoom()
    for (const mode of ['poll', 'push', 'poll'] as const) {
      await enqueue(workspaceId, { mode })
    }
    const id = await enqueue(workspaceId)
    const place = (mode: 'push' | 'poll') => queuePlace(client.db, { workspaceId, id, mode })
    expect(await place('push')).toEqual({ depth: 2, position: 2 })
    expect(await place('poll')).toEqual({ depth: 2, position: 0 })
  })

  it('is taken out by its sender as long as nobody has begun', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    await dispatchNext(workspaceId)
    expect(await dropWaiting(client.db, id, 'canceled')).toBe(false)
    const other = await enqueue(workspaceId)
    const over = ledger.whenOver(other, AbortSignal.timeout(20_000))
    expect(await dropWaiting(client.db, other, 'canceled')).toBe(true)
    expect(await over).toMatchObject({ state: 'dropped', reason: 'canceled' })
  })

  it('is dropped by an operator when it is older than so long, with the reason (wart W5)', async () => {
    const workspaceId = await workspaceWithRoom()
    const sent = await enqueue(workspaceId)
    await dispatchNext(workspaceId)
    const key = { value: 'old', expiresAt: inMs(600_000) }
    const [old, young] = [await enqueue(workspaceId, { key }), await enqueue(workspaceId)]
    await database.sql`
      UPDATE a2a_deliveries SET enqueued_at = now() - interval '61 minutes'
       WHERE id IN (${old}, ${sent})`
    const over = ledger.whenOver(old, AbortSignal.timeout(20_000))
    await eventually(async () => {
      const [row] = await database.sql`SELECT is_awaited FROM a2a_deliveries WHERE id = ${old}`
      return row?.['is_awaited'] === true
    })
    const startedAt = Date.now()
    expect(ids(await dropStale(client.db, { ageMs: 3_600_000, workspaceId }, 100))).toEqual([old])
    expect(await over).toMatchObject({ state: 'dropped' })
    expect(Date.now() - startedAt).toBeLessThan(4_000)
    const dropped = { state: 'dropped', reason: /60 minutes/, idempotency_key: null }
    expect(await rowOf(old)).toMatchObject(dropped)
    expect(await rowOf(young)).toMatchObject({ state: 'queued' })
    expect(await rowOf(sent)).toMatchObject({ state: 'dispatched' })
  })

  it('keeps its key when it is dropped after its agent may have had it', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId, { key: { value: 'seen', expiresAt: inMs(600_000) } })
    await database.sql`
      UPDATE a2a_deliveries SET attempts = 1, enqueued_at = now() - interval '2 hours'
       WHERE id = ${id}`
    await dropStale(client.db, { ageMs: 3_600_000, workspaceId }, 100)
    expect(await rowOf(id)).toMatchObject({ state: 'dropped', idempotency_key: 'seen' })
  })

  it('is dropped a batch at a time, until nothing is left of it', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    await database.sql`
      INSERT INTO a2a_deliveries (id, workspace_id, sender, state, delivery_mode, dialect, method,
                                  is_streaming, request, fingerprint, next_attempt_at, enqueued_at)
      SELECT gen_random_uuid(), workspace_id, sender, state, delivery_mode, dialect, method,
             is_streaming, request, fingerprint, next_attempt_at, enqueued_at - interval '2 hours'
        FROM a2a_deliveries, generate_series(1, 1503) WHERE id = ${id}`
    const stale = { ageMs: 3_600_000, workspaceId }
    expect(await dropStale(client.db, stale, 3)).toHaveLength(3)
    expect(await dropStaleDeliveries(client, { maxAgeMinutes: 60, workspaceId })).toBe(1_500)
    expect(await rowOf(id)).toMatchObject({ state: 'queued' })
  })
})

describe('what is over', () => {
  it('is kept for a while, and what is not over for ever', async () => {
    const workspaceId = await workspaceWithRoom()
    const [old, young, waiting] = [
      await enqueue(workspaceId),
      await enqueue(workspaceId),
      await enqueue(workspaceId),
    ]
    for (const id of [old, young]) await dropWaiting(client.db, id, 'canceled')
    await database.sql`
      UPDATE a2a_deliveries SET enqueued_at = now() - interval '9 days',
             finished_at = finished_at - interval '25 hours' * (id = ${old})::integer
       WHERE workspace_id = ${workspaceId}`
    const before = new Date(Date.now() - 24 * 3_600_000)
    expect(await pruneDeliveries(client.db, { before, limit: 100 })).toBe(1)
    expect(await rowOf(old)).toEqual({})
    expect([(await rowOf(young))['state'], (await rowOf(waiting))['state']]).toEqual([
      'dropped',
      'queued',
    ])
  })
})
