/**
 * @module The audit trail: every mint, rotation and revocation of a credential, written with the
 * change itself. Refused uses come through `refused-uses.ts`.
 */
import type { Clock, Ids } from '@atrium/http-kit/clock'
import {
  type AuditCursor,
  type AuditRow,
  insertAuditEvents,
  listAuditEvents,
  purgeAuditEvents,
} from '../db/audit-store.ts'
import type { Db } from '../db/client.ts'
import { type AuditActor, type CredentialAction, PLATFORM_ACTOR } from '../domain/audit.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import { pruneOldRows } from './prune-old-rows.ts'

export type AuditDeps = { readonly db: Db; readonly clock: Clock; readonly ids: Ids }

/** On whose behalf something is done. */
export type AuditContext = { readonly actor: AuditActor; readonly requestId?: string | undefined }

/**
 * Writes one event. `deps.db` is the caller's transaction: the trail holds exactly what happened,
 * and what it cannot note does not happen. `subject` is the id or the prefix of a credential, never
 * more of it.
 */
export async function recordAudit(
  deps: AuditDeps,
  event: {
    readonly action: CredentialAction
    readonly workspaceId?: WorkspaceId
    readonly subject?: string
    /** How many credentials it was; 1 unless given. */
    readonly count?: number
    readonly detail?: Readonly<Record<string, unknown>>
    /** The platform itself unless given. */
    readonly by?: AuditContext | undefined
  },
): Promise<void> {
  const by = event.by ?? { actor: PLATFORM_ACTOR }
  await insertAuditEvents(deps.db, [
    {
      id: deps.ids.uuid(),
      occurredAt: deps.clock.now(),
      action: event.action,
      outcome: 'ok',
      actorKind: by.actor.kind,
      actorId: by.actor.id,
      workspaceId: event.workspaceId ?? null,
      subject: event.subject ?? null,
      count: event.count ?? 1,
      detail: event.detail ?? null,
      requestId: by.requestId ?? null,
    },
  ])
}

export type AuditPage = {
  readonly events: readonly AuditRow[]
  /** Present when there is more. */
  readonly next: AuditCursor | undefined
}

/** One page of the trail, newest first. */
export async function readAuditTrail(
  db: Db,
  query: Parameters<typeof listAuditEvents>[1],
): Promise<AuditPage> {
  const rows = await listAuditEvents(db, { ...query, limit: query.limit + 1 })
  const events = rows.slice(0, query.limit)
  return { events, next: rows.length > query.limit ? events.at(-1) : undefined }
}

const PURGE_BATCH = 5_000

/** Forgets what is older than `auditRetentionDays`. One pass. */
export async function purgeAuditTrail(
  deps: Pick<AuditDeps, 'db' | 'clock'> & { readonly auditRetentionDays: number },
  signal: AbortSignal,
): Promise<{ readonly deleted: number }> {
  const retention = { days: deps.auditRetentionDays, batch: PURGE_BATCH, signal }
  return pruneOldRows(deps.clock, retention, (old) => purgeAuditEvents(deps.db, old))
}
