/**
 * @module Following the activity of a workspace without an end: every row after a place once and in
 * order, on any replica. Nothing waits in memory: what a slow follower has not taken is in the log.
 */
import type { Clock } from '@atrium/http-kit/clock'
import { type ActivityQuery, findNewestActivity } from '../db/activity-store.ts'
import type { Db } from '../db/client.ts'
import { isDatabaseUnavailable } from '../db/db-error.ts'
import type { ActivitySource } from '../domain/activity.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import type { StructureEventName } from '../domain/workspace-events.ts'
import type { ActivityBell, BellRope } from './activity-bell.ts'
import { type ActivityPlace, findPassedRow, findPlace, readPage } from './activity-place.ts'
import type { EventBus } from './event-bus.ts'
import type { EventSubscription } from './event-subscription.ts'
import { getWorkspace } from './find-workspace.ts'
import { SILENCE_MS } from './follow-events.ts'
import { LookPace } from './look-pace.ts'
import { type Activity, activityFailure } from './read-activity.ts'

/** What a stream holds of the log at a time: rows, and of their bodies unless one alone is larger. */
const PAGE = 100
const MAX_PAGE_BODY_BYTES = 256 * 1024
const RETRY_MS = 1_000

export type FollowActivityDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly activityBell: ActivityBell
  readonly events: Pick<EventBus, 'subscribe'>
}

export type FollowActivityRequest = {
  readonly workspaceId: WorkspaceId
  readonly activityType: string | undefined
  readonly source: ActivitySource | undefined
  readonly sinceSeconds: number | undefined
  /** undefined: from now on. */
  readonly after: ActivityPlace | undefined
  /** Ends the following. */
  readonly signal: AbortSignal
}

export type FollowedActivity =
  /** Where it begins, when that is a row. */
  | { readonly kind: 'start'; readonly id: string | undefined }
  | { readonly kind: 'row'; readonly row: Activity }
  /** With the last row that was passed over since: coming back, it goes on after that. */
  | { readonly kind: 'silence'; readonly id?: string | undefined }

/**
 * Every row that fits and comes after the place. Ends with the removal of the workspace, at shutdown,
 * and with `signal`. Throws `activity_cursor_gone`, `workspace_not_found`, `too_many_streams`,
 * `too_many_waits`, `shutting_down`, `activity_query_failed` and `platform_unavailable` before the first item; later a
 * database that is away is waited for, and rows that were pruned before they were told break it off.
 */
export async function* followActivity(
  deps: FollowActivityDeps,
  request: FollowActivityRequest,
): AsyncGenerator<FollowedActivity, void> {
  const rope = deps.activityBell.hold(request.workspaceId)
  try {
    yield* followOn(deps, request, rope)
  } finally {
    rope.close()
  }
}

async function* followOn(
  deps: FollowActivityDeps,
  request: FollowActivityRequest,
  rope: BellRope,
): AsyncGenerator<FollowedActivity, void> {
  const subscription = deps.events.subscribe(request.workspaceId)
  const close = (): void => subscription.close()
  request.signal.addEventListener('abort', close)
  try {
    if (request.signal.aborted) return
    const start = await findStart(deps, request)
    yield { kind: 'start', id: start.id }
    const query = queryOf(deps, request)
    yield* followFrom(deps, { request, subscription, rope, query }, start.seq)
  } finally {
    request.signal.removeEventListener('abort', close)
    close()
  }
}

async function findStart(
  { db }: FollowActivityDeps,
  { workspaceId, after }: FollowActivityRequest,
): Promise<{ readonly seq: number; readonly id: string | undefined }> {
  try {
    await getWorkspace(db, workspaceId)
    const seq = await findPlace(db, { workspaceId, after })
    if (seq !== undefined) return { seq, id: idOf(after) }
    return (await findNewestActivity(db, workspaceId)) ?? { seq: 0, id: undefined }
  } catch (error) {
    throw activityFailure(error)
  }
}

function idOf(after: ActivityPlace | undefined): string | undefined {
  return typeof after === 'object' && 'id' in after ? after.id : undefined
}

type Following = {
  readonly request: FollowActivityRequest
  readonly query: Omit<ActivityQuery, 'afterSeq'>
  readonly subscription: EventSubscription
  readonly rope: BellRope
}

function queryOf(
  { clock }: FollowActivityDeps,
  { workspaceId, activityType, source, sinceSeconds }: FollowActivityRequest,
): Following['query'] {
  const now = clock.now().getTime()
  const notBefore = sinceSeconds === undefined ? undefined : new Date(now - sinceSeconds * 1000)
  const bounds = { limit: PAGE, maxBodyBytes: MAX_PAGE_BODY_BYTES }
  return { workspaceId, activityType, source, notBefore, ...bounds }
}

async function* followFrom(
  deps: FollowActivityDeps,
  following: Following,
  start: number,
): AsyncGenerator<FollowedActivity, void> {
  const { request, subscription, rope, query } = following
  const pace = new LookPace(deps.clock)
  let place = start
  let saidAt = deps.clock.now().getTime()
  while (!request.signal.aborted) {
    // Asked first: what was written before the end is still to be told.
    const isLast = isOver(subscription)
    rope.take()
    const next = yield* readOn(deps, following, place)
    if (isLast) return
    if (next !== place) {
      saidAt = deps.clock.now().getTime()
      pace.found()
    }
    place = next
    const silentMs = deps.clock.now().getTime() - saidAt
    if (silentMs < SILENCE_MS) {
      await subscription.wait(SILENCE_MS - silentMs, rope.signal)
      if (!subscription.isEnded) await pace.rest(request.signal)
    }
    // Whatever woke it: what it has nothing to say about does not put the sign of life off.
    else {
      const passed = await unlessAway(findPassedRow(deps.db, { ...query, afterSeq: place }))
      place = passed?.seq ?? place
      yield { kind: 'silence', id: passed?.id }
      saidAt = deps.clock.now().getTime()
    }
  }
}

/** Whether no row can come any more that is not there yet. */
function isOver(subscription: EventSubscription): boolean {
  const { isEnded } = subscription
  const { events } = subscription.take()
  const removed = 'WORKSPACE_REMOVED' satisfies StructureEventName
  return isEnded || events.some(({ type }) => type === removed)
}

/** Tells what is there after `from`, at the follower's own pace; returns the new place. */
async function* readOn(
  deps: FollowActivityDeps,
  { request, subscription, query }: Following,
  from: number,
): AsyncGenerator<FollowedActivity, number> {
  let place = from
  while (!request.signal.aborted) {
    const page = await unlessAway(readPage(deps.db, { ...query, afterSeq: place }))
    if (page?.length === 0) break
    for (const row of page ?? []) {
      place = row.seq
      yield { kind: 'row', row }
    }
    if (page !== undefined) continue
    if (subscription.isEnded) break
    await deps.clock.sleep(RETRY_MS)
    yield { kind: 'silence' }
  }
  return place
}

async function unlessAway<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking
  } catch (error) {
    if (isDatabaseUnavailable(error)) return undefined
    throw error
  }
}
