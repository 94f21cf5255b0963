/**
 * @module Accepting deliveries and writing down how attempts ended: many of each in one statement,
 * because every message needs both (design/performance 3).
 */
import {
  type Accepted,
  type Claim,
  type DeliveryState,
  type DispatchOutcome,
  MAX_ATTEMPTS,
  type NewDelivery,
} from '../domain/delivery.ts'
import { storableTaskId } from '../domain/task-stream.ts'
import type { Db, Sql } from './client.ts'
import { DELIVERY_CHANNEL, DELIVERY_DONE_CHANNEL, keyHolder } from './delivery-store.ts'

export type AcceptInput = {
  readonly items: readonly NewDelivery[]
  readonly replicaId: string
  readonly leaseMs: number
  /** So many may wait for a workspace. */
  readonly queueCap: number
}

type Pool = { readonly db: Db; readonly sql: Sql }

/** Somebody else's key may end between two looks at it; more often than this it does not. */
const MAX_LOOKS = 4

type PlacedRow = {
  readonly ord: string
  readonly id: string | null
  readonly state: DeliveryState | null
  readonly fence: string | null
  readonly is_present: boolean
  readonly is_full: boolean
  readonly waiting: string
  readonly ahead: string
}

/**
 * Writes deliveries down, in their order: to be sent by this replica at once when nothing of at
 * least their priority waits for the workspace, otherwise as waiting. Nothing is written of what is
 * `known`, `conflict`, `full` or `absent`.
 */
export async function acceptDeliveries(pool: Pool, input: AcceptInput): Promise<Accepted[]> {
  const accepted = new Map<NewDelivery, Accepted>()
  let left = input.items
  for (let look = 1; left.length > 0; look += 1) {
    if (look > MAX_LOOKS) throw new Error('a key of deliveries changes hands without end')
    for (const [item, outcome] of await offer(pool, { ...input, items: left })) {
      accepted.set(item, outcome)
    }
    left = left.filter((item) => !accepted.has(item))
  }
  return input.items.flatMap((item) => accepted.get(item) ?? [])
}

/** What is left out has to be offered again. */
async function offer(pool: Pool, input: AcceptInput): Promise<Map<NewDelivery, Accepted>> {
  const outcomes = new Map<NewDelivery, Accepted>()
  const rows = await insert(pool.sql, input)
  for (const [index, item] of input.items.entries()) {
    const row = rows[index]
    if (row === undefined) throw new Error('a delivery was neither written nor refused')
    const outcome = outcomeOf(row, item) ?? (await keyHolder(pool.db, item)) ?? fullOf(row)
    if (outcome !== undefined) outcomes.set(item, outcome)
  }
  return outcomes
}

/** undefined: not written, because its key is taken or too many wait. */
function outcomeOf(row: PlacedRow, item: NewDelivery): Accepted | undefined {
  if (!row.is_present) return { kind: 'absent' }
  if (row.state === 'dispatched' && row.fence !== null) {
    return {
      kind: 'dispatched',
      claim: { id: item.id, workspaceId: item.workspaceId, fence: row.fence },
    }
  }
  const waiting = Number(row.waiting)
  if (row.id !== null) {
    return { kind: 'queued', id: item.id, depth: waiting + 1, position: Number(row.ahead) + 1 }
  }
  return undefined
}

async function insert(sql: Sql, input: AcceptInput): Promise<PlacedRow[]> {
  const { items } = input
  const times = (pick: (item: NewDelivery) => Date | null | undefined) =>
    items.map((item) => pick(item)?.toISOString() ?? null)
  return await sql<PlacedRow[]>`
    WITH item AS (
      SELECT * FROM unnest(
        ${items.map((each) => each.id)}::uuid[],
        ${items.map((each) => each.workspaceId)}::uuid[],
        ${items.map((each) => each.sender)}::text[],
        ${items.map((each) => each.senderWorkspaceId)}::uuid[],
        ${items.map((each) => each.priority)}::smallint[],
        ${items.map((each) => each.mode)}::text[],
        ${items.map((each) => each.dialect)}::text[],
        ${items.map((each) => each.method)}::text[],
        ${items.map((each) => String(each.isStreaming))}::text[]::boolean[],
        ${items.map((each) => each.contextId)}::text[],
        ${items.map((each) => each.messageId)}::text[],
        ${items.map((each) => each.request.toString('base64'))}::text[],
        ${items.map((each) => JSON.stringify(each.requestHeaders))}::text[],
        ${items.map((each) => each.key?.value ?? null)}::text[],
        ${times((each) => each.key?.expiresAt)}::text[]::timestamptz[],
        ${items.map((each) => each.fingerprint.toString('hex'))}::text[],
        ${items.map((each) => String(each.isIdempotent))}::text[]::boolean[],
        ${times((each) => each.expiresAt)}::text[]::timestamptz[],
        ${items.map((each) => each.delegationId)}::uuid[],
        ${items.map((each) => each.activityId)}::uuid[]
      ) WITH ORDINALITY AS i (id, workspace_id, sender, sender_workspace_id, priority,
        delivery_mode, dialect, method, is_streaming, context_id, message_id, request,
        request_headers, idempotency_key, key_expires_at, fingerprint, is_idempotent, expires_at,
        delegation_id, activity_id, ord)
    ), seen AS (
      SELECT i.*, line.waiting, line.ahead,
             i.delivery_mode = 'push' AND line.ahead = 0 AS is_direct
        FROM item i
        JOIN workspaces w ON w.id = i.workspace_id AND w.status <> 'removed'
        CROSS JOIN LATERAL (
          SELECT count(*) AS waiting, count(*) FILTER (WHERE d.priority >= i.priority) AS ahead
            FROM a2a_deliveries d
           WHERE d.workspace_id = i.workspace_id AND d.state IN ('queued', 'leased')
             -- What one is sent and what another fetches are two queues.
             AND d.delivery_mode = i.delivery_mode) line
    ), placed AS (
      SELECT s.*, s.waiting + turn.before AS depth, s.ahead + turn.before AS place,
             s.waiting + turn.before >= ${input.queueCap} AS is_full
        FROM seen s
        -- Those of the same statement do not see each other's rows.
        CROSS JOIN LATERAL (
          SELECT count(*) AS before FROM seen o
           WHERE o.workspace_id = s.workspace_id AND o.delivery_mode = s.delivery_mode
             AND o.ord < s.ord AND NOT o.is_direct AND NOT s.is_direct) turn
    ), written AS (
      INSERT INTO a2a_deliveries (id, workspace_id, sender, sender_workspace_id, priority, state,
        delivery_mode, dialect, method, is_streaming, context_id, message_id, request,
        request_headers, idempotency_key, key_expires_at, fingerprint, is_idempotent, expires_at,
        delegation_id, activity_id, attempts, next_attempt_at, lease_owner, lease_until, fence,
        enqueued_at, queued_at, dispatched_at)
      SELECT id, workspace_id, sender, sender_workspace_id, priority,
             (CASE WHEN is_direct THEN 'dispatched' ELSE 'queued' END)::delivery_state,
             delivery_mode, dialect, method, is_streaming, context_id, message_id,
             decode(request, 'base64'), request_headers::jsonb, idempotency_key, key_expires_at,
             decode(fingerprint, 'hex'), is_idempotent, expires_at, delegation_id, activity_id,
             CASE WHEN is_direct THEN 1 ELSE 0 END, now(),
             CASE WHEN is_direct THEN ${input.replicaId}::uuid END,
             CASE WHEN is_direct THEN now() + ${input.leaseMs} * interval '1 millisecond' END,
             CASE WHEN is_direct THEN nextval('a2a_fence') ELSE 0 END,
             now(), CASE WHEN is_direct THEN NULL ELSE now() END,
             CASE WHEN is_direct THEN now() END
        FROM placed WHERE is_direct OR NOT is_full
       ORDER BY ord
      ON CONFLICT (workspace_id, sender, idempotency_key) WHERE idempotency_key IS NOT NULL
        DO NOTHING
      RETURNING id, state, fence::text
    ), told AS (
      SELECT pg_notify(${DELIVERY_CHANNEL}, workspace_id::text) FROM (
        SELECT DISTINCT p.workspace_id FROM written n JOIN placed p ON p.id = n.id
         WHERE n.state = 'queued' AND p.delivery_mode = 'push') fresh
    )
    SELECT i.ord, n.id, n.state, n.fence, p.ord IS NOT NULL AS is_present,
           coalesce(p.is_full AND NOT p.is_direct, false) AS is_full,
           coalesce(p.depth, 0) AS waiting, coalesce(p.place, 0) AS ahead,
           (SELECT count(*) FROM told) AS told
      FROM item i LEFT JOIN placed p ON p.ord = i.ord LEFT JOIN written n ON n.id = i.id
     ORDER BY i.ord`
}

/** undefined: it was the key that stood in the way, and that is free again. */
function fullOf(row: PlacedRow): Accepted | undefined {
  return row.is_full ? { kind: 'full', depth: Number(row.waiting) } : undefined
}

export type Settlement = { readonly claim: Claim; readonly outcome: DispatchOutcome }

export type Settled =
  | {
      readonly kind: 'written'
      readonly state: DeliveryState
      /** Whether something waits for the workspace, which may have room now. */
      readonly hasWaiting: boolean
      readonly depth: number
      /** When it is `queued`: so long until its next attempt. */
      readonly dueInMs: number
    }
  /** Taken over meanwhile: what we know counts for nothing. */
  | { readonly kind: 'lost' }

/** Grows from a second to half a minute. */
const BACKOFF_BASE_MS = 1_000
const BACKOFF_CAP_MS = 30_000

type SettledRow = {
  readonly ord: string
  readonly state: DeliveryState | null
  readonly waiting: string
  readonly due_in_ms: string | null
}

/** Writes down how attempts ended, each only while its claim is held. */
export async function settleDeliveries(
  sql: Sql,
  settlements: readonly Settlement[],
): Promise<Settled[]> {
  const columns = settlements.map(columnsOf)
  const rows = await sql<SettledRow[]>`
    WITH item AS (
      SELECT * FROM unnest(
        ${settlements.map(({ claim }) => claim.id)}::uuid[],
        ${settlements.map(({ claim }) => claim.fence)}::bigint[],
        ${columns.map((each) => each.kind)}::text[],
        ${columns.map((each) => each.status)}::smallint[],
        ${columns.map((each) => each.response)}::text[],
        ${columns.map((each) => each.upstreamTaskId)}::text[],
        ${columns.map((each) => each.error)}::text[],
        ${columns.map((each) => each.reason)}::text[],
        ${columns.map((each) => each.retryAfterMs)}::integer[]
      ) WITH ORDINALITY AS i (id, fence, kind, status, response, upstream_task_id, error, reason,
        retry_after_ms, ord)
    ), held AS (
      SELECT i.*, coalesce(d.expires_at <= now(), false) AS is_late,
             -- An earlier attempt may have reached the agent: that is never forgotten.
             i.kind = 'unknown' OR coalesce(d.reason = 'outcome_unknown', false) AS is_unknown,
             CASE WHEN i.kind = 'busy' THEN greatest(d.attempts - 1, 0) ELSE d.attempts END
               AS attempts,
             i.kind = 'busy' OR (i.kind = 'erred' AND d.attempts < ${MAX_ATTEMPTS})
               OR (i.kind = 'unknown' AND d.is_idempotent AND d.attempts < ${MAX_ATTEMPTS})
               AS is_retried
        FROM item i JOIN a2a_deliveries d ON d.id = i.id AND d.fence = i.fence
       WHERE d.state IN ('leased', 'dispatched')
         FOR UPDATE OF d
    ), judged AS (
      SELECT h.*, CASE WHEN kind = 'answered' THEN 'completed'
                       WHEN is_retried AND NOT is_late THEN 'queued'
                       WHEN is_unknown THEN 'failed'
                       WHEN is_retried THEN 'expired'
                       WHEN kind = 'erred' THEN 'dead'
                       ELSE 'failed' END AS next_state
        FROM held h
    ), written AS (
      UPDATE a2a_deliveries d SET
        state = h.next_state::delivery_state,
        attempts = h.attempts,
        next_attempt_at = now() + coalesce(h.retry_after_ms * interval '1 millisecond',
          ${BACKOFF_BASE_MS} * interval '1 millisecond' * CASE WHEN h.kind = 'busy'
            -- Twice what it waited the last time: how often it was busy is counted nowhere.
            THEN greatest(1, least(${BACKOFF_CAP_MS / BACKOFF_BASE_MS},
              2 * coalesce(extract(epoch FROM d.next_attempt_at - d.queued_at), 0)))
            ELSE least(${BACKOFF_CAP_MS / BACKOFF_BASE_MS}, power(2, least(h.attempts, 10) - 1))
            END),
        lease_owner = NULL, lease_until = NULL,
        queued_at = CASE WHEN h.next_state = 'queued' THEN now() ELSE d.queued_at END,
        finished_at = CASE WHEN h.next_state = 'queued' THEN NULL ELSE now() END,
        request = CASE WHEN h.next_state = 'queued' THEN d.request ELSE '' END,
        last_error = coalesce(h.error, d.last_error),
        reason = CASE WHEN h.kind = 'answered' THEN NULL
                      WHEN h.is_unknown AND h.next_state IN ('queued', 'failed')
                        THEN 'outcome_unknown'
                      WHEN h.next_state = 'queued' THEN
                        CASE WHEN h.kind = 'busy' THEN 'agent_busy' END
                      WHEN h.next_state = 'expired' THEN 'expired'
                      WHEN h.next_state = 'dead' THEN 'too_many_attempts'
                      ELSE h.reason END,
        response_status = h.status,
        response = decode(h.response, 'base64'),
        upstream_task_id = h.upstream_task_id,
        -- What the agent has never seen may be sent again under the same key.
        idempotency_key = CASE
          WHEN (h.kind = 'undelivered' AND NOT h.is_unknown)
            OR (h.next_state = 'expired' AND h.attempts = 0)
          THEN NULL ELSE d.idempotency_key END
        FROM judged h WHERE d.id = h.id
      RETURNING h.ord, d.id, d.workspace_id, d.state, d.is_awaited,
                ceil(extract(epoch FROM d.next_attempt_at - now()) * 1000) AS due_in_ms
    ), told_done AS (
      SELECT pg_notify(${DELIVERY_DONE_CHANNEL}, id::text) FROM written
       WHERE is_awaited AND state <> 'queued'
    ), told_waiting AS (
      SELECT pg_notify(${DELIVERY_CHANNEL}, workspace_id::text) FROM written WHERE state = 'queued'
    )
    SELECT i.ord, w.state, w.due_in_ms,
           (SELECT count(*) FROM a2a_deliveries q
             WHERE q.workspace_id = w.workspace_id AND q.state IN ('queued', 'leased')
               AND q.delivery_mode = 'push' AND q.id <> w.id) + (coalesce(w.state, 'failed') = 'queued')::integer AS waiting,
           (SELECT count(*) FROM told_done) + (SELECT count(*) FROM told_waiting) AS told
      FROM item i LEFT JOIN written w ON w.ord = i.ord
     ORDER BY i.ord`
  return rows.map(({ state, waiting, due_in_ms }) => {
    if (state === null) return { kind: 'lost' }
    const depth = Number(waiting)
    return { kind: 'written', state, hasWaiting: depth > 0, depth, dueInMs: Number(due_in_ms) }
  })
}

/** An agent may name parts of a second that no integer holds. */
function wholeMs({ retryAfterMs }: { readonly retryAfterMs: number | null }): number | null {
  return retryAfterMs === null ? null : Math.ceil(retryAfterMs)
}

function columnsOf({ outcome }: Settlement) {
  const none = { status: null, response: null, upstreamTaskId: null, reason: null }
  switch (outcome.kind) {
    case 'answered':
      return {
        ...{ kind: 'answered', status: outcome.status },
        // An agent's own word: one that cannot be asked for is none.
        upstreamTaskId: storableTaskId(outcome.upstreamTaskId),
        ...{ response: outcome.response?.toString('base64') ?? null },
        ...{ error: null, reason: null, retryAfterMs: null },
      }
    case 'failed':
      return {
        ...none,
        ...{ kind: outcome.isUndelivered ? 'undelivered' : 'failed', reason: outcome.reason },
        ...{ error: outcome.error, retryAfterMs: null },
      }
    case 'busy':
      return { ...none, kind: 'busy', error: outcome.error, retryAfterMs: wholeMs(outcome) }
    default:
      return { ...none, kind: outcome.kind, error: outcome.error, retryAfterMs: null }
  }
}
