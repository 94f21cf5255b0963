/** @module Beats of many workspaces in one statement, the check of their tokens included. */
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import type { WorkspaceId } from '../domain/ids.ts'
import type { WorkspaceStatus } from '../domain/workspace-status.ts'
import type { Sql } from './client.ts'

/** One beat, every value already one that its column takes. */
export type BeatRecord = {
  readonly workspaceId: WorkspaceId
  /** SHA-256 of the credential that came with it; null when none did. */
  readonly tokenHash: Buffer | null
  /** Of the box that beats, where it says so. */
  readonly generation: number | null
  readonly errorRate: number
  readonly sampleError: string
  readonly activeTasks: number
  readonly uptimeSeconds: number
  readonly currentTask: string
  /** null keeps what is stored. */
  readonly monthlySpend: number | null
  /** JSON; null clears what is stored. */
  readonly runtimeMetadata: string | null
}

/** What the row says once the beat is in it: enough to decide on its status and its secret. */
export type BeatenWorkspace = {
  readonly id: string
  readonly status: WorkspaceStatus
  readonly generation: number
  readonly runtimeKind: string
  readonly deliveryMode: DeliveryMode | null
  readonly endpointUrl: string | null
  readonly boxAddress: string | null
  readonly inboundSecretCurrent: string | null
  readonly inboundSecretPrevious: string | null
  readonly inboundSecretDeliveredAt: string | null
  readonly inboundSecretAcknowledgedAt: string | null
  readonly formerTask: string
  /** Messages wait for it, and by its own word it has room. */
  readonly hasRoomForWaiting: boolean
}

export type StoredBeats = {
  /** Indexes of the beats whose token is a live one of the workspace that they name. */
  readonly admitted: ReadonlySet<number>
  /** By workspace: the row after its last admitted beat, when it is live and of that generation. */
  readonly stored: ReadonlyMap<string, BeatenWorkspace>
}

/** So coarse that beats do not become writes to a second table: the row's own beat says it finer. */
const LAST_USED_RESOLUTION_MS = 10 * 60_000

type ResultRow = BeatenWorkspace & { readonly admitted: readonly string[] | null }

/**
 * Stores beats: one statement, one transaction, however many there are. Of several admitted ones of
 * one workspace the last is stored. Waits for the lock of a row at most `lockTimeoutMs`, and then
 * throws SQLSTATE 55P03 having stored nothing. No indexed column is written, so that the rows stay
 * where they are (HOT); `tests/integration/platform/beat-store.test.ts` holds that.
 */
export async function storeBeats(
  sql: Sql,
  input: {
    readonly beats: readonly BeatRecord[]
    readonly now: Date
    readonly lockTimeoutMs: number
    /** Also admits beats of a workspace that has no live token (development only). */
    readonly isBootstrapOpen: boolean
  },
): Promise<StoredBeats> {
  const { beats } = input
  const now = input.now.toISOString()
  const unusedSince = new Date(input.now.getTime() - LAST_USED_RESOLUTION_MS).toISOString()
  const rows = await sql<ResultRow[]>`
    WITH patience AS MATERIALIZED (
      SELECT set_config('lock_timeout', ${String(input.lockTimeoutMs)}, true)
    ), beat AS (
      SELECT b.* FROM patience, unnest(
        ${beats.map((each) => each.workspaceId)}::uuid[],
        ${beats.map((each) => each.tokenHash?.toString('hex') ?? null)}::text[],
        ${beats.map((each) => each.generation)}::integer[],
        ${beats.map((each) => each.errorRate)}::double precision[],
        ${beats.map((each) => each.sampleError)}::text[],
        ${beats.map((each) => each.activeTasks)}::integer[],
        ${beats.map((each) => each.uptimeSeconds)}::integer[],
        ${beats.map((each) => each.currentTask)}::text[],
        ${beats.map((each) => each.monthlySpend)}::bigint[],
        ${beats.map((each) => each.runtimeMetadata)}::text[]
      ) WITH ORDINALITY AS b (workspace_id, token_hash, generation, error_rate, sample_error,
        active_tasks, uptime_seconds, current_task, monthly_spend, runtime_metadata, ord)
    ), admitted AS MATERIALIZED (
      SELECT b.*, t.id AS token_id
        FROM beat b LEFT JOIN workspace_auth_tokens t
          ON t.token_hash = decode(b.token_hash, 'hex') AND t.workspace_id = b.workspace_id
         AND t.revoked_at IS NULL
       WHERE t.id IS NOT NULL ${input.isBootstrapOpen ? orTokenless(sql) : sql``}
    ), last_beat AS (
      SELECT DISTINCT ON (workspace_id) * FROM admitted ORDER BY workspace_id, ord DESC
    ), stored AS (
      UPDATE workspaces w
         SET last_error_rate = b.error_rate, last_sample_error = b.sample_error,
             active_tasks = b.active_tasks, uptime_seconds = b.uptime_seconds,
             current_task = b.current_task,
             monthly_spend = coalesce(b.monthly_spend, w.monthly_spend),
             runtime_metadata = b.runtime_metadata::jsonb,
             last_activity_at = CASE WHEN greatest(b.active_tasks, w.active_tasks) > 0
               THEN greatest(w.last_activity_at, ${now}::timestamptz)
               ELSE w.last_activity_at END,
             last_heartbeat_at = ${now}::timestamptz, updated_at = ${now}::timestamptz
        FROM last_beat b JOIN workspaces former ON former.id = b.workspace_id
       WHERE w.id = b.workspace_id AND w.status <> 'removed'
         AND w.generation = coalesce(b.generation, w.generation)
      RETURNING w.id, w.status, w.generation, w.runtime_kind, w.delivery_mode, w.endpoint_url,
        w.box_address, w.inbound_secret_current, w.inbound_secret_previous,
        w.inbound_secret_delivered_at, w.inbound_secret_acknowledged_at, former.current_task,
        b.token_id, w.active_tasks < w.max_concurrent_tasks AND EXISTS (
          SELECT 1 FROM a2a_deliveries d WHERE d.workspace_id = w.id AND d.state = 'queued'
             AND d.delivery_mode = 'push') AS has_room_for_waiting
    ), used AS (
      UPDATE workspace_auth_tokens t SET last_used_at = ${now}::timestamptz
        FROM stored s
       WHERE t.id = s.token_id
         AND (t.last_used_at IS NULL OR t.last_used_at < ${unusedSince}::timestamptz)
    )
    SELECT id, status, generation, runtime_kind AS "runtimeKind", delivery_mode AS "deliveryMode",
           endpoint_url AS "endpointUrl", box_address AS "boxAddress",
           inbound_secret_current AS "inboundSecretCurrent",
           inbound_secret_previous AS "inboundSecretPrevious",
           inbound_secret_delivered_at AS "inboundSecretDeliveredAt",
           inbound_secret_acknowledged_at AS "inboundSecretAcknowledgedAt",
           current_task AS "formerTask", has_room_for_waiting AS "hasRoomForWaiting", NULL::bigint[] AS admitted
      FROM stored
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           array_agg(ord)
      FROM admitted`
  return resultOf(rows)
}

function orTokenless(sql: Sql) {
  return sql`OR NOT EXISTS (
    SELECT 1 FROM workspace_auth_tokens live
     WHERE live.workspace_id = b.workspace_id AND live.revoked_at IS NULL)`
}

function resultOf(rows: readonly ResultRow[]): StoredBeats {
  const stored = new Map<string, BeatenWorkspace>()
  let admitted: ReadonlySet<number> = new Set()
  for (const row of rows) {
    if (row.id !== null) stored.set(row.id, row)
    // Ordinals count from one.
    else admitted = new Set((row.admitted ?? []).map((ord) => Number(ord) - 1))
  }
  return { admitted, stored }
}
