/** @module What a request says of the stream of events that it asks for. */
import type { Context } from 'hono'
import { accepts } from 'hono/accepts'

const TYPES = ['application/json', 'text/event-stream']

/** Whether it would rather follow than be answered once (RFC 9110 s12.5.1); a bare wildcard would not. */
export function wantsEventStream(c: Context): boolean {
  const chosen = accepts(c, { header: 'Accept', supports: TYPES, default: 'application/json' })
  return chosen === 'text/event-stream'
}

/** As the standard's clients send it, or as those do that cannot set headers. */
export function lastEventId(c: Context): string | undefined {
  const given = c.req.header('last-event-id') ?? c.req.query('last_event_id')
  return given === '' ? undefined : given
}
