/**
 * @module The events of a message that has to wait, for a sender who asked for events: that it waits,
 * then what its agent tells as it goes on, or how it ended (contract/a2a 2.8).
 */
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { Delivery } from '../../domain/delivery.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import type { AgentDialect, EventFlow, StreamedEvent } from '../../domain/task-stream.ts'
import type { DeliveryLedger } from '../delivery/delivery-ledger.ts'
import type { TaskStreams } from '../streams/task-streams.ts'
import { taskOfDelivery } from './delivery-task.ts'

export type QueuedStreamDeps = {
  readonly clock: Clock
  readonly ledger: DeliveryLedger
  readonly streams: TaskStreams
}

export type QueuedStream = {
  readonly workspaceId: WorkspaceId
  readonly deliveryId: string
  /** By which the sender knows the task that it belongs to; undefined: it begins one. */
  readonly taskId: string | undefined
  /** The reply that says that it waits. */
  readonly first: Buffer
}

/** A message is settled a moment before its events can be followed: looked for so often. */
const LOOKS = 15
const LOOK_EVERY_MS = 200

type Over = { readonly over: Delivery | undefined }

export function queuedFlow(deps: QueuedStreamDeps, queued: QueuedStream): EventFlow {
  const { workspaceId, deliveryId, taskId } = queued
  const leaving = new AbortController()
  const own = deps.streams.follow({ workspaceId, taskId: deliveryId }, 0)
  const flows = [own]
  async function* events(): AsyncGenerator<StreamedEvent> {
    yield { seq: undefined, taskId: undefined, data: queued.first, dialect: '0.3' }
    const over = deps.ledger
      .whenOver(deliveryId, leaving.signal)
      .then((delivery): Over => ({ over: delivery }))
    const iterator = own[Symbol.asyncIterator]()
    const begun = iterator.next()
    // The one that loses is left alone, and must not be an unhandled rejection.
    begun.catch(() => undefined)
    const first = await Promise.race([begun, over])
    const ended =
      'over' in first ? await afterEnd(deps, { ...first, taskId }, leaving.signal) : undefined
    if (ended !== undefined) {
      flows.push(ended)
      yield* ended
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
      for (const each of flows) each.close()
    },
  }
}

/** What is told of a message that is over; undefined: its events, under its own name. */
async function afterEnd(
  deps: QueuedStreamDeps,
  { over, taskId }: Over & Pick<QueuedStream, 'taskId'>,
  signal: AbortSignal,
): Promise<EventFlow | undefined> {
  if (over === undefined || signal.aborted) return flowOf([])
  return isStreamed(over)
    ? await followedElsewhere(deps, { over, taskId }, signal)
    : flowOf([endOf(over)])
}

function flowOf(events: readonly StreamedEvent[]): EventFlow {
  async function* all(): AsyncGenerator<StreamedEvent> {
    yield* events
  }
  return { [Symbol.asyncIterator]: all, close: () => undefined }
}

/**
 * The events of a message to a task that its sender knew before: they are told under the task's own
 * name. undefined: they are told under that of the delivery. Throws `stream_interrupted` when nobody
 * keeps them.
 */
async function followedElsewhere(
  { clock, streams }: QueuedStreamDeps,
  { over, taskId }: { readonly over: Delivery } & Pick<QueuedStream, 'taskId'>,
  signal: AbortSignal,
): Promise<EventFlow | undefined> {
  const { id, workspaceId, upstreamTaskId, dispatchedAt } = over
  const other = { workspaceId, taskId: taskId ?? upstreamTaskId ?? id }
  const place = await streams.placeAt(other, dispatchedAt ?? clock.now())
  for (let look = 0; look < LOOKS; look += 1) {
    if ((await streams.find({ workspaceId, taskId: id })) !== undefined) return undefined
    const stream = await streams.find(other)
    // One that has ended, with nothing new, is of a message before.
    if (stream !== undefined && (!stream.isEnded || stream.lastSeq > place)) {
      return streams.follow(other, place)
    }
    await clock.sleep(LOOK_EVERY_MS, signal)
  }
  throw new AppError('stream_interrupted')
}

/** Its agent tells of it in events, of which the ledger keeps none. */
function isStreamed(delivery: Delivery): boolean {
  return delivery.state === 'completed' && delivery.isStreaming && delivery.response === null
}

function endOf(delivery: Delivery): StreamedEvent {
  const dialect: AgentDialect = '1.0'
  const result = { task: taskOfDelivery(delivery, dialect) }
  const data = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: null, result }))
  return { seq: undefined, taskId: undefined, data, dialect }
}
