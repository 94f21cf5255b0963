/** @module The gateway's answer as HTTP: JSON, or events as they come (contract/a2a 2.7). */
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import type { GatewayAnswer } from '../services/gateway/gateway-call.ts'
import { piecesOf, writeAnswer } from './write-answer.ts'

export const EVENT_STREAM_HEADERS = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
  'X-Accel-Buffering': 'no',
} as const

/** Writes the whole answer. Throws as `writeAnswer` does. */
export async function writeA2aAnswer(
  exchange: RawExchange,
  answer: GatewayAnswer & { readonly contentType?: string },
  stallMs: number,
): Promise<void> {
  const { outgoing, signal } = exchange
  signal.throwIfAborted()
  if (answer.kind === 'json') {
    outgoing.writeHead(answer.status, {
      ...answer.headers,
      'Content-Type': answer.contentType ?? 'application/json',
      'Content-Length': answer.body.length,
    })
    await writeAnswer(exchange, piecesOf(answer.body), stallMs)
    return
  }
  outgoing.writeHead(answer.status, { ...answer.headers, ...EVENT_STREAM_HEADERS })
  outgoing.flushHeaders()
  await writeAnswer(exchange, answer.body, stallMs)
}
