/** @module Events in JSON (contract/platform 9.1) and as frames of a stream (9.4). */
import { z } from 'zod'
import type { ToldEvent } from '../../domain/told-event.ts'
import type { Followed } from '../../services/follow-events.ts'

export const eventResponse = z
  .object({
    event: z.string(),
    workspace_id: z.uuid().nullable(),
    timestamp: z.iso.datetime(),
    payload: z.unknown(),
  })
  .meta({ id: 'Event' })

export function renderEvent(event: ToldEvent): z.input<typeof eventResponse> {
  return {
    event: event.type,
    workspace_id: event.workspaceId,
    timestamp: event.timestamp.toISOString(),
    payload: event.payload,
  }
}

/** The first frame that the contract asks for; also told to proxies that wait for a first byte. */
export const PING_FRAME = ': ping\n\n'
export const KEEP_ALIVE_FRAME = ': keep-alive\n\n'

/**
 * A frame of a stream. `id` is there where a follower can resume: with every kept event, and alone
 * at the start, where a browser takes it without being told of anything (HTML s9.2.6).
 */
export function renderFrame(item: Followed, audience: { readonly isOfAll: boolean }): string {
  switch (item.kind) {
    case 'silence':
      return KEEP_ALIVE_FRAME
    case 'start':
      return item.isReset
        ? `id: ${item.seq}\nevent: reset\ndata: ${JSON.stringify({ reason: 'unknown_event_id' })}\n\n`
        : `id: ${item.seq}\n\n`
    case 'lost':
      return `event: lost\ndata: ${JSON.stringify({ count: item.count })}\n\n`
    case 'event':
      return eventFrame(item.event, audience.isOfAll)
  }
}

function eventFrame(event: ToldEvent, isOfAll: boolean): string {
  const data = {
    type: event.type,
    timestamp: event.timestamp.getTime(),
    ...(isOfAll ? { workspace_id: event.workspaceId } : {}),
    data: event.payload,
  }
  const id = event.seq === undefined ? '' : `id: ${event.seq}\n`
  return `${id}data: ${JSON.stringify(data)}\n\n`
}
