import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  dropStale,
  expireWaiting,
  failOfEnded,
  takeOverLost,
} from '../../../apps/platform/src/db/delivery-queue-writes.ts'
import {
  dropWaiting,
  findDelivery,
  markDispatched,
} from '../../../apps/platform/src/db/delivery-store.ts'
import type { Claim, DispatchOutcome } from '../../../apps/platform/src/domain/delivery.ts'
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
  loseLease,
  makeDue,
  messageFor,
  provideLedger,
  rowOf,
  workspaceWithRoom,
} from '../../support/ledger-scene.ts'

provideLedger()

/** What does not compress. */
const noise = (length: number): string => randomBytes(length).toString('base64')

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
    const unknown = { state: 'failed', reason: 'outcome_unknown', idempotency_key: 'k' }
    expect(await rowOf(id)).toMatchObject(unknown)
    const other = await enqueue(workspaceId, { isIdempotent: true, key: { ...key, value: 'l' } })
    await ledger.settle(await dispatchNext(workspaceId), { kind: 'unknown', error: 'x' })
    await database.sql`UPDATE workspaces SET status = 'removed' WHERE id = ${workspaceId}`
    await failOfEnded(client.db, 1_000)
    expect(await rowOf(other)).toMatchObject({ ...unknown, idempotency_key: 'l' })
  })
})

describe('an attempt that is the last', () => {
  const unknown = { kind: 'unknown', error: 'x' } as const
  const busy = { kind: 'busy', error: 'x', retryAfterMs: 0 } as const
  const undelivered = { kind: 'failed', reason: 'x', error: 'x', isUndelivered: true } as const
  const keyed = () => ({ key: { value: 'k', expiresAt: inMs(600_000) } })
  const expire = (id: string) =>
    database.sql`UPDATE a2a_deliveries SET expires_at = now() WHERE id = ${id}`

  it('says that it was too late, and gives the key back, when its agent never had it', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId, keyed())
    const sent = await dispatchNext(workspaceId)
    await expire(id)
    expect(await ledger.settle(sent, busy)).toMatchObject({ state: 'expired' })
    expect(await rowOf(id)).toMatchObject({ reason: 'expired', idempotency_key: null })
  })

  it('keeps the key of one that came too late after its agent had erred', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId, keyed())
    const sent = await dispatchNext(workspaceId)
    await expire(id)
    await ledger.settle(sent, { kind: 'erred', error: 'HTTP 500' })
    expect(await rowOf(id)).toMatchObject({ state: 'expired', idempotency_key: 'k' })
  })

  it.each([
    ['is busy', busy, { state: 'failed' }],
    ['is not there', undelivered, { state: 'failed' }],
    ['errs', { kind: 'erred', error: 'HTTP 500' } as const, { state: 'failed' }],
    ['answers', answered, { state: 'completed', reason: null }],
  ])('remembers that one before it may have arrived, when its agent %s', async (_, last, end) => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId, { ...keyed(), isIdempotent: true })
    await ledger.settle(await dispatchNext(workspaceId), unknown)
    await makeDue(id)
    const sent = await dispatchNext(workspaceId)
    await expire(id)
    await ledger.settle(sent, last)
    expect(await rowOf(id)).toMatchObject({
      ...{ reason: 'outcome_unknown', idempotency_key: 'k', ...end },
    })
  })

  it('is the fifth of unknown outcome, however little harm it does', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId, { isIdempotent: true })
    await database.sql`UPDATE a2a_deliveries SET attempts = 4 WHERE id = ${id}`
    await ledger.settle(await dispatchNext(workspaceId), unknown)
    expect(await rowOf(id)).toMatchObject({ state: 'failed', reason: 'outcome_unknown' })
  })

  it('is told once: a second word of who has sent it, or an older one, counts for nothing', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    const sent = await dispatchNext(workspaceId)
    expect(await markDispatched(client.db, sent)).toBe(false)
    await database.sql`UPDATE a2a_deliveries SET fence = nextval('a2a_fence') WHERE id = ${id}`
    expect(await ledger.settle(sent, answered)).toEqual({ kind: 'lost' })
    await database.sql`UPDATE a2a_deliveries SET fence = ${sent.fence} WHERE id = ${id}`
    expect(await ledger.settle(sent, answered)).toMatchObject({ hasWaiting: false, depth: 0 })
    expect(await ledger.settle(sent, busy)).toEqual({ kind: 'lost' })
    expect(await rowOf(id)).toMatchObject({ state: 'completed' })
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

describe('what was to be sent', () => {
  const bytesOf = async (id: string): Promise<unknown> => {
    const [row] = await database.sql`
      SELECT length(request) AS bytes FROM a2a_deliveries WHERE id = ${id}`
    return row?.['bytes']
  }
  const settleAs = (outcome: DispatchOutcome) => async (id: string) => {
    const { workspaceId } = (await findDelivery(client.db, id)) ?? {}
    if (workspaceId !== undefined) await ledger.settle(await dispatchNext(workspaceId), outcome)
  }
  const unknown = { kind: 'unknown', error: 'x' } as const
  const failed = { kind: 'failed', reason: 'x', error: 'x', isUndelivered: false } as const

  it.each<[string, (id: string) => Promise<unknown>]>([
    ['was answered', settleAs(answered)],
    ['failed', settleAs(failed)],
    ['is of unknown outcome', settleAs(unknown)],
    ['was cancelled', (id) => dropWaiting(client.db, id, 'no more')],
    [
      'was dropped',
      async (id) => {
        const { workspaceId } = (await findDelivery(client.db, id)) ?? {}
        await dropStale(client.db, { ageMs: -1_000, workspaceId }, 100)
      },
    ],
    [
      'was late',
      async (id) => {
        await database.sql`UPDATE a2a_deliveries SET expires_at = now() WHERE id = ${id}`
        await expireWaiting(client.db, 1_000)
      },
    ],
    [
      'was lost',
      async (id) => {
        const { workspaceId } = (await findDelivery(client.db, id)) ?? {}
        if (workspaceId !== undefined) await dispatchNext(workspaceId)
        await loseLease(id)
        await takeOverLost(client.db, 1_000)
      },
    ],
    [
      'has lost its workspace',
      async (id) => {
        await database.sql`UPDATE workspaces SET status = 'removed'
          WHERE id = (SELECT workspace_id FROM a2a_deliveries WHERE id = ${id})`
        await failOfEnded(client.db, 1_000)
      },
    ],
  ])('is not kept of one that %s', async (_, end) => {
    const id = await enqueue(await workspaceWithRoom())
    expect(await bytesOf(id)).toBeGreaterThan(0)
    await end(id)
    expect((await findDelivery(client.db, id))?.finishedAt).toBeInstanceOf(Date)
    expect(await bytesOf(id)).toBe(0)
  })

  it('is kept of one that its agent fetches, also when its workspace has failed', async () => {
    const workspaceId = await workspaceWithRoom()
    const [fetched, sent] = [
      await enqueue(workspaceId, { mode: 'poll' }),
      await enqueue(workspaceId),
    ]
    await database.sql`UPDATE workspaces SET status = 'failed' WHERE id = ${workspaceId}`
    await failOfEnded(client.db, 1_000)
    expect([await bytesOf(fetched), await bytesOf(sent)]).toEqual([36, 0])
  })

  it('is kept of one that will be sent again', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId, { isIdempotent: true })
    await settleAs({ kind: 'busy', error: 'x', retryAfterMs: 0 })(id)
    await makeDue(id)
    await dispatchNext(workspaceId)
    await loseLease(id)
    await takeOverLost(client.db, 1_000)
    expect((await dispatchNext(workspaceId)).request.toString()).toBe(id)
  })
})
