/** Webhooks of messages that had to wait: each is told of the end, once. */
import { describe, expect, it } from 'vitest'
import { dropWaiting } from '../../../apps/platform/src/db/delivery-store.ts'
import { pushEnds } from '../../../apps/platform/src/db/push-end-store.ts'
import type { Delivery } from '../../../apps/platform/src/domain/delivery.ts'
import {
  client,
  database,
  enqueue,
  provideLedger,
  workspaceWithRoom,
} from '../../support/ledger-scene.ts'

provideLedger()

const eventOf = ({ id, state }: Delivery): Buffer => Buffer.from(`${id} ${state}`)

/** A message that waits, and a webhook that is to be told of its end. */
async function awaited(
  hook: { workspaceId?: string; taskId?: string; configId?: string } = {},
): Promise<string> {
  const own = await workspaceWithRoom()
  const id = await enqueue(own)
  const { workspaceId = own, taskId = id, configId = 'one' } = hook
  await database.sql`
    INSERT INTO a2a_push_configs
      (workspace_id, task_id, config_id, sender, dialect, url, delivery_id, created_at)
    VALUES (${workspaceId}, ${taskId}, ${configId}, 'admin', '1.0', 'http://h/', ${id}, now())`
  return id
}

const end = (id: string) => dropWaiting(client.db, id, 'no more')

const told = async (ids: readonly string[]): Promise<string[]> => {
  const rows = await database.sql<{ event: string }[]>`
    SELECT convert_from(event, 'utf8') AS event FROM a2a_push_outbox ORDER BY id`
  const events = rows.map(({ event }) => event)
  return events.filter((event) => ids.some((id) => event.startsWith(id)))
}

describe('a webhook', () => {
  it('is told of the end, not before and not again', async () => {
    const id = await awaited()
    expect(await pushEnds(client.db, 100, eventOf)).toBe(0)
    await end(id)
    expect(await pushEnds(client.db, 100, eventOf)).toBe(1)
    expect(await pushEnds(client.db, 100, eventOf)).toBe(0)
    expect(await told([id])).toEqual([`${id} dropped`])
  })

  it('is told in its turn, whatever others are called', async () => {
    const workspaceId = await workspaceWithRoom()
    const ids = [
      await awaited({ workspaceId, taskId: 't' }),
      await awaited({ workspaceId, taskId: 'u' }),
      await awaited({ workspaceId, taskId: 't', configId: 'two' }),
      await awaited({ taskId: 't' }),
    ]
    for (const id of ids) await end(id)
    const counts: number[] = []
    for (let turn = 0; turn < 5; turn += 1) counts.push(await pushEnds(client.db, 1, eventOf))
    expect(counts).toEqual([1, 1, 1, 1, 0])
    expect((await told(ids)).toSorted()).toEqual(ids.map((id) => `${id} dropped`).toSorted())
  })

  it('is told once by however many replicas', async () => {
    const ids = await Promise.all([1, 2, 3, 4].map(() => awaited()))
    for (const id of ids) await end(id)
    const looks = Array.from({ length: 6 }, () => pushEnds(client.db, 100, eventOf))
    const counts = await Promise.all(looks)
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(4)
    expect(await told(ids)).toHaveLength(4)
  })

  it('is not told here of what it is told otherwise', async () => {
    const id = await awaited()
    await end(id)
    expect(await pushEnds(client.db, 100, () => undefined)).toBe(1)
    expect(await pushEnds(client.db, 100, eventOf)).toBe(0)
    expect(await told([id])).toEqual([])
  })
})
