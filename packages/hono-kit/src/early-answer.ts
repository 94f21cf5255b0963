/** @module Lets an answer arrive that is given before the request body was read. */
import { releaseChunk } from '@atrium/http-kit/release-chunk'
import type { MiddlewareHandler } from 'hono'
import { keepForRest, type RawExchange } from './raw-exchange.ts'
import type { BaseEnv } from './request-context.ts'

export type EarlyAnswerDeadlines = {
  /** How long a client may go on sending a body that has been answered already. */
  readonly lingerMs: number
  /** And how long it may be silent meanwhile: at least so long, at most twice. */
  readonly silenceMs: number
}

const DEFAULT_DEADLINES: EarlyAnswerDeadlines = { lingerMs: 30_000, silenceMs: 5_000 }

/**
 * Node destroys the socket of a `Connection: close` exchange as soon as the answer is written. When
 * the client is still sending, the kernel answers its unread bytes with a reset, and that can
 * overtake the answer: the client sees a broken connection in place of a 401 or 413 (RFC 9112 s9.6).
 * Kept alive instead, the rest is read and dropped for a bounded time; then the connection ends.
 */
export function earlyAnswer(
  deadlines: EarlyAnswerDeadlines = DEFAULT_DEADLINES,
): MiddlewareHandler<BaseEnv> {
  return async function earlyAnswerMiddleware(c, next) {
    await next()
    const { incoming, outgoing } = c.env
    if (incoming.complete || !('shouldKeepAlive' in outgoing) || !('complete' in incoming)) return
    if (!outgoing.headersSent) keepForRest({ incoming, outgoing })
    dropRest({ incoming, outgoing }, deadlines)
  }
}

/** From the end of the answer on; a body that is read by then was wanted after all. */
function dropRest(
  { incoming, outgoing }: Pick<RawExchange, 'incoming' | 'outgoing'>,
  { lingerMs, silenceMs }: EarlyAnswerDeadlines,
): void {
  const drop = (): void => {
    if (incoming.complete || incoming.destroyed) return
    const { socket } = incoming
    const cut = (): void => socket.destroySoon()
    const linger = setTimeout(cut, lingerMs)
    // Asked of the socket: of a body that nobody has begun to read, Node lets no byte through.
    let heardBytes = socket.bytesRead
    const silence = setInterval(() => {
      if (socket.bytesRead === heardBytes) cut()
      heardBytes = socket.bytesRead
    }, silenceMs)
    // Whoever read the body has stopped: it would only pause it again, or keep what comes.
    incoming.removeAllListeners('data').on('data', releaseChunk)
    for (const event of ['end', 'close']) {
      incoming.once(event, () => {
        clearTimeout(linger)
        clearInterval(silence)
      })
    }
    incoming.resume()
  }
  if (outgoing.writableFinished) drop()
  else outgoing.once('finish', drop)
}
