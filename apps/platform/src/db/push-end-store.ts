/** @module Webhooks of messages that had to wait: each is told once of the end, by one replica. */
import { and, eq, isNotNull, sql } from 'drizzle-orm'
import type { Delivery } from '../domain/delivery.ts'
import type { Db } from './client.ts'
import { findDeliveries } from './delivery-store.ts'
import { PUSH_CHANNEL } from './push-outbox-store.ts'
import { a2aDeliveries, a2aPushConfigs, a2aPushOutbox } from './schema.ts'

/**
 * Writes down that webhooks have to be told of ends, and forgets what they waited for in the same
 * transaction. `eventOf` makes the JSON-RPC reply of 1.0 that tells of one; undefined: it is told
 * otherwise. How many there were.
 */
export async function pushEnds(
  db: Db,
  limit: number,
  eventOf: (delivery: Delivery) => Buffer | undefined,
): Promise<number> {
  return await db.transaction(async (tx) => {
    const ended = await tx
      .select({
        workspaceId: a2aPushConfigs.workspaceId,
        taskId: a2aPushConfigs.taskId,
        configId: a2aPushConfigs.configId,
        deliveryId: a2aDeliveries.id,
      })
      .from(a2aPushConfigs)
      .innerJoin(a2aDeliveries, eq(a2aDeliveries.id, a2aPushConfigs.deliveryId))
      .where(isNotNull(a2aDeliveries.finishedAt))
      .limit(limit)
      .for('update', { of: a2aPushConfigs, skipLocked: true })
    if (ended.length === 0) return 0
    const ids = [...new Set(ended.map(({ deliveryId }) => deliveryId))]
    const events = new Map(
      (await findDeliveries(tx, ids)).map((delivery) => [delivery.id, eventOf(delivery)]),
    )
    const now = sql`now()`
    const due = { dialect: '1.0' as const, nextAttemptAt: now, createdAt: now }
    const told = ended.flatMap(({ deliveryId, ...config }) => {
      const event = events.get(deliveryId)
      return event === undefined ? [] : [{ ...config, ...due, event }]
    })
    if (told.length > 0) await tx.insert(a2aPushOutbox).values(told)
    for (const { workspaceId, taskId, configId } of ended) {
      await tx
        .update(a2aPushConfigs)
        .set({ deliveryId: null })
        .where(
          and(
            eq(a2aPushConfigs.workspaceId, workspaceId),
            eq(a2aPushConfigs.taskId, taskId),
            eq(a2aPushConfigs.configId, configId),
          ),
        )
    }
    await tx.execute(sql`SELECT pg_notify(${PUSH_CHANNEL}, '')`)
    return ended.length
  })
}
