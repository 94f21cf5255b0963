/**
 * @module The events of a message that has to wait, for a sender who asked for events: that it waits,
 * then what its agent tells as it goes on, or how it ended (contract/a2a 2.8).
 */
import type { Delivery } from '../../domain/delivery.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import type { AgentDialect, EventFlow, StreamedEvent } from '../../domain/task-stream.ts'
import type { DeliveryLedger } from '../delivery/delivery-ledger.ts'
import type { TaskStreams } from '../streams/task-streams.ts'
import { taskOfDelivery } from './delivery-task.ts'

export type QueuedStreamDeps = {
  readonly ledger: DeliveryLedger
  readonly streams: TaskStreams
}

export type QueuedStream = {
  readonly workspaceId: WorkspaceId
  readonly deliveryId: string
  /** The reply that says that it waits. */
  readonly first: Buffer
}

type Over = { readonly over: Delivery | undefined }

export function queuedFlow(deps: QueuedStreamDeps, queued: QueuedStream): EventFlow {
  const leaving = new AbortController()
  const key = { workspaceId: queued.workspaceId, taskId: queued.deliveryId }
  const told = deps.streams.follow(key, 0)
  async function* events(): AsyncGenerator<StreamedEvent> {
    yield { seq: undefined, taskId: undefined, data: queued.first, dialect: '0.3' }
    const over = deps.ledger
      .whenOver(queued.deliveryId, leaving.signal)
      .then((delivery): Over => ({ over: delivery }))
    const iterator = told[Symbol.asyncIterator]()
    const begun = iterator.next()
    // The one that loses is left alone, and must not be an unhandled rejection.
    begun.catch(() => undefined)
    const first = await Promise.race([begun, over])
    if ('over' in first && !isStreamed(first.over)) {
      if (first.over !== undefined && !leaving.signal.aborted) yield endOf(first.over)
      return
    }
    const next = await begun
    if (next.done !== true) yield next.value
    yield* { [Symbol.asyncIterator]: () => iterator }
  }
  const flow = events()
  return {
    [Symbol.asyncIterator]: () => flow,
    close: () => {
      leaving.abort()
      told.close()
    },
  }
}

/** Its agent tells of it in events, of which the ledger keeps none. */
function isStreamed(delivery: Delivery | undefined): boolean {
  return delivery?.state === 'completed' && delivery.isStreaming && delivery.response === null
}

function endOf(delivery: Delivery): StreamedEvent {
  const dialect: AgentDialect = '1.0'
  const result = { task: taskOfDelivery(delivery, dialect) }
  const data = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: null, result }))
  return { seq: undefined, taskId: undefined, data, dialect }
}
