/** @module A page of a workspace's activity, at once or as soon as there is one (contract/platform 5.1). */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { ActivityQuery } from '../db/activity-store.ts'
import type { Db } from '../db/client.ts'
import { isDatabaseUnavailable, loggableDatabaseError } from '../db/db-error.ts'
import type { ActivityRow } from '../db/schema.ts'
import { isTokenLive } from '../db/token-store.ts'
import type { ActivitySource } from '../domain/activity.ts'
import type { Caller } from '../domain/caller.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import type { ActivityBell, BellRope } from './activity-bell.ts'
import { type ActivityPlace, findPassedRow, findPlace, readPage } from './activity-place.ts'
import { LookPace, sleepUnless } from './look-pace.ts'

/** An activity as the service floor hands it out. */
export type Activity = ActivityRow

export type ActivityPage = {
  readonly rows: readonly Activity[]
  /** Of a page in order: the last row that was looked at, when that is another than before. */
  readonly nextId: string | undefined
}

/** Of the bodies on one page; a feed of large messages comes in more pages. */
const MAX_PAGE_BODY_BYTES = 8 * 1024 * 1024
/** How soon a wait notices that the platform stops. */
const SLICE_MS = 1_000
/** The bell is a hint: so often a wait looks without having heard anything. */
const SLICES_BETWEEN_LOOKS = 5

export type ReadActivityDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly activityBell: ActivityBell
  readonly isShuttingDown: () => boolean
}

export type ActivityRequest = {
  readonly workspaceId: WorkspaceId
  readonly activityType: string | undefined
  readonly source: ActivitySource | undefined
  readonly limit: number
  readonly sinceSeconds: number | undefined
  /** Rows after it, in order. Without it the newest come first. */
  readonly after: ActivityPlace | undefined
  /** Admitted when the request came; a token that is revoked while it waits gets nothing more. */
  readonly caller: Caller
  /** How long to wait while there is nothing to tell. */
  readonly waitMs: number
  /** Aborted when the client has left. */
  readonly signal: AbortSignal
}

/**
 * Rows that fit the request; none when nothing came in time. Throws `activity_cursor_gone` for a
 * cursor that is unknown, pruned or of another workspace alike, `activity_query_failed`,
 * `platform_unavailable`, `too_many_waits`, `invalid_workspace_token` when the token was revoked while it waited.
 */
export async function readActivity(
  deps: ReadActivityDeps,
  request: ActivityRequest,
): Promise<ActivityPage> {
  // Held before the first look: what is written in between rings.
  const rope = request.waitMs > 0 ? deps.activityBell.hold(request.workspaceId) : undefined
  try {
    const query = await queryOf(deps, request)
    const look = () => readPage(deps.db, query)
    const rows = await look()
    if (rows.length > 0 || rope === undefined) return await pageOf(deps.db, query, rows)
    const awaited = await wait(deps, { request, rope, look })
    if (awaited.length > 0) await requireLive(deps, request.caller)
    return await pageOf(deps.db, query, awaited)
  } catch (error) {
    throw activityFailure(error)
  } finally {
    rope?.close()
  }
}

/** What is said when the log could not be read: `activity_query_failed`, `platform_unavailable`. */
export function activityFailure(error: unknown): AppError {
  if (error instanceof AppError) return error
  const code = isDatabaseUnavailable(error) ? 'platform_unavailable' : 'activity_query_failed'
  return new AppError(code, { cause: loggableDatabaseError(error) })
}

async function requireLive({ db }: ReadActivityDeps, caller: Caller): Promise<void> {
  if (!('tokenId' in caller) || (await isTokenLive(db, caller.tokenId))) return
  throw new AppError('invalid_workspace_token')
}

async function pageOf(
  db: Db,
  query: ActivityQuery,
  rows: readonly Activity[],
): Promise<ActivityPage> {
  if (query.afterSeq === undefined) return { rows, nextId: undefined }
  const last = rows.at(-1) ?? (await findPassedRow(db, query))
  return { rows, nextId: last?.id }
}

type Look = () => Promise<Activity[]>

async function queryOf(deps: ReadActivityDeps, request: ActivityRequest): Promise<ActivityQuery> {
  const { workspaceId, sinceSeconds } = request
  return {
    workspaceId,
    activityType: request.activityType,
    source: request.source,
    limit: request.limit,
    afterSeq: await findPlace(deps.db, request),
    notBefore:
      sinceSeconds === undefined
        ? undefined
        : new Date(deps.clock.now().getTime() - sinceSeconds * 1000),
    maxBodyBytes: MAX_PAGE_BODY_BYTES,
  }
}

async function wait(
  deps: ReadActivityDeps,
  waiting: { readonly request: ActivityRequest; readonly rope: BellRope; readonly look: Look },
): Promise<Activity[]> {
  const { request, rope, look } = waiting
  const deadlineMs = deps.clock.now().getTime() + request.waitMs
  const pace = new LookPace(deps.clock)
  for (let slice = 1; ; slice += 1) {
    const leftMs = deadlineMs - deps.clock.now().getTime()
    if (leftMs <= 0 || request.signal.aborted || deps.isShuttingDown()) return []
    const woken = AbortSignal.any([rope.signal, request.signal])
    await sleepUnless(deps.clock, Math.min(leftMs, SLICE_MS), woken)
    if (!rope.take() && slice % SLICES_BETWEEN_LOOKS !== 0) continue
    await pace.rest(request.signal)
    // What rang meanwhile is seen by this look.
    rope.take()
    const rows = await look()
    if (rows.length > 0) return rows
  }
}
