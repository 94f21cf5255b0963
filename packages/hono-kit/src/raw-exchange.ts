/**
 * @module Node's own request and response for routes that move file bytes. Web streams cost two
 * thirds of the throughput (design/performance 1), so those handlers write to `outgoing` and
 * return `RESPONSE_ALREADY_SENT`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { AppError } from '@atrium/http-kit/app-error'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Context } from 'hono'
import type { BaseEnv } from './request-context.ts'

export type RawExchange = {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  /** Aborted when the client's connection closes before the answer was written completely. */
  readonly signal: AbortSignal
}

/**
 * Runs `move` on the raw exchange and waits for it.
 *
 * A failure before the head was written is thrown on to the error renderer; after it, the client
 * must see a broken connection and never a clean short body, so it is broken off.
 */
export async function rawExchange<E extends BaseEnv>(
  c: Context<E>,
  move: (exchange: RawExchange) => Promise<void>,
): Promise<Response> {
  const { incoming, outgoing } = c.env
  if (!isHttp1(incoming, outgoing)) {
    throw new AppError('internal', { internal: 'file routes need a Node HTTP/1.1 server' })
  }
  const gone = new AbortController()
  const onClose = (): void => {
    if (!outgoing.writableFinished) gone.abort(new Error('client disconnected'))
  }
  outgoing.once('close', onClose)
  try {
    if (outgoing.destroyed) onClose()
    await move({ incoming, outgoing, signal: gone.signal })
  } catch (error) {
    // A client that breaks off its own upload is noticed on `incoming` first: nobody is left to be
    // told, and whatever failed because of it is not the workspace's fault.
    const isClientGone = gone.signal.aborted || (incoming.destroyed && !incoming.complete)
    if (!isClientGone && !outgoing.headersSent && !outgoing.destroyed) throw error
    if (isClientGone) c.get('log').info('http.client_gone')
    else c.get('log').warn({ err: error }, 'http.broken_off')
    breakOff(outgoing)
  } finally {
    outgoing.off('close', onClose)
  }
  return RESPONSE_ALREADY_SENT
}

/**
 * To be called before the head of an answer to a body that may not have been read: it must not
 * announce the end of the connection, for the rest is still to be read and dropped (`earlyAnswer`).
 */
export function keepForRest({
  incoming,
  outgoing,
}: Pick<RawExchange, 'incoming' | 'outgoing'>): void {
  if (!incoming.complete) outgoing.shouldKeepAlive = true
}

/**
 * Cuts the client's connection, so that nobody takes what has arrived for all of it. A client of
 * HTTP/1.0 is sent no chunks and knows no other end of such a body than the connection's
 * (RFC 9112 s6.3 rule 8): it must see a reset. Others keep what is still on its way to them.
 */
export function breakOff(outgoing: ServerResponse): void {
  if (outgoing.req.httpVersion === '1.0') outgoing.socket?.resetAndDestroy()
  outgoing.destroy()
}

/** `app.request()` in tests has no socket behind it; HTTP/2 is not mounted by either app. */
function isHttp1(incoming: unknown, outgoing: unknown): outgoing is ServerResponse {
  return (
    typeof incoming === 'object' &&
    incoming !== null &&
    typeof outgoing === 'object' &&
    outgoing !== null &&
    'writeHead' in outgoing &&
    'assignSocket' in outgoing
  )
}
