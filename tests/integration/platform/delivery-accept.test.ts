import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { dropWaiting } from '../../../apps/platform/src/db/delivery-store.ts'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import {
  client,
  database,
  dispatchNext,
  enqueue,
  fingerprintOf,
  inMs,
  kindsOf,
  ledger,
  messageFor,
  occupy,
  provideLedger,
  QUEUE_CAP,
  rowOf,
  workspaceWithRoom,
} from '../../support/ledger-scene.ts'

provideLedger()

const keyed = (value: string, said = value, expiresAt = inMs(60_000)) => ({
  key: { value, expiresAt },
  fingerprint: fingerprintOf(said),
})

describe('a message that is accepted', () => {
  it('may go at once when nothing waits, and its row says so before it does', async () => {
    const message = messageFor(await workspaceWithRoom())
    const accepted = await ledger.accept(message)
    expect(accepted).toMatchObject({ kind: 'dispatched', claim: { id: message.id } })
    expect(await rowOf(message.id)).toMatchObject({ state: 'dispatched', attempts: 1 })
  })

  it('waits behind what waits already, whatever its turn to arrive', async () => {
    const workspaceId = await workspaceWithRoom()
    await occupy(workspaceId)
    const together = await Promise.all([1, 2, 3].map(() => ledger.accept(messageFor(workspaceId))))
    expect(together).toMatchObject([
      { kind: 'queued', depth: 2, position: 2 },
      { kind: 'queued', depth: 3, position: 3 },
      { kind: 'queued', depth: 4, position: 4 },
    ])
  })

  it('overtakes what is less urgent, and nothing else', async () => {
    const workspaceId = await workspaceWithRoom()
    await occupy(workspaceId)
    const accepts = [100, 50, 10].map((priority) =>
      ledger.accept(messageFor(workspaceId, { priority })),
    )
    expect(kindsOf(await Promise.all(accepts))).toEqual(['dispatched', 'queued', 'queued'])
  })

  it('does not wait behind messages that somebody else fetches', async () => {
    const workspaceId = await workspaceWithRoom()
    await enqueue(workspaceId, { mode: 'poll' })
    expect((await ledger.accept(messageFor(workspaceId))).kind).toBe('dispatched')
  })

  it('has its place among those that are sent, or among those that are fetched', async () => {
    const workspaceId = await workspaceWithRoom()
    await occupy(workspaceId)
    // The first goes alone: the others are of one statement.
    const modes = ['poll', 'poll', 'push', 'poll'] as const
    const accepts = modes.map((mode) => ledger.accept(messageFor(workspaceId, { mode })))
    expect(await Promise.all(accepts)).toMatchObject([
      ...[{ position: 1 }, { position: 2 }, { position: 2 }, { position: 3 }],
    ])
  })

  it('is refused when too many wait, to the very one, also among those of one moment', async () => {
    const workspaceId = await workspaceWithRoom()
    await occupy(workspaceId)
    const many = Array.from({ length: 12 }, () => ledger.accept(messageFor(workspaceId)))
    const kinds = kindsOf(await Promise.all(many))
    expect(kinds.filter((kind) => kind === 'queued')).toHaveLength(QUEUE_CAP - 1)
    expect(new Set(kinds.slice(QUEUE_CAP - 1))).toEqual(new Set(['full']))
    const [row] = await database.sql`
      SELECT count(*)::integer AS waiting FROM a2a_deliveries WHERE workspace_id = ${workspaceId}`
    expect(row).toEqual({ waiting: QUEUE_CAP })
  })

  it('is not written for a workspace that is gone', async () => {
    const nowhere = workspaceIdSchema.parse(randomUUID())
    const removed = await workspaceWithRoom()
    await database.sql`UPDATE workspaces SET status = 'removed' WHERE id = ${removed}`
    for (const workspaceId of [nowhere, removed]) {
      expect((await ledger.accept(messageFor(workspaceId))).kind).toBe('absent')
    }
  })
})

describe('a key', () => {
  it('is known to its sender, in another moment and in the same one', async () => {
    const workspaceId = await workspaceWithRoom()
    const say = () => ledger.accept(messageFor(workspaceId, keyed('k')))
    const kinds = kindsOf(await Promise.all([say(), say(), say()]))
    expect(kinds.toSorted()).toEqual(['dispatched', 'known', 'known'])
    expect((await say()).kind).toBe('known')
  })

  it('is known even when too many wait', async () => {
    const workspaceId = await workspaceWithRoom()
    await occupy(workspaceId)
    const known = messageFor(workspaceId, keyed('k'))
    await ledger.accept(known)
    for (let n = 0; n < QUEUE_CAP; n += 1) await ledger.accept(messageFor(workspaceId))
    const again = await ledger.accept(messageFor(workspaceId, keyed('k')))
    expect(again).toMatchObject({ kind: 'known', delivery: { id: known.id, state: 'queued' } })
  })

  it('belongs to who gave it: the same id of two senders is two messages (wart W6)', async () => {
    const workspaceId = await workspaceWithRoom()
    const kinds = ['workspace:a', 'workspace:b', 'admin'].map((sender) =>
      ledger.accept(messageFor(workspaceId, { ...keyed('k'), sender })),
    )
    expect(kindsOf(await Promise.all(kinds))).toEqual(['dispatched', 'dispatched', 'dispatched'])
    // Nor is one told what the other has said under it.
    for (const sender of ['workspace:a', 'workspace:b', 'admin']) {
      const again = await ledger.accept(messageFor(workspaceId, { ...keyed('k'), sender }))
      expect(again).toMatchObject({ kind: 'known', delivery: { sender } })
    }
  })

  it('stands for what was said: something else under it is a conflict', async () => {
    const workspaceId = await workspaceWithRoom()
    const first = messageFor(workspaceId, keyed('k', 'one'))
    await ledger.accept(first)
    const other = await ledger.accept(messageFor(workspaceId, keyed('k', 'two')))
    expect(other).toEqual({ kind: 'conflict', id: first.id })
  })

  it('is nobody’s again after its time', async () => {
    const workspaceId = await workspaceWithRoom()
    const old = messageFor(workspaceId, keyed('k', 'one', inMs(-1_000)))
    await ledger.accept(old)
    const say = () => ledger.accept(messageFor(workspaceId, keyed('k', 'two')))
    const kinds = kindsOf(await Promise.all([say(), say()]))
    expect(kinds.toSorted()).toEqual(['dispatched', 'known'])
    expect(await rowOf(old.id)).toMatchObject({ state: 'dispatched', idempotency_key: null })
  })

  it('comes back with a message that its agent has never seen, and not with another', async () => {
    const workspaceId = await workspaceWithRoom()
    const failed = async (isUndelivered: boolean): Promise<string> => {
      const message = messageFor(workspaceId, keyed(`failed ${isUndelivered}`))
      const accepted = await ledger.accept(message)
      if (accepted.kind !== 'dispatched') throw new Error(accepted.kind)
      const outcome = { kind: 'failed', reason: 'x', error: 'x', isUndelivered } as const
      await ledger.settle(accepted.claim, outcome)
      return (await ledger.accept(messageFor(workspaceId, keyed(`failed ${isUndelivered}`)))).kind
    }
    expect([await failed(true), await failed(false)]).toEqual(['dispatched', 'known'])
  })

  it('stays with one that was taken out of the queue after its agent may have had it', async () => {
    const workspaceId = await workspaceWithRoom()
    const never = await enqueue(workspaceId, keyed('never'))
    await dropWaiting(client.db, never, 'no more')
    expect(await rowOf(never)).toMatchObject({ state: 'dropped', idempotency_key: null })
    const maybe = await enqueue(workspaceId, { ...keyed('maybe'), isIdempotent: true })
    const sent = await dispatchNext(workspaceId)
    await ledger.settle(sent, { kind: 'unknown', error: 'gone' })
    await dropWaiting(client.db, maybe, 'no more')
    expect(await rowOf(maybe)).toMatchObject({ state: 'dropped', idempotency_key: 'maybe' })
  })
})
