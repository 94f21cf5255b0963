/** @module Following the events of a workspace, or of all, from a cursor on and without an end. */
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../db/client.ts'
import { isDatabaseUnavailable } from '../db/db-error.ts'
import {
  isResumable,
  type KeptEvent,
  placeWaitingEvents,
  readEventsAfter,
  readHead,
} from '../db/event-store.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import type { ToldEvent } from '../domain/told-event.ts'
import type { StructureEventName } from '../domain/workspace-events.ts'
import type { EventBus } from './event-bus.ts'
import type { EventSubscription, Taken } from './event-subscription.ts'
import { getWorkspace } from './find-workspace.ts'

const PAGE = 100
/** A stream says so often that it is still there (contract/platform 9.4 has no such frame). */
export const SILENCE_MS = 15_000
const RETRY_MS = 1_000

export type FollowDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly events: Pick<EventBus, 'subscribe'>
}

export type Followed =
  /** Where it begins; `isReset`: not where the follower left off, for that is not known any more. */
  | { readonly kind: 'start'; readonly seq: number; readonly isReset: boolean }
  | { readonly kind: 'event'; readonly event: ToldEvent }
  /** So many that are kept nowhere did not fit. */
  | { readonly kind: 'lost'; readonly count: number }
  | { readonly kind: 'silence' }

export type FollowRequest = {
  /** undefined: of all workspaces. */
  readonly workspaceId: WorkspaceId | undefined
  /** The last event that the follower has, as it gave it; undefined: from now on. */
  readonly lastEventId: string | undefined
  /** Ends the following. */
  readonly signal: AbortSignal
}

/**
 * Everything that is told after the cursor: kept events exactly once and in their order, whichever
 * replica they happened on; those that are not kept as far as the follower keeps up. Ends with the
 * removal of the workspace, at shutdown, and with `signal`. Throws `workspace_not_found`,
 * `too_many_streams`, `shutting_down` and errors of the database before the first item only: later it
 * waits for it.
 */
export async function* followEvents(
  deps: FollowDeps,
  request: FollowRequest,
): AsyncGenerator<Followed, void> {
  const subscription = deps.events.subscribe(request.workspaceId)
  const close = (): void => subscription.close()
  request.signal.addEventListener('abort', close)
  try {
    if (request.signal.aborted) return
    // Subscribed first: what gets its place after this was read is in the queue.
    const start = await findStart(deps, request)
    yield { kind: 'start', seq: start.seq, isReset: start.isReset }
    for await (const item of followFrom(deps, { request, subscription }, start)) {
      yield item
      if (isLastOf(request.workspaceId, item)) return
    }
  } finally {
    request.signal.removeEventListener('abort', close)
    close()
  }
}

function isLastOf(workspaceId: WorkspaceId | undefined, item: Followed): boolean {
  if (workspaceId === undefined || item.kind !== 'event') return false
  return item.event.type === ('WORKSPACE_REMOVED' satisfies StructureEventName)
}

type Start = { readonly seq: number; readonly isReset: boolean; readonly isBehind: boolean }

async function findStart(
  deps: FollowDeps,
  request: Pick<FollowRequest, 'workspaceId' | 'lastEventId'>,
): Promise<Start> {
  const { lastEventId } = request
  if (request.workspaceId !== undefined) await getWorkspace(deps.db, request.workspaceId)
  await placeWaitingEvents(deps.db)
  const cursor = lastEventId === undefined ? undefined : parseCursor(lastEventId)
  if (cursor !== undefined && (await isResumable(deps.db, cursor))) {
    return { seq: cursor, isReset: false, isBehind: true }
  }
  const seq = await readHead(deps.db)
  return { seq, isReset: lastEventId !== undefined, isBehind: false }
}

/** A place in the order, or undefined for what was never one. */
function parseCursor(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

type Following = {
  readonly request: FollowRequest
  readonly subscription: EventSubscription
}

async function* followFrom(
  deps: FollowDeps,
  following: Following,
  start: Start,
): AsyncGenerator<Followed, void> {
  const { request, subscription } = following
  let cursor = start.seq
  let isBehind = start.isBehind
  while (!request.signal.aborted) {
    if (isBehind) cursor = yield* catchUp(deps, following, cursor)
    // Asked first: what is offered before the end is still to be taken.
    const { isEnded } = subscription
    const taken = subscription.take()
    cursor = yield* itemsOf(taken, cursor)
    isBehind = taken.hasMissedKept
    if (isBehind) continue
    if (isEnded) return
    if (!(await subscription.wait(SILENCE_MS))) yield { kind: 'silence' }
  }
}

/** What was taken, without what has been read after `from` already; returns the new cursor. */
function* itemsOf(taken: Taken, from: number): Generator<Followed, number> {
  let cursor = from
  for (const event of taken.events) {
    if (event.seq !== undefined && event.seq <= cursor) continue
    cursor = event.seq ?? cursor
    yield { kind: 'event', event }
  }
  if (taken.lost > 0) yield { kind: 'lost', count: taken.lost }
  return cursor
}

/** Reads what is kept after `cursor`, at the follower's own pace; returns the new cursor. */
async function* catchUp(
  deps: FollowDeps,
  { request, subscription }: Following,
  from: number,
): AsyncGenerator<Followed, number> {
  let cursor = from
  while (!request.signal.aborted) {
    const { workspaceId } = request
    const page = await readUnlessAway(deps.db, { after: cursor, limit: PAGE, workspaceId })
    for (const event of page ?? []) {
      cursor = event.seq
      yield { kind: 'event', event }
    }
    if (page !== undefined && page.length < PAGE) break
    if (page !== undefined) continue
    if (subscription.isEnded) break
    await deps.clock.sleep(RETRY_MS)
    yield { kind: 'silence' }
  }
  return cursor
}

async function readUnlessAway(
  db: Db,
  page: Parameters<typeof readEventsAfter>[1],
): Promise<KeptEvent[] | undefined> {
  try {
    return await readEventsAfter(db, page)
  } catch (error) {
    // The bus says so in the log; here it is asked again.
    if (isDatabaseUnavailable(error)) return undefined
    throw error
  }
}
