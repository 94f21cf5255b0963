/**
 * @module What the sender of a message that waits is told: a task that was submitted, for clients of
 * A2A, and beside it the fields of the contract (contract/a2a 2.8; platform 4.4, 4.6).
 */
import type { RpcId } from '@atrium/a2a-schema/json-rpc'
import type { WireDialect } from '../../domain/delivery.ts'

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
    id: queueId,
    contextId,
    status: {
      state: dialect === '1.0' ? 'TASK_STATE_SUBMITTED' : 'submitted',
      timestamp: message.at.toISOString(),
    },
    metadata: { delivery_mode: mode, queue_id: queueId },
  }
  return Buffer.from(
    JSON.stringify({
      jsonrpc: '2.0',
      id: message.id,
      result: dialect === '1.0' ? { task } : { kind: 'task', ...task },
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
