/**
 * @module What the sender of a message that waits is told: a task that was submitted, for clients of
 * A2A, and beside it the fields of the contract (contract/a2a 2.8; platform 4.4, 4.6).
 */
import type { RpcId } from '@atrium/a2a-schema/json-rpc'
import { syntheticResult } from '@atrium/a2a-schema/synthesise'
import type { Clock } from '@atrium/http-kit/clock'
import type { NewDelivery, WireDialect } from '../../domain/delivery.ts'
import type { Heartbeats } from '../streams/heartbeats.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { taskIdOf } from './known-task.ts'
import { type QueuedStreamDeps, queuedFlow } from './queued-stream.ts'
import type { ReadableMessage } from './readable-message.ts'
import { streamAnswer } from './stream-answer.ts'

export type QueuedMessage = {
  readonly id: RpcId
  readonly dialect: WireDialect
  readonly method: string
  readonly queueId: string
  readonly contextId: string
  readonly at: Date
  /** undefined: it waits for its agent to fetch it. */
  readonly queue: { readonly depth: number; readonly position: number } | undefined
}

const BUSY_TEXT = 'workspace agent busy — request queued, will dispatch when capacity available'

export function queuedAnswer(message: QueuedMessage): Buffer {
  const { dialect, method, queueId, contextId, queue } = message
  const mode = queue === undefined ? 'poll' : 'push'
  const task = {
    taskId: queueId,
    contextId,
    state: 'TASK_STATE_SUBMITTED',
    at: message.at,
    metadata: { delivery_mode: mode, queue_id: queueId },
  } as const
  return Buffer.from(
    JSON.stringify({
      jsonrpc: '2.0',
      id: message.id,
      result: syntheticResult(task, dialect),
      status: 'queued',
      delivery_mode: mode,
      method,
      queue_id: queueId,
      ...(queue === undefined
        ? {}
        : { queued: true, queue_depth: queue.depth, message: BUSY_TEXT, position: queue.position }),
    }),
  )
}

export type QueuedReplyDeps = QueuedStreamDeps & {
  readonly clock: Clock
  readonly heartbeats: Heartbeats
}

/** What is told to who sent it just now: JSON, or events for who asked for them. */
export function queuedReply(
  deps: QueuedReplyDeps,
  message: ReadableMessage,
  queued: {
    readonly delivery: NewDelivery
    /** undefined: it waits for its agent to fetch it. */
    readonly depth?: number
    readonly position?: number
  },
): GatewayAnswer {
  const { delivery, depth, position } = queued
  const { given, dialect } = message
  const isPolled = depth === undefined || position === undefined
  const body = queuedAnswer({
    ...{ id: given.id, dialect, method: given.method, queueId: delivery.id },
    contextId: delivery.contextId ?? delivery.id,
    at: deps.clock.now(),
    queue: isPolled ? undefined : { depth, position },
  })
  if (!wantsEvents(message)) {
    return { kind: 'json', status: isPolled ? 200 : 202, body }
  }
  const { workspaceId, id: deliveryId } = delivery
  const taskId = taskIdOf(message.request.params)
  const flow = queuedFlow(deps, { workspaceId, deliveryId, taskId, first: body })
  return streamAnswer(deps, message, flow)
}

/** Whether the sender asked for events, and can read them. */
export function wantsEvents({ call, traits }: ReadableMessage): boolean {
  return traits.isStreaming && call.headers('accept')?.includes('text/event-stream') === true
}
