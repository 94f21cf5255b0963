/** @module The events of a task from a place on, on whichever replica they are read. */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../../db/client.ts'
import { isDatabaseUnavailable } from '../../db/db-error.ts'
import {
  findStream,
  type KeptEvent,
  readTaskEvents,
  type StreamRow,
} from '../../db/task-event-store.ts'
import type { StreamedEvent, TaskKey } from '../../domain/task-stream.ts'
import { readStreamEvent } from './stream-event.ts'
import type { TaskHub } from './task-hub.ts'
import type { TaskTails } from './task-tails.ts'

const PAGE = 100
const RETRY_MS = 1_000

export type FollowDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly tails: TaskTails
  /** The task's hub, where its stream is read by this replica. */
  readonly hubOf: (key: TaskKey) => TaskHub | undefined
  readonly stopping: AbortSignal
}

export type FollowInput = {
  readonly key: TaskKey
  readonly after: number
  /** The reader has left. */
  readonly signal: AbortSignal
}

/**
 * Waits for a stream that has not begun. Throws `stream_overflow` when events have fallen out that
 * the reader has not got, `shutting_down`.
 */
export async function* followTask(
  deps: FollowDeps,
  input: FollowInput,
): AsyncGenerator<StreamedEvent> {
  const { key, signal } = input
  const place: Place = { seq: input.after }
  const watch = deps.tails.watch(key, () => place.seq, signal)
  try {
    while (!signal.aborted) {
      const hub = deps.hubOf(key)
      const isHere = hub?.isKept === true
      const events = isHere
        ? followHub(deps, hub, { key, place, signal })
        : readKept(deps, { key, place, signal })
      if ((yield* events) === 'ended') return
      await watch.rung()
    }
    if (deps.stopping.aborted) throw new AppError('shutting_down')
  } finally {
    watch.close()
  }
}

/** How far the reader has come. */
type Place = { seq: number }

type Reading = Pick<FollowInput, 'key' | 'signal'> & { readonly place: Place }

type Progress = 'ended' | 'waiting'

/** From this replica's own reading of the stream; what went before it from the database. */
async function* followHub(
  deps: FollowDeps,
  hub: TaskHub,
  reading: Reading,
): AsyncGenerator<StreamedEvent, Progress> {
  const { place, signal } = reading
  const isBehind = place.seq < hub.lastSeq
  const reader = hub.read()
  const leave = (): void => reader.close()
  signal.addEventListener('abort', leave, { once: true })
  try {
    if (isBehind) yield* pages(deps, reading)
    for await (const event of reader) {
      if (event.seq !== undefined && event.seq <= place.seq) continue
      place.seq = event.seq ?? place.seq
      yield event
    }
    return signal.aborted ? 'waiting' : 'ended'
  } finally {
    signal.removeEventListener('abort', leave)
    reader.close()
  }
}

/** What another replica has kept so far. */
async function* readKept(
  deps: FollowDeps,
  reading: Reading,
): AsyncGenerator<StreamedEvent, Progress> {
  const row = await unlessAway(deps, () => findStream(deps.db, reading.key))
  if (row === 'away') return 'waiting'
  yield* pages(deps, reading)
  return row === undefined || reading.signal.aborted
    ? 'waiting'
    : progressOf(row, reading.place.seq)
}

function progressOf(row: StreamRow, cursor: number): Progress {
  // What was to be read has fallen out: the reader was too slow for it.
  if (row.lastSeq > cursor) throw new AppError('stream_overflow')
  return row.isEnded ? 'ended' : 'waiting'
}

async function* pages(
  deps: FollowDeps,
  { key, place, signal }: Reading,
): AsyncGenerator<StreamedEvent> {
  while (!signal.aborted) {
    const page = await unlessAway(deps, () =>
      readTaskEvents(deps.db, { ...key, after: place.seq, limit: PAGE }),
    )
    if (page === 'away') continue
    for (const event of page) {
      assertNothingFellOut(event, place.seq)
      place.seq = event.seq
      yield { ...event, taskId: key.taskId }
    }
    if (page.length < PAGE) return
  }
}

/** After a takeover numbers are left out, and the first event then tells the whole task. */
function assertNothingFellOut(event: KeptEvent, cursor: number): void {
  if (event.seq === cursor + 1) return
  const { kind } = readStreamEvent(event.data)
  if (kind !== 'task' && kind !== 'error') throw new AppError('stream_overflow')
}

async function unlessAway<T>(deps: FollowDeps, read: () => Promise<T>): Promise<T | 'away'> {
  try {
    return await read()
  } catch (error) {
    if (!isDatabaseUnavailable(error) || deps.stopping.aborted) throw error
    // Aborted at the end, which its loop looks at.
    await deps.clock.sleep(RETRY_MS, deps.stopping).catch(() => undefined)
    return 'away'
  }
}
