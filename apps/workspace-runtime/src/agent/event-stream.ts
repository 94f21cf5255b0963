/** @module Server-sent events with back-pressure and signs of life (contract/a2a 2.7). */
import { once } from 'node:events'
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'

export type EventStreamOptions = {
  /** After so long without an event a comment is sent, so that nobody in between hangs up. */
  readonly heartbeatMs: number
  /** A client that takes nothing for so long is given up. */
  readonly stallMs: number
}

const HEAD = Object.freeze({
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-store',
  'X-Accel-Buffering': 'no',
})

/**
 * Sends each element as one `data:` event and ends the response. When the client goes away the
 * source is still read to its end: what it reports belongs to the task, not to this client.
 */
export async function sendEvents(
  exchange: RawExchange,
  events: AsyncIterable<string>,
  options: EventStreamOptions,
): Promise<void> {
  const { outgoing, signal } = exchange
  const client = new EventClient(exchange, options)
  outgoing.writeHead(200, HEAD)
  outgoing.flushHeaders()
  try {
    for await (const event of events) {
      if (!signal.aborted) await client.send(`data: ${event}\n\n`)
    }
  } finally {
    client.stop()
  }
  if (!signal.aborted) outgoing.end()
}

class EventClient {
  readonly #exchange: RawExchange
  readonly #stallMs: number
  readonly #heartbeat: NodeJS.Timeout

  constructor(exchange: RawExchange, options: EventStreamOptions) {
    this.#exchange = exchange
    this.#stallMs = options.stallMs
    this.#heartbeat = setInterval(() => this.#beat(), options.heartbeatMs)
  }

  async send(frame: string): Promise<void> {
    const { outgoing, signal } = this.#exchange
    this.#heartbeat.refresh()
    if (outgoing.write(frame)) return
    const stalled = AbortSignal.timeout(this.#stallMs)
    try {
      await once(outgoing, 'drain', { signal: AbortSignal.any([signal, stalled]) })
    } catch (error) {
      // Gone or stalled: the client is cut off, the source goes on.
      if (!signal.aborted && !stalled.aborted) throw error
      outgoing.destroy()
    }
  }

  stop(): void {
    clearInterval(this.#heartbeat)
  }

  /** A comment to a client that does not keep up would only lengthen the queue. */
  #beat(): void {
    const { outgoing, signal } = this.#exchange
    if (!signal.aborted && !outgoing.writableNeedDrain) outgoing.write(': hb\n\n')
  }
}
