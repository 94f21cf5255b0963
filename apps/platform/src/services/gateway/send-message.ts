/**
 * @module A message on its way to an agent that is called (contract/platform 4.2 steps 6 to 8): it
 * is written down, sent, and how that ended is written down (ADR-0032).
 */
import { addAbortSignal, type Readable } from 'node:stream'
import { AppError } from '@atrium/http-kit/app-error'
import type { Claim, NewDelivery } from '../../domain/delivery.ts'
import { discardAnswer } from '../../upstream/agent-client.ts'
import type { DeliveryLedger } from '../delivery/delivery-ledger.ts'
import type { DetachedExchanges } from '../detached-exchanges.ts'
import type { Workspace } from '../find-workspace.ts'
import {
  type ForwardTarget,
  type ForwardTargetDeps,
  resolveForwardTarget,
} from '../resolve-forward-target.ts'
import { outcomeOfFirst, type StreamEvent } from '../streams/stream-event.ts'
import type { TaskTracker } from '../task-tracker.ts'
import { knowsDeliveries } from './agent-card.ts'
import { outcomeOfFailure, passedHeaders } from './agent-exchange.ts'
import { answerKnown } from './answer-known.ts'
import { type AgentCall, type CallAgentDeps, callAgent } from './call-agent.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { newDelivery, senderText } from './new-delivery.ts'
import { queuedAnswer } from './queued-answer.ts'
import type { ReadableMessage } from './readable-message.ts'
import { type RecordDeps, recordExchange } from './record-exchange.ts'

export type SendDeps = ForwardTargetDeps &
  CallAgentDeps &
  RecordDeps & {
    readonly ledger: DeliveryLedger
    readonly detached: DetachedExchanges
    readonly tracker: TaskTracker
  }

/** Of an answer so much is kept for who asks again. */
const MAX_KEPT_BYTES = 1024 * 1024

/** Throws the errors of `resolveForwardTarget` and `exchangeWithAgent`, and those of the ledger. */
export async function sendMessage(
  deps: SendDeps,
  message: ReadableMessage,
): Promise<GatewayAnswer> {
  const target = await messageTarget(deps, message.target)
  const delivery = newDelivery(deps, {
    workspaceId: target.workspaceId,
    sender: message.call.caller,
    given: message.given,
    request: message.request,
    bytes: message.bytes,
    mode: 'push',
    headers: passedHeaders(message.call.headers),
    key: message.call.headers('idempotency-key'),
    isIdempotentAgent: knowsDeliveries(message.target),
    activityId: null,
  })
  const accepted = await deps.ledger.accept(delivery)
  switch (accepted.kind) {
    case 'dispatched':
      return await dispatchNow(deps, { message, target, delivery, claim: accepted.claim })
    case 'queued':
      return waiting(deps, { message, delivery, queue: accepted })
    case 'known':
      return await answerKnown(deps, message, accepted.delivery)
    case 'conflict':
      throw new AppError('idempotency_conflict', { extensions: { queue_id: accepted.id } })
    case 'full':
      throw new AppError('queue_full', { extensions: { queue_depth: accepted.depth } })
    case 'absent':
      throw new AppError('workspace_not_found')
  }
}

/** The contract has its own words for a message that has nowhere to go (4.2 step 6). */
export async function messageTarget(
  deps: ForwardTargetDeps,
  workspace: Workspace,
): Promise<ForwardTarget> {
  try {
    return await resolveForwardTarget(deps, workspace)
  } catch (error) {
    if (error instanceof AppError && error.code === 'workspace_url_missing') {
      throw new AppError('workspace_has_no_url', { extensions: { status: workspace.status } })
    }
    throw error
  }
}

/** What of a call is the same whoever makes it. */
export function callOf(
  message: ReadableMessage,
  target: ForwardTarget,
): Pick<
  AgentCall,
  'target' | 'request' | 'bytes' | 'traits' | 'dialect' | 'id' | 'isIdSent' | 'sender'
> {
  const { request, bytes, traits, dialect, given } = message
  const isIdSent = Object.hasOwn(request.envelope, 'id')
  const sender = senderText(message.call.caller)
  return { target, request, bytes, traits, dialect, id: given.id, isIdSent, sender }
}

type Dispatch = {
  readonly message: ReadableMessage
  readonly target: ForwardTarget
  readonly delivery: NewDelivery
  readonly claim: Claim
}

async function dispatchNow(deps: SendDeps, dispatch: Dispatch): Promise<GatewayAnswer> {
  const { message, target, delivery } = dispatch
  const { signal, requestId } = message.call
  const startedAt = deps.clock.now()
  try {
    const answer = await deps.detached.run(signal, delivery.request.length, (detached) =>
      callAgent(deps, {
        ...callOf(message, target),
        headers: delivery.requestHeaders,
        requestId,
        deliveryId: delivery.id,
        onFirst: (first) => settleStream(deps, dispatch, first),
        signal: detached,
      }),
    )
    if (answer.kind === 'json') settleLater(deps, dispatch, answer)
    recordExchange(deps, { message, startedAt, answer })
    if (answer.kind === 'stream') endWithCaller(answer.body, signal)
    return answer
  } catch (error) {
    const settled = await deps.ledger.settle(dispatch.claim, outcomeOfFailure(error))
    if (settled.kind === 'written' && settled.state === 'queued') {
      return waiting(deps, { message, delivery, queue: { depth: settled.depth, position: 1 } })
    }
    throw error
  }
}

/** The caller does not wait for it: what a crash leaves of it is an answer that nobody missed. */
function settleLater(deps: SendDeps, { claim, delivery }: Dispatch, answer: GatewayAnswer): void {
  const isKept =
    answer.kind === 'json' && delivery.key !== null && answer.body.length <= MAX_KEPT_BYTES
  deps.tracker.run(async () => {
    await deps.ledger.settle(claim, {
      kind: 'answered',
      status: answer.status,
      response: isKept ? answer.body : null,
      upstreamTaskId: (answer.kind === 'json' && answer.facts?.taskId) || null,
    })
  })
}

/** An agent that has begun to tell has the message: what it tells later is its task's affair. */
function settleStream(deps: SendDeps, { claim }: Dispatch, first: StreamEvent | undefined): void {
  deps.tracker.run(async () => {
    await deps.ledger.settle(claim, outcomeOfFirst(first))
  })
}

/** Events that nobody reads any more; the task behind them goes on (contract/a2a 2.7). */
function endWithCaller(events: Readable, signal: AbortSignal): void {
  if (signal.aborted) discardAnswer(events)
  else addAbortSignal(signal, events)
}

function waiting(
  deps: SendDeps,
  {
    message,
    delivery,
    queue,
  }: {
    readonly message: ReadableMessage
    readonly delivery: NewDelivery
    readonly queue: { readonly depth: number; readonly position: number }
  },
): GatewayAnswer {
  const body = queuedAnswer({
    id: message.given.id,
    dialect: delivery.dialect,
    method: message.given.method,
    queueId: delivery.id,
    contextId: delivery.contextId ?? delivery.id,
    at: deps.clock.now(),
    queue: { depth: queue.depth, position: queue.position },
  })
  return { kind: 'json', status: 202, body }
}
