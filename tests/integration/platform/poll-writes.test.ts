/** Messages that their agents fetch, as the ledger keeps them. */
import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { NewActivity } from '../../../apps/platform/src/db/activity-store.ts'
import { expireWaiting } from '../../../apps/platform/src/db/delivery-queue-writes.ts'
import { dropWaiting, findDelivery } from '../../../apps/platform/src/db/delivery-store.ts'
import {
  completePolled,
  handOver,
  keepPolled,
  lockStranded,
  strandedDeliveries,
} from '../../../apps/platform/src/db/poll-writes.ts'
import type { NewDelivery } from '../../../apps/platform/src/domain/delivery.ts'
import type { WorkspaceId } from '../../../apps/platform/src/domain/ids.ts'
import { eventually } from '../../support/eventually.ts'
import {
  client,
  database,
  enqueue,
  inMs,
  ledger,
  messageFor,
  provideLedger,
  rowOf,
  workspaceWithRoom,
} from '../../support/ledger-scene.ts'

provideLedger()

function activityFor(workspaceId: WorkspaceId): NewActivity {
  return {
    ...{ id: randomUUID(), workspaceId, activityType: 'a2a_receive', targetId: workspaceId },
    ...{ sourceId: null, method: 'message/send', summary: null, requestBody: {}, status: 'ok' },
    ...{ responseBody: null, durationMs: null, errorDetail: null, createdAt: new Date() },
  }
}

const keep = (workspaceId: WorkspaceId, fields: Partial<NewDelivery> = {}, cap = 2) => {
  const delivery = messageFor(workspaceId, { mode: 'poll', ...fields })
  return keepPolled(client.db, { delivery, activity: activityFor(workspaceId) }, cap)
}

describe('a message that is kept for its agent', () => {
  it('has its place among those that wait to be fetched there, up to the very one', async () => {
    const workspaceId = await workspaceWithRoom()
    await enqueue(workspaceId)
    await keep(await workspaceWithRoom())
    const over = await keep(workspaceId)
    if (over.kind === 'queued') await dropWaiting(client.db, over.id, 'no more')
    expect([
      await keep(workspaceId),
      await keep(workspaceId),
      await keep(workspaceId),
    ]).toMatchObject([
      { kind: 'queued', depth: 1, position: 1 },
      { kind: 'queued', depth: 2, position: 2 },
      { kind: 'full', depth: 2 },
    ])
  })

  it('is not kept for a workspace that was removed while it came', async () => {
    const workspaceId = await workspaceWithRoom()
    await database.sql`UPDATE workspaces SET status = 'removed' WHERE id = ${workspaceId}`
    expect(await keep(workspaceId)).toEqual({ kind: 'absent' })
  })

  it('is one, of many that come at once under its key', async () => {
    const workspaceId = await workspaceWithRoom()
    const said = messageFor(workspaceId, {
      ...{ mode: 'poll', key: { value: 'k', expiresAt: inMs(60_000) } },
    })
    const kept = await Promise.all(
      [1, 2, 3, 4].map(() => keep(workspaceId, { ...said, id: randomUUID() }, 9)),
    )
    expect(kept.map(({ kind }) => kind).toSorted()).toEqual(['known', 'known', 'known', 'queued'])
  })
})

describe('who waits for what an agent fetches', () => {
  it('is told at once of its answer', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId, { mode: 'poll' })
    const over = ledger.whenOver(id, AbortSignal.timeout(20_000))
    await eventually(async () => {
      const [row] = await database.sql`SELECT is_awaited FROM a2a_deliveries WHERE id = ${id}`
      return row?.['is_awaited'] === true
    })
    const startedAt = Date.now()
    const reply = { response: Buffer.from('{}'), responseBody: {}, upstreamTaskId: null }
    await completePolled(client.db, { id, workspaceId, ...reply })
    expect(await over).toMatchObject({ state: 'completed' })
    expect(Date.now() - startedAt).toBeLessThan(4_000)
  })
})

describe('a message whose agent fetches them by now', () => {
  const stranded = async (id: string): Promise<boolean> =>
    (await strandedDeliveries(client.db, 1_000)).includes(id)

  it('is found by what its workspace has said, or is', async () => {
    const workspaceId = await workspaceWithRoom()
    const id = await enqueue(workspaceId)
    const found: boolean[] = []
    for (const [mode, kind, status] of [
      ['push', 'external', 'online'],
      [null, 'echo', 'online'],
      ['poll', 'echo', 'removed'],
      [null, 'external', 'online'],
      ['poll', 'echo', 'online'],
    ] as const) {
      await database.sql`
        UPDATE workspaces SET delivery_mode = ${mode}, runtime_kind = ${kind},
               status = ${status}::workspace_status WHERE id = ${workspaceId}`
      found.push(await stranded(id))
    }
    expect(found).toEqual([false, false, false, true, true])
  })

  it('is put where it is found, and expires when its sender said, else one day', async () => {
    const workspaceId = await workspaceWithRoom()
    const [own, given] = [inMs(60_000), inMs(120_000)]
    const ids = [await enqueue(workspaceId, { expiresAt: own }), await enqueue(workspaceId)]
    await database.sql`
      UPDATE a2a_deliveries SET reason = 'agent_busy' WHERE workspace_id = ${workspaceId}`
    const expiries: (Date | null | undefined)[] = []
    for (const id of ids) {
      const activity = activityFor(workspaceId)
      await client.db.transaction(async (tx) => {
        const locked = await lockStranded(tx, id)
        if (locked === undefined) throw new Error('not stranded')
        // Another replica passes it over, and waits for nobody.
        expect(await lockStranded(client.db, id)).toBeUndefined()
        await handOver(tx, locked, { activity, expiresAt: given })
      })
      const delivery = await findDelivery(client.db, id)
      expect(delivery).toMatchObject({ mode: 'poll', activityId: activity.id, reason: null })
      expiries.push(delivery?.expiresAt)
      expect(await lockStranded(client.db, id)).toBeUndefined()
    }
    expect(expiries).toEqual([own, given])
  })

  it('is not forgotten to have been sent, unless its agent answers', async () => {
    const workspaceId = await workspaceWithRoom()
    const ids = [await enqueue(workspaceId), await enqueue(workspaceId)]
    await database.sql`
      UPDATE a2a_deliveries SET reason = 'outcome_unknown' WHERE workspace_id = ${workspaceId}`
    const given = { activity: activityFor(workspaceId), expiresAt: inMs(-1) }
    for (const id of ids) {
      const activity = { ...given.activity, id: randomUUID() }
      await handOver(client.db, { id, expiresAt: null }, { ...given, activity })
    }
    const [answeredId = '', lateId = ''] = ids
    const reply = { response: Buffer.from('{}'), responseBody: {}, upstreamTaskId: null }
    expect(await completePolled(client.db, { id: answeredId, workspaceId, ...reply })).toBe(true)
    await expireWaiting(client.db, 1_000)
    expect(await rowOf(answeredId)).toMatchObject({ state: 'completed', reason: null })
    expect(await rowOf(lateId)).toMatchObject({ state: 'failed', reason: 'outcome_unknown' })
  })

  it('is left alone when it has come to its end meanwhile', async () => {
    const id = await enqueue(await workspaceWithRoom())
    await dropWaiting(client.db, id, 'no more')
    expect(await lockStranded(client.db, id)).toBeUndefined()
    expect(await rowOf(id)).toMatchObject({ state: 'dropped' })
  })
})
