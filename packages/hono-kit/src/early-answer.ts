/** @module Lets an answer arrive that is given before the request body was read. */
import type { MiddlewareHandler } from 'hono'
import type { BaseEnv } from './request-context.ts'

/**
 * Node destroys the socket of a `Connection: close` exchange as soon as the answer is written. When
 * the client is still sending, the kernel answers its unread bytes with a reset, and that can
 * overtake the answer: the client sees a broken connection in place of a 401 or 413 (RFC 9112 s9.6).
 * Kept alive instead, the rest is read and dropped, by node-server for at most half a second and
 * 64 MiB; then the connection ends.
 */
export function earlyAnswer(): MiddlewareHandler<BaseEnv> {
  return async function earlyAnswerMiddleware(c, next) {
    await next()
    const { incoming, outgoing } = c.env
    if (!incoming.complete && 'shouldKeepAlive' in outgoing && !outgoing.headersSent) {
      outgoing.shouldKeepAlive = true
    }
  }
}
