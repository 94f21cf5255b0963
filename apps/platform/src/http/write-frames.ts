/** @module Server-sent events on the raw exchange: held back by a slow client, ended with its right. */
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import type { Clock } from '@atrium/http-kit/clock'
import { SILENCE_MS } from '../services/follow-events.ts'
import { PING_FRAME } from './wire/event.wire.ts'
import { writeAnswer } from './write-answer.ts'

/** Contract/platform 9.4. */
const STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache',
  connection: 'keep-alive',
  'x-accel-buffering': 'no',
} as const

export type FrameStreamDeps = {
  readonly clock: Clock
  readonly clientIdleTimeoutMs: number
}

export type FrameStream<T> = {
  /** Silence is an item as well: between two of them the credential is looked at. */
  readonly items: AsyncGenerator<T, void>
  readonly render: (item: T) => string
  /** Asked every 15 s: whether the credential still opens this stream. */
  readonly isStillAdmitted: () => Promise<boolean>
}

/**
 * Writes frames until somebody ends it. Throws before the head is written what `items` throws before
 * its first item; a client that takes nothing for `clientIdleTimeoutMs` is cut off.
 */
export async function writeFrames<T>(
  deps: FrameStreamDeps,
  exchange: RawExchange,
  stream: FrameStream<T>,
): Promise<void> {
  const { outgoing, incoming } = exchange
  try {
    const first = await stream.items.next()
    if (first.done === true) return
    outgoing.writeHead(200, STREAM_HEADERS)
    if (incoming.method === 'HEAD') {
      outgoing.end()
      return
    }
    const frames = framesOf(deps.clock, stream, first.value)
    await writeAnswer(exchange, frames, deps.clientIdleTimeoutMs)
  } finally {
    await stream.items.return()
  }
}

async function* framesOf<T>(
  clock: Clock,
  stream: FrameStream<T>,
  first: T,
): AsyncGenerator<Buffer> {
  yield Buffer.from(PING_FRAME)
  const items = startingWith(first, stream.items)
  for await (const item of whileAdmitted(clock, stream, items)) {
    yield Buffer.from(stream.render(item))
  }
}

async function* startingWith<T>(first: T, rest: AsyncIterable<T>): AsyncGenerator<T> {
  yield first
  yield* rest
}

/** A credential that was revoked is noticed between two items, of which silence is one. */
async function* whileAdmitted<T>(
  clock: Clock,
  stream: Pick<FrameStream<T>, 'isStillAdmitted'>,
  items: AsyncIterable<T>,
): AsyncGenerator<T> {
  let askedAt = clock.now().getTime()
  for await (const item of items) {
    const now = clock.now().getTime()
    if (now - askedAt >= SILENCE_MS) {
      if (!(await stream.isStillAdmitted())) return
      askedAt = now
    }
    yield item
  }
}
