/** @module Webhooks of callers, one row each; what they know us by is an envelope. */
import { and, asc, count, eq, lt } from 'drizzle-orm'
import { workspaceIdSchema } from '../domain/ids.ts'
import type { AgentDialect, TaskKey } from '../domain/task-stream.ts'
import type { Db } from './client.ts'
import { a2aPushConfigs } from './schema.ts'

export type StoredPushConfig = {
  readonly key: TaskKey
  readonly configId: string
  readonly sender: string
  readonly dialect: AgentDialect
  readonly url: string
  readonly envelope: string | null
  /** Of a message that has to wait: whose end is told to it. */
  readonly deliveryId?: string | undefined
}

export type PushConfigKey = { readonly key: TaskKey; readonly configId: string }

function isOf({ workspaceId, taskId }: TaskKey) {
  return and(eq(a2aPushConfigs.workspaceId, workspaceId), eq(a2aPushConfigs.taskId, taskId))
}

function is({ key, configId }: PushConfigKey) {
  return and(isOf(key), eq(a2aPushConfigs.configId, configId))
}

function stored(row: typeof a2aPushConfigs.$inferSelect): StoredPushConfig {
  const { workspaceId, taskId, configId, sender, dialect, url, secretSealed: envelope } = row
  return {
    key: { workspaceId: workspaceIdSchema.parse(workspaceId), taskId },
    ...{ configId, sender, url, envelope },
    dialect: dialect === '1.0' ? '1.0' : '0.3',
  }
}

/** Makes it, or changes the sender's own; false when it is somebody else's. */
export async function savePushConfig(
  db: Db,
  config: StoredPushConfig,
  now: Date,
): Promise<boolean> {
  const { key, envelope: secretSealed, configId, sender, dialect, url, deliveryId } = config
  const rows = await db
    .insert(a2aPushConfigs)
    .values({ ...key, configId, sender, dialect, url, secretSealed, deliveryId, createdAt: now })
    .onConflictDoUpdate({
      target: [a2aPushConfigs.workspaceId, a2aPushConfigs.taskId, a2aPushConfigs.configId],
      set: { dialect, url, secretSealed, deliveryId: deliveryId ?? null },
      setWhere: eq(a2aPushConfigs.sender, sender),
    })
    .returning({ configId: a2aPushConfigs.configId })
  return rows.length === 1
}

export async function findPushConfig(
  db: Db,
  key: PushConfigKey,
): Promise<StoredPushConfig | undefined> {
  const rows = await db.select().from(a2aPushConfigs).where(is(key))
  return rows.map(stored)[0]
}

export async function listPushConfigs(db: Db, key: TaskKey): Promise<StoredPushConfig[]> {
  const rows = await db
    .select()
    .from(a2aPushConfigs)
    .where(isOf(key))
    .orderBy(asc(a2aPushConfigs.createdAt), asc(a2aPushConfigs.configId))
  return rows.map(stored)
}

export async function countPushConfigs(db: Db, key: TaskKey): Promise<number> {
  const rows = await db.select({ count: count() }).from(a2aPushConfigs).where(isOf(key))
  return rows[0]?.count ?? 0
}

/** With what waits for it; false when there was none. */
export async function deletePushConfig(db: Db, key: PushConfigKey): Promise<boolean> {
  const rows = await db
    .delete(a2aPushConfigs)
    .where(is(key))
    .returning({ configId: a2aPushConfigs.configId })
  return rows.length === 1
}

/** Of tasks that are long over; how many there were. */
export async function prunePushConfigs(db: Db, before: Date): Promise<number> {
  const rows = await db
    .delete(a2aPushConfigs)
    .where(lt(a2aPushConfigs.createdAt, before))
    .returning({ configId: a2aPushConfigs.configId })
  return rows.length
}
