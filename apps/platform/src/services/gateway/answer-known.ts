/** @module The answer to a message that its sender has sent before (ADR-0032). */

import { isJsonObject, readLossless } from '@atrium/a2a-schema/lossless-json'
import { replaceId } from '@atrium/a2a-schema/replace-id'
import { factsOf } from '@atrium/a2a-schema/result-facts'
import { translateResult } from '@atrium/a2a-schema/translate/result'
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../../db/client.ts'
import { queuePlace } from '../../db/delivery-store.ts'
import type { Delivery } from '../../domain/delivery.ts'
import type { EventFlow, StreamedEvent } from '../../domain/task-stream.ts'
import type { DeliveryLedger } from '../delivery/delivery-ledger.ts'
import { type AgentOfTaskDeps, dialectsOf } from './agent-of-task.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { taskIdOf } from './known-task.ts'
import { resultAnswer } from './own-task.ts'
import { type QueuedReplyDeps, queuedAnswer, wantsEvents } from './queued-answer.ts'
import { queuedFlow } from './queued-stream.ts'
import type { ReadableMessage } from './readable-message.ts'
import { streamAnswer } from './stream-answer.ts'
import { taskAgent } from './task-agent.ts'
import { resultForSender } from './task-alias.ts'

export type KnownDeps = QueuedReplyDeps &
  AgentOfTaskDeps & {
    readonly db: Db
    readonly clock: Clock
    readonly ledger: DeliveryLedger
  }

/** So long a repetition waits for the answer to the first one. */
const JOIN_MS = 600_000
/** An agent that does not say in this time how a task stands is not waited for. */
const ASK_MS = 10_000

/** The same answer under the caller's new id; one that is still on its way is waited for. */
export async function answerKnown(
  deps: KnownDeps,
  message: ReadableMessage,
  known: Delivery,
): Promise<GatewayAnswer> {
  switch (known.state) {
    case 'queued':
    case 'leased':
      return await stillWaiting(deps, message, known)
    case 'dispatched': {
      const deadline = AbortSignal.timeout(JOIN_MS)
      const signal = AbortSignal.any([deadline, message.call.signal])
      const over = await deps.ledger.whenOver(known.id, signal)
      if (over === undefined || over.state === 'dispatched') throw new AppError('workspace_timeout')
      return await answerKnown(deps, message, over)
    }
    case 'completed':
      return known.response === null
        ? await toldInEvents(deps, message, known)
        : answered(deps, message, { response: known.response, status: known.responseStatus ?? 200 })
    default:
      throw endOf(known)
  }
}

async function stillWaiting(
  deps: KnownDeps,
  message: ReadableMessage,
  known: Delivery,
): Promise<GatewayAnswer> {
  const { workspaceId, id: deliveryId, mode } = known
  const queue = mode === 'poll' ? undefined : await queuePlace(deps.db, known)
  const body = queuedAnswer({
    ...{ id: message.given.id, dialect: known.dialect, method: message.given.method },
    ...{ queueId: deliveryId, contextId: known.contextId ?? deliveryId },
    ...{ at: known.enqueuedAt, queue },
  })
  if (!wantsEvents(message)) return { kind: 'json', status: mode === 'poll' ? 200 : 202, body }
  const taskId = taskIdOf(message.request.params)
  const flow = queuedFlow(deps, { workspaceId, deliveryId, taskId, first: body })
  return streamAnswer(deps, message, flow)
}

/** Of what its agent told in events, the ledger keeps nothing: the streams do, and the agent. */
async function toldInEvents(
  deps: KnownDeps,
  message: ReadableMessage,
  known: Delivery,
): Promise<GatewayAnswer> {
  const tell = message.traits.isStreaming ? streamedBefore : taskNow
  const told = known.isStreaming ? await tell(deps, message, known) : undefined
  if (told !== undefined) return told
  throw new AppError('delivery_answer_gone', { extensions: { queue_id: known.id } })
}

/** A stream is told again from its beginning, as far as that is kept, and on to its end. */
async function streamedBefore(
  deps: KnownDeps,
  message: ReadableMessage,
  { workspaceId, id, upstreamTaskId }: Delivery,
): Promise<GatewayAnswer | undefined> {
  const said = taskIdOf(message.request.params)
  for (const taskId of [id, said ?? id, upstreamTaskId ?? id]) {
    const key = { workspaceId, taskId }
    if ((await deps.streams.find(key)) === undefined) continue
    if (!(await deps.streams.isResumable(key, 0))) return undefined
    return streamAnswer(deps, message, deps.streams.follow(key, 0))
  }
  return undefined
}

/** For who asked for events and repeats it without: the task, as its agent says that it is by now. */
async function taskNow(
  deps: KnownDeps,
  message: ReadableMessage,
  { workspaceId, id, upstreamTaskId }: Delivery,
): Promise<GatewayAnswer | undefined> {
  if (upstreamTaskId === null) return undefined
  const { to: dialect } = dialectsOf(deps, message)
  const agent = taskAgent(deps, { workspaceId, upstreamTaskId, dialect })
  const asked = await agent.askTask(AbortSignal.timeout(ASK_MS))
  if (asked.kind !== 'task') return undefined
  const result = translateResult(
    { operation: 'send', result: asked.task },
    dialect,
    message.dialect,
  )
  if (result === undefined) return undefined
  const isOwn = (await deps.streams.find({ workspaceId, taskId: id })) !== undefined
  const known = isOwn ? id : (taskIdOf(message.request.params) ?? upstreamTaskId)
  return resultAnswer(message, resultForSender(result, { known, upstream: upstreamTaskId }))
}

function answered(
  deps: KnownDeps,
  message: ReadableMessage,
  said: { readonly response: Buffer; readonly status: number },
): GatewayAnswer {
  const body = Buffer.from(replaceId(said.response, message.given.id))
  // Who asks for events by now reads nothing else; without an end they would look broken off.
  if (wantsEvents(message) && isWhole(body)) {
    return streamAnswer(deps, message, onlyEvent(body))
  }
  return { kind: 'json', status: said.status, body }
}

/** Whether a stream may end with it. */
function isWhole(body: Buffer): boolean {
  const envelope = readLossless(body.toString('utf8'))
  return isJsonObject(envelope) && factsOf(envelope['result'])?.isFinal === true
}

function onlyEvent(data: Buffer): EventFlow {
  async function* events(): AsyncGenerator<StreamedEvent> {
    yield { seq: undefined, taskId: undefined, data, dialect: '0.3' }
  }
  const flow = events()
  return { [Symbol.asyncIterator]: () => flow, close: () => undefined }
}

function endOf(known: Delivery): AppError {
  const extensions = {
    queue_id: known.id,
    state: known.state,
    ...(known.reason === null ? {} : { reason: known.reason }),
  }
  return new AppError(
    known.reason === 'outcome_unknown' ? 'delivery_outcome_unknown' : 'delivery_failed',
    { extensions },
  )
}
