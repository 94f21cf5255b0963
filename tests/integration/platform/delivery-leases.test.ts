import { describe, expect, it } from 'vitest'
import { renewLeases, takeOverLost } from '../../../apps/platform/src/db/delivery-queue-writes.ts'
import {
  awaitDelivery,
  DELIVERY_DONE_CHANNEL,
  markDispatched,
  releaseClaim,
} from '../../../apps/platform/src/db/delivery-store.ts'
import { settleDeliveries } from '../../../apps/platform/src/db/delivery-writes.ts'
import { eventually } from '../../support/eventually.ts'
import {
  answered,
  claim,
  claimOf,
  client,
  database,
  dispatchNext,
  enqueue,
  ledger,
  loseLease,
  messageFor,
  provideLedger,
  rowOf,
  workspaceWithRoom,
} from '../../support/ledger-scene.ts'

provideLedger()

/** For how many seconds it is held still. */
const leaseOf = async (id: string): Promise<number> => {
  const [row] = await database.sql`
    SELECT extract(epoch FROM lease_until - now())::float AS left FROM a2a_deliveries WHERE id = ${id}`
  return Number(row?.['left'])
}

const ids = (rows: readonly { readonly id: string }[]) => rows.map(({ id }) => id)

/** Once somebody who waits for the end has said so. */
const isAwaited = (id: string): Promise<boolean> =>
  eventually(async () => {
    const [row] = await database.sql`SELECT is_awaited FROM a2a_deliveries WHERE id = ${id}`
    return row?.['is_awaited'] === true
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
    // Nor of what its successor holds.
    const [successor] = await claim(workspaceId)
    expect(await releaseClaim(client.db, held, { delayMs: 0, error: null })).toBe(false)
    expect(await markDispatched(client.db, held)).toBe(false)
    expect(await rowOf(id)).toMatchObject({ state: 'leased', fence: successor?.fence })
  })

  it('leaves an unknown outcome of what was sent, for its sender to read (wart W3)', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    await dispatchNext(workspaceId)
    expect(await takeOverLost(client.db, 100)).toEqual([])
    await loseLease(id)
    const over = ledger.whenOver(id, AbortSignal.timeout(20_000))
    await isAwaited(id)
    const startedAt = Date.now()
    await takeOverLost(client.db, 100)
    expect(await over).toMatchObject({ state: 'failed', reason: 'outcome_unknown' })
    expect(Date.now() - startedAt).toBeLessThan(4_000)
    expect(await claim(workspaceId)).toEqual([])
  })

  it('has its successors give up after five attempts, however little harm they do', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId, { isIdempotent: true })
    await database.sql`UPDATE a2a_deliveries SET attempts = 3 WHERE id = ${id}`
    for (const isQueued of [true, false]) {
      await dispatchNext(workspaceId)
      await loseLease(id)
      expect(await takeOverLost(client.db, 100)).toMatchObject([{ id, isQueued }])
    }
    expect(await rowOf(id)).toMatchObject({ state: 'failed', reason: 'outcome_unknown' })
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
    await renewLeases(client.db, { leaseMs: 30_000, fences: [fence] })
    expect(ids(await takeOverLost(client.db, 100))).toContain(id)
  })
})

describe('a replica that was held up', () => {
  it('sends nothing of what it may have lost, which goes back', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    const [held] = await claim(workspaceId)
    if (held === undefined) throw new Error('nothing was claimed')
    await loseLease(id)
    expect(await markDispatched(client.db, held)).toBe(false)
    expect(await takeOverLost(client.db, 100)).toMatchObject([{ id, isQueued: true }])
  })
})

describe('leases', () => {
  it('are renewed around what is being written at the same time, which waits for nobody', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    const { fence } = await dispatchNext(workspaceId)
    await database.sql.begin(async (tx) => {
      await tx`SELECT 1 FROM a2a_deliveries WHERE id = ${id} FOR UPDATE`
      await renewLeases(client.db, { leaseMs: 30_000, fences: [fence] })
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

describe('who waits for the end', () => {
  it('is told at once, also when another replica brings it about', async () => {
    const workspaceId = await workspaceWithRoom()
    const message = messageFor(workspaceId)
    const accepted = await ledger.accept(message)
    if (accepted.kind !== 'dispatched') throw new Error(accepted.kind)
    const startedAt = Date.now()
    const over = ledger.whenOver(message.id, AbortSignal.timeout(20_000))
    await isAwaited(message.id)
    await settleDeliveries(client.sql, [{ claim: accepted.claim, outcome: answered }])
    expect(await over).toMatchObject({ state: 'completed' })
    expect(Date.now() - startedAt).toBeLessThan(4_000)
  })
  it('is all that anybody is told for: a notification holds up every commit', async () => {
    const accepted = async () => claimOf(await ledger.accept(messageFor(await workspaceWithRoom())))
    const ends = await Promise.all([accepted(), accepted(), accepted(), accepted()])
    const heard: string[] = []
    let isListening = false
    client.listen(DELIVERY_DONE_CHANNEL, {
      payload: (id) => heard.push(id),
      listening: () => {
        isListening = true
      },
      failed: () => undefined,
    })
    await eventually(() => isListening)
    const [settledUnseen, lostUnseen, settled, lost] = ends
    for (const { id } of [settled, lost]) await awaitDelivery(client.db, id)
    for (const [sent, gone] of [
      [settledUnseen, lostUnseen],
      [settled, lost],
    ] as const) {
      await ledger.settle(sent, answered)
      await loseLease(gone.id)
      await takeOverLost(client.db, 100)
    }
    await eventually(() => heard.includes(lost.id))
    const ours = heard.filter((id) => ends.some((end) => end.id === id))
    expect(ours).toEqual([settled.id, lost.id])
  })
})
