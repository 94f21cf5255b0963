import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  dropStale,
  expireWaiting,
  pruneDeliveries,
  renewLeases,
  takeOverLost,
  workspacesWithWaiting,
} from '../../../apps/platform/src/db/delivery-queue-writes.ts'
import {
  dropWaiting,
  findDelivery,
  releaseClaim,
} from '../../../apps/platform/src/db/delivery-store.ts'
import { settleDeliveries } from '../../../apps/platform/src/db/delivery-writes.ts'
import type { Accepted, Claim } from '../../../apps/platform/src/domain/delivery.ts'
import { eventually } from '../../support/eventually.ts'
import {
  claim,
  client,
  database,
  dispatchNext,
  enqueue,
  inMs,
  ledger,
  loseLease,
  makeDue,
  messageFor,
  provideLedger,
  replicaId,
  rowOf,
  workspaceWithRoom,
} from '../../support/ledger-scene.ts'

provideLedger()

const claimOf = (accepted: Accepted): Claim => {
  if (accepted.kind !== 'dispatched') throw new Error(accepted.kind)
  return accepted.claim
}
/** What does not compress. */
const noise = (length: number): string => randomBytes(length).toString('base64')
/** For how many seconds it is held still. */
const leaseOf = async (id: string): Promise<number> => {
  const [row] = await database.sql`
    SELECT extract(epoch FROM lease_until - now())::float AS left FROM a2a_deliveries WHERE id = ${id}`
  return Number(row?.['left'])
}

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
    const late = await enqueue(workspaceId, { expiresAt: inMs(60_000) })
    const next = await enqueue(workspaceId)
    await database.sql`
      UPDATE a2a_deliveries SET expires_at = now() - interval '1 second' WHERE id = ${late}`
    expect(ids(await claim(workspaceId))).toEqual([next])
    expect(await rowOf(late)).toMatchObject({ state: 'queued' })
    expect(ids(await expireWaiting(client.db, 1_000))).toContain(late)
    expect(await rowOf(late)).toMatchObject({ state: 'expired', reason: 'expired' })
  })
})

const answered = {
  kind: 'answered',
  status: 200,
  response: Buffer.from('{"jsonrpc":"2.0"}'),
  upstreamTaskId: null,
} as const

describe('how an attempt ends', () => {
  it('is written with the answer, which waits for who asks (wart W2)', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    const settled = await ledger.settle(await dispatchNext(workspaceId), answered)
    expect(settled).toMatchObject({ kind: 'written', state: 'completed' })
    expect(await rowOf(id)).toMatchObject({
      ...{ state: 'completed', response_status: 200, response: answered.response, reason: null },
    })
  })

  it('busy goes back, without counting, and never counts as done (wart W1)', async () => {
    const workspaceId = await workspaceWithRoom()
    const key = { value: 'message:m1', expiresAt: inMs(600_000) }
    const id = await enqueue(workspaceId, { key })
    for (let round = 0; round < 8; round += 1) {
      await makeDue(id)
      const sent = await dispatchNext(workspaceId)
      const outcome = { kind: 'busy', error: 'agent is busy', retryAfterMs: null } as const
      expect(await ledger.settle(sent, outcome)).toMatchObject({ state: 'queued', depth: 1 })
    }
    expect(await rowOf(id)).toMatchObject({
      ...{ state: 'queued', attempts: 0, idempotency_key: 'message:m1', finished_at: null },
    })
  })

  it('makes a busy one wait longer each time, up to half a minute, or as its agent says', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    const waits: number[] = []
    for (let round = 0; round < 7; round += 1) {
      const sent = await dispatchNext(workspaceId)
      await ledger.settle(sent, { kind: 'busy', error: 'x', retryAfterMs: null })
      waits.push(Math.round(Number((await rowOf(id))['due_in'])))
      // Due, and how long it has waited stays as it was.
      await database.sql`
        UPDATE a2a_deliveries SET queued_at = queued_at - (next_attempt_at - now()),
               next_attempt_at = now() WHERE id = ${id}`
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30])
    const sent = await dispatchNext(workspaceId)
    await ledger.settle(sent, { kind: 'busy', error: 'x', retryAfterMs: 7_000 })
    expect(Math.round(Number((await rowOf(id))['due_in']))).toBe(7)
  })

  it('an error of its server is tried again, five times, then it is dead', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    const states: unknown[] = []
    for (let round = 0; round < 5; round += 1) {
      await makeDue(id)
      const sent = await dispatchNext(workspaceId)
      await ledger.settle(sent, { kind: 'erred', error: 'HTTP 500' })
      states.push((await rowOf(id))['state'])
    }
    expect(states).toEqual(['queued', 'queued', 'queued', 'queued', 'dead'])
    expect(await rowOf(id)).toMatchObject({ attempts: 5, reason: 'too_many_attempts' })
  })

  it('unknown is never sent again, unless that does no harm (wart W9)', async () => {
    const workspaceId = await workspaceWithRoom()
    const once = await enqueue(workspaceId)
    const outcome = { kind: 'unknown', error: 'broken off' } as const
    await ledger.settle(await dispatchNext(workspaceId), outcome)
    expect(await rowOf(once)).toMatchObject({ state: 'failed', reason: 'outcome_unknown' })
    expect(await claim(workspaceId)).toEqual([])
    const safe = await enqueue(workspaceId, { isIdempotent: true })
    await ledger.settle(await dispatchNext(workspaceId), outcome)
    expect(await rowOf(safe)).toMatchObject({ state: 'queued', attempts: 1 })
  })

  it('never says of a message that may have arrived that it did not', async () => {
    const workspaceId = await workspaceWithRoom()
    const key = { value: 'k', expiresAt: inMs(600_000) }
    const id = await enqueue(workspaceId, { isIdempotent: true, key, expiresAt: inMs(600_000) })
    await ledger.settle(await dispatchNext(workspaceId), { kind: 'unknown', error: 'x' })
    await database.sql`
      UPDATE a2a_deliveries SET expires_at = now() - interval '1 second' WHERE id = ${id}`
    await expireWaiting(client.db, 1_000)
    expect(await rowOf(id)).toMatchObject({
      ...{ state: 'failed', reason: 'outcome_unknown', idempotency_key: 'k' },
    })
  })
})

describe('what one agent says', () => {
  const acceptMany = async (count: number): Promise<Claim[]> => {
    const accepts = Array.from({ length: count }, async () => {
      const accepted = await ledger.accept(messageFor(await workspaceWithRoom()))
      return claimOf(accepted)
    })
    return await Promise.all(accepts)
  }

  it.each([
    ['an id of a task with a zero byte', { ...answered, upstreamTaskId: 'a\u0000b' }, null],
    ['an id of a task without end', { ...answered, upstreamTaskId: noise(9_000) }, null],
    [
      'an id of a task in other letters',
      { ...answered, upstreamTaskId: 'Auftrag ä1' },
      'Auftrag ä1',
    ],
    ['a part of a millisecond', { kind: 'busy', error: 'x', retryAfterMs: 0.1 } as const, null],
  ])('is written down, whatever it is: %s', async (_, outcome, taskId) => {
    const [claim] = await acceptMany(1)
    if (claim === undefined) throw new Error('nothing')
    const state = outcome.kind === 'busy' ? 'queued' : 'completed'
    expect(await ledger.settle(claim, outcome)).toMatchObject({ kind: 'written', state })
    expect((await findDelivery(client.db, claim.id))?.upstreamTaskId).toBe(taskId)
  })

  it('is not the end of what is written down with it', async () => {
    const claims = await acceptMany(4)
    const settled = await Promise.allSettled(
      claims.map((claim, n) =>
        ledger.settle(claim, n === 2 ? { ...answered, status: 70_000 } : answered),
      ),
    )
    expect(settled.map(({ status }) => status)).toEqual([
      ...['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    ])
    const messages = await Promise.all(
      ['x', 'x', 'a\u0000', 'x'].map(async (sender) =>
        messageFor(await workspaceWithRoom(), { sender }),
      ),
    )
    const accepted = await Promise.allSettled(messages.map((message) => ledger.accept(message)))
    expect(accepted.map(({ status }) => status)).toEqual([
      ...['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    ])
  })
})

describe('a replica that is gone', () => {
  it('gives back of what nothing was sent', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    const [held] = await claim(workspaceId)
    await loseLease(id)
    expect(ids(await takeOverLost(client.db, 100))).toContain(id)
    expect(await rowOf(id)).toMatchObject({ state: 'queued', attempts: 0 })
    if (held === undefined) throw new Error('nothing was claimed')
    expect(await releaseClaim(client.db, held, { delayMs: 0, error: null })).toBe(false)
  })

  it('leaves an unknown outcome of what was sent, for its sender to read (wart W3)', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    await dispatchNext(workspaceId)
    expect(await takeOverLost(client.db, 100)).toEqual([])
    await loseLease(id)
    const over = ledger.whenOver(id, AbortSignal.timeout(20_000))
    await takeOverLost(client.db, 100)
    expect(await over).toMatchObject({ state: 'failed', reason: 'outcome_unknown' })
    expect(await claim(workspaceId)).toEqual([])
  })

  it('writes nothing any more when it comes back, also not over its successor', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId, { isIdempotent: true })
    const former = await dispatchNext(workspaceId)
    await loseLease(id)
    await takeOverLost(client.db, 100)
    const successor = await dispatchNext(workspaceId)
    expect(successor.id).toBe(id)
    expect(await ledger.settle(former, answered)).toEqual({ kind: 'lost' })
    expect(await rowOf(id)).toMatchObject({ state: 'dispatched', attempts: 2, response: null })
    expect(await ledger.settle(successor, answered)).toMatchObject({ state: 'completed' })
  })

  it('gets no lease back that it had lost', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    const { fence } = await dispatchNext(workspaceId)
    await loseLease(id)
    await renewLeases(client.db, { replicaId, leaseMs: 30_000, fences: [fence] })
    expect(ids(await takeOverLost(client.db, 100))).toContain(id)
  })
})

describe('leases', () => {
  it('are renewed around what is being written at the same time, which waits for nobody', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    const { fence } = await dispatchNext(workspaceId)
    await database.sql.begin(async (tx) => {
      await tx`SELECT 1 FROM a2a_deliveries WHERE id = ${id} FOR UPDATE`
      await renewLeases(client.db, { replicaId, leaseMs: 30_000, fences: [fence] })
    })
  })

  it('are kept of what is being sent here, and run out of what nobody is at', async () => {
    const accept = async () => claimOf(await ledger.accept(messageFor(await workspaceWithRoom())))
    const [held, left] = [await accept(), await accept()]
    ledger.letGo(left)
    await database.sql`UPDATE a2a_deliveries SET lease_until = now() + interval '1 second'
                        WHERE id IN (${held.id}, ${left.id})`
    await ledger.renewLeases()
    expect(await leaseOf(held.id)).toBeGreaterThan(20)
    expect(await leaseOf(left.id)).toBeLessThan(2)
  })

  it('are not kept of what could not be settled', async () => {
    const claim = claimOf(await ledger.accept(messageFor(await workspaceWithRoom())))
    await expect(ledger.settle(claim, { ...answered, status: 70_000 })).rejects.toThrow()
    await database.sql`
      UPDATE a2a_deliveries SET lease_until = now() + interval '1 second' WHERE id = ${claim.id}`
    await ledger.renewLeases()
    expect(await leaseOf(claim.id)).toBeLessThan(2)
  })
})

describe('what waits', () => {
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
    const [old, young] = [await enqueue(workspaceId), await enqueue(workspaceId)]
    await database.sql`
      UPDATE a2a_deliveries SET enqueued_at = now() - interval '61 minutes' WHERE id = ${old}`
    expect(ids(await dropStale(client.db, { ageMs: 3_600_000, workspaceId }))).toEqual([old])
    expect(await rowOf(old)).toMatchObject({ state: 'dropped', reason: /60 minutes/ })
    expect(await rowOf(young)).toMatchObject({ state: 'queued' })
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

describe('who waits for the end', () => {
  it('is told at once, also when another replica brings it about', async () => {
    const workspaceId = await workspaceWithRoom()
    const message = messageFor(workspaceId)
    const accepted = await ledger.accept(message)
    if (accepted.kind !== 'dispatched') throw new Error(accepted.kind)
    const startedAt = Date.now()
    const over = ledger.whenOver(message.id, AbortSignal.timeout(20_000))
    await eventually(async () => {
      const [row] = await database.sql`
        SELECT is_awaited FROM a2a_deliveries WHERE id = ${message.id}`
      return row?.['is_awaited'] === true
    })
    await settleDeliveries(client.sql, [{ claim: accepted.claim, outcome: answered }])
    expect(await over).toMatchObject({ state: 'completed' })
    expect(Date.now() - startedAt).toBeLessThan(4_000)
  })
})
