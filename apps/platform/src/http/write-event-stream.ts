/** @module Server-sent events on the raw exchange: held back by a slow client, ended with its right. */
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import type { Clock } from '@atrium/http-kit/clock'
import type { WorkspaceId } from '../domain/ids.ts'
import {
  type FollowDeps,
  type Followed,
  followEvents,
  SILENCE_MS,
} from '../services/follow-events.ts'
import { PING_FRAME, renderFrame } from './wire/event.wire.ts'
import { writeAnswer } from './write-answer.ts'

/** Contract/platform 9.4. */
const STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache',
  connection: 'keep-alive',
  'x-accel-buffering': 'no',
} as const

export type EventStreamDeps = FollowDeps & {
  readonly clock: Clock
  readonly clientIdleTimeoutMs: number
}

export type EventStreamRequest = {
  /** undefined: of all workspaces. */
  readonly workspaceId: WorkspaceId | undefined
  readonly lastEventId: string | undefined
  /** Asked every 15 s: whether the credential still opens this stream. */
  readonly isStillAdmitted: () => Promise<boolean>
}

/**
 * Writes events until somebody ends it. Throws before the head is written what `followEvents` throws
 * before its first item; a client that takes nothing for `clientIdleTimeoutMs` is cut off.
 */
export async function writeEventStream(
  deps: EventStreamDeps,
  exchange: RawExchange,
  request: EventStreamRequest,
): Promise<void> {
  const { outgoing, incoming, signal } = exchange
  const followed = followEvents(deps, { ...request, signal })
  try {
    const first = await followed.next()
    if (first.done === true) return
    outgoing.writeHead(200, STREAM_HEADERS)
    if (incoming.method === 'HEAD') {
      outgoing.end()
      return
    }
    const items = whileAdmitted(deps.clock, request, startingWith(first.value, followed))
    const audience = { isOfAll: request.workspaceId === undefined }
    await writeAnswer(exchange, framesOf(items, audience), deps.clientIdleTimeoutMs)
  } finally {
    await followed.return()
  }
}

async function* startingWith<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first
  yield* rest
}

/** A credential that was revoked is noticed between two items, of which silence is one. */
async function* whileAdmitted<T>(
  clock: Clock,
  request: Pick<EventStreamRequest, 'isStillAdmitted'>,
  items: AsyncIterable<T>,
): AsyncGenerator<T> {
  let askedAt = clock.now().getTime()
  for await (const item of items) {
    const now = clock.now().getTime()
    if (now - askedAt >= SILENCE_MS) {
      if (!(await request.isStillAdmitted())) return
      askedAt = now
    }
    yield item
  }
}

async function* framesOf(
  items: AsyncIterable<Followed>,
  audience: { readonly isOfAll: boolean },
): AsyncGenerator<Buffer> {
  yield Buffer.from(PING_FRAME)
  for await (const item of items) yield Buffer.from(renderFrame(item, audience))
}
