/** @module The events of workspaces as a stream (contract/platform 9.4). */
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import type { WorkspaceId } from '../domain/ids.ts'
import { type FollowDeps, followEvents } from '../services/follow-events.ts'
import { renderFrame } from './wire/event.wire.ts'
import { type FrameStreamDeps, writeFrames } from './write-frames.ts'

export type EventStreamDeps = FollowDeps & FrameStreamDeps

export type EventStreamRequest = {
  /** undefined: of all workspaces. */
  readonly workspaceId: WorkspaceId | undefined
  readonly lastEventId: string | undefined
  readonly isStillAdmitted: () => Promise<boolean>
}

/** Writes events until somebody ends it. Throws before the head what `followEvents` throws. */
export async function writeEventStream(
  deps: EventStreamDeps,
  exchange: RawExchange,
  request: EventStreamRequest,
): Promise<void> {
  const audience = { isOfAll: request.workspaceId === undefined }
  await writeFrames(deps, exchange, {
    items: followEvents(deps, { ...request, signal: exchange.signal }),
    render: (item) => renderFrame(item, audience),
    isStillAdmitted: request.isStillAdmitted,
  })
}
