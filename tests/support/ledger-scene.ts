/** @module The ledger on a database of its own: replicas of it, workspaces, and messages for them. */
import { createHash, randomUUID } from 'node:crypto'
import { systemClock } from '@atrium/http-kit/clock'
import pino from 'pino'
import { afterAll, beforeAll } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../apps/platform/src/db/client.ts'
import { claimWaiting } from '../../apps/platform/src/db/delivery-queue-writes.ts'
import { markDispatched } from '../../apps/platform/src/db/delivery-store.ts'
import { insertWorkspace } from '../../apps/platform/src/db/workspace-store.ts'
import type {
  Accepted,
  Claim,
  ClaimedDelivery,
  NewDelivery,
} from '../../apps/platform/src/domain/delivery.ts'
import { type WorkspaceId, workspaceIdSchema } from '../../apps/platform/src/domain/ids.ts'
import {
  DeliveryLedger,
  LEASE_MS,
} from '../../apps/platform/src/services/delivery/delivery-ledger.ts'
import { createTestDatabase, type TestDatabase } from './test-database.ts'
import { newWorkspaceRow } from './workspace-row.ts'

export const QUEUE_CAP = 5
export const silent = pino({ level: 'silent' })

export let database: TestDatabase
export let client: DatabaseClient
export let ledger: DeliveryLedger
export const replicaId = randomUUID()

export function provideLedger(): void {
  beforeAll(async () => {
    database = await createTestDatabase()
    client = openDatabase({ url: database.url, maxConnections: 8 })
    ledger = replicaOfLedger(client, replicaId)
    ledger.start()
  })
  afterAll(async () => {
    await ledger.drain()
    await client.close()
    await database.drop()
  })
}

export function replicaOfLedger(on: DatabaseClient, id: string): DeliveryLedger {
  return new DeliveryLedger({
    ...{ db: on.db, sql: on.sql, clock: systemClock, log: silent },
    ...{ replicaId: id, queueCap: QUEUE_CAP, listen: (...args) => on.listen(...args) },
  })
}

/** A workspace that is called, with room for so many tasks. */
export async function workspaceWithRoom(maxConcurrentTasks = 1): Promise<WorkspaceId> {
  const id = workspaceIdSchema.parse(randomUUID())
  await insertWorkspace(client.db, { ...newWorkspaceRow(id, 'online'), maxConcurrentTasks })
  return id
}

/** A message for the workspace, unlike every other. */
export function messageFor(
  workspaceId: WorkspaceId,
  fields: Partial<NewDelivery> = {},
): NewDelivery {
  const id = randomUUID()
  return {
    ...{ id, workspaceId, sender: 'admin', senderWorkspaceId: null, priority: 50, mode: 'push' },
    ...{ dialect: '0.3', method: 'message/send', isStreaming: false },
    ...{ contextId: null, messageId: null, request: Buffer.from(id), requestHeaders: {} },
    ...{ key: null, fingerprint: fingerprintOf(id), isIdempotent: false, expiresAt: null },
    ...{ delegationId: null, activityId: null },
    ...fields,
  }
}

export const fingerprintOf = (text: string): Buffer => createHash('sha256').update(text).digest()

export const inMs = (ms: number): Date => new Date(Date.now() + ms)

/** Has the workspace busy with one message, so that what comes next waits. */
export async function occupy(workspaceId: WorkspaceId): Promise<string> {
  const message = messageFor(workspaceId)
  const accepted = await ledger.accept(message)
  if (accepted.kind !== 'dispatched') throw new Error(`not dispatched but ${accepted.kind}`)
  await ledger.settle(accepted.claim, { kind: 'busy', error: 'busy', retryAfterMs: 60_000 })
  return message.id
}

/** Puts a message into the queue, whatever room there is. */
export async function enqueue(
  workspaceId: WorkspaceId,
  fields: Partial<NewDelivery> = {},
): Promise<string> {
  const message = messageFor(workspaceId, fields)
  const accepted = await ledger.accept(message)
  if (accepted.kind === 'dispatched') {
    await ledger.settle(accepted.claim, { kind: 'busy', error: 'busy', retryAfterMs: 0 })
    await database.sql`
      UPDATE a2a_deliveries SET next_attempt_at = now(), reason = NULL, last_error = NULL
       WHERE id = ${message.id}`
  } else if (accepted.kind !== 'queued') throw new Error(`not queued but ${accepted.kind}`)
  return message.id
}

/** Claims what there is room for; nothing while another replica is at it. */
export async function claim(
  workspaceId: WorkspaceId,
  as = replicaId,
  hasProvenRoom = false,
): Promise<ClaimedDelivery[]> {
  const input = { workspaceId, replicaId: as, leaseMs: LEASE_MS, hasProvenRoom }
  return (await claimWaiting(client.db, input)) ?? []
}

/** Claims the next one and has it on its way; throws when there is none. */
export async function dispatchNext(workspaceId: WorkspaceId): Promise<ClaimedDelivery> {
  const [next] = await claim(workspaceId)
  if (next === undefined) throw new Error('nothing was claimed')
  if (!(await markDispatched(client.db, next))) throw new Error('the claim was lost')
  return next
}

/** What is stored of a delivery. */
export async function rowOf(id: string): Promise<Record<string, unknown>> {
  const [row] = await database.sql`
    SELECT state, attempts, reason, last_error, idempotency_key, next_attempt_at, finished_at,
           response, response_status, lease_owner, fence::text,
           extract(epoch FROM next_attempt_at - now()) AS due_in
      FROM a2a_deliveries WHERE id = ${id}`
  return row ?? {}
}

/** As if the replica that has it had been silent for longer than its lease. */
export async function loseLease(id: string): Promise<void> {
  await database.sql`
    UPDATE a2a_deliveries SET lease_until = now() - interval '1 second' WHERE id = ${id}`
}

/** As if its back-off were over. */
export async function makeDue(id: string): Promise<void> {
  await database.sql`UPDATE a2a_deliveries SET next_attempt_at = now() WHERE id = ${id}`
}

/** Of one that may be sent at once. */
export function claimOf(accepted: Accepted): Claim {
  if (accepted.kind !== 'dispatched') throw new Error(accepted.kind)
  return accepted.claim
}

/** How an attempt ends that its agent has answered. */
export const answered = {
  kind: 'answered',
  status: 200,
  response: Buffer.from('{"jsonrpc":"2.0"}'),
  upstreamTaskId: null,
} as const

export const kindsOf = (accepted: readonly Accepted[]): string[] => accepted.map(({ kind }) => kind)
