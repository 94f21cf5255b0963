/** @module A message that was written down, sent at once, and how that ended (ADR-0032). */
import { AppError, findAppError } from '@atrium/http-kit/app-error'
import type { Logger } from 'pino'
import { findDelivery, queuePlace } from '../../db/delivery-store.ts'
import type { Settled } from '../../db/delivery-writes.ts'
import { type Claim, isFinalState, isKept, type NewDelivery } from '../../domain/delivery.ts'
import type { DeliveryLedger } from '../delivery/delivery-ledger.ts'
import type { ForwardTarget } from '../resolve-forward-target.ts'
import { outcomeOfFirst, type StreamEvent } from '../streams/stream-event.ts'
import { outcomeOfFailure } from './agent-exchange.ts'
import type { AskDeps } from './ask-agent.ts'
import { callAgent } from './call-agent.ts'
import { endWithCaller } from './end-with-caller.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { callOf } from './message-target.ts'
import { type NoteTaskDeps, noteTask } from './note-task.ts'
import { queuedReply } from './queued-answer.ts'
import type { ReadableMessage } from './readable-message.ts'
import { askedIn, recordExchange, recordFailure } from './record-exchange.ts'
import type { TaskAlias } from './task-alias.ts'

export type DispatchDeps = AskDeps &
  NoteTaskDeps & { readonly ledger: DeliveryLedger; readonly log: Logger }

export type Dispatch = {
  readonly message: ReadableMessage
  readonly target: ForwardTarget
  readonly delivery: NewDelivery
  readonly claim: Claim
  /** Of the task that the message belongs to. */
  readonly alias: TaskAlias | undefined
  /** Nobody knows yet what to call that task: the message has to wait with it. */
  readonly isTaskUnnamed: boolean
}

export async function dispatchNow(deps: DispatchDeps, dispatch: Dispatch): Promise<GatewayAnswer> {
  const { message, delivery } = dispatch
  const startedAt = deps.clock.now()
  try {
    const answer = await send(deps, dispatch)
    recordExchange(deps, { asked: askedIn(message), startedAt, answer })
    noteTask(deps, message, answer)
    if (answer.kind === 'json') settleLater(deps, dispatch, answer)
    else endWithCaller(answer.body, message.call.signal)
    return answer
  } catch (error) {
    const settled = await deps.ledger.settle(dispatch.claim, outcomeOfFailure(error))
    const place = await placeOf(deps, delivery, settled)
    if (place !== undefined) {
      const { code, cause } = findAppError(error) ?? {}
      deps.log.info({ request_id: message.call.requestId, code, err: cause }, 'delivery.not_taken')
      return queuedReply(deps, message, { delivery, ...place })
    }
    recordFailure(deps, { asked: askedIn(message), startedAt, error })
    throw error
  }
}

/**
 * Where the message waits; undefined: it does not. One whose claim is lost may wait all the same: a
 * database that broke off may have written that, and said so to nobody; or somebody has taken it over.
 */
async function placeOf(deps: DispatchDeps, { id }: NewDelivery, settled: Settled) {
  if (settled.kind === 'written') {
    return settled.state === 'queued' ? { depth: settled.depth, position: 1 } : undefined
  }
  const row = await findDelivery(deps.db, id)
  return row === undefined || isFinalState(row.state) ? undefined : await queuePlace(deps.db, row)
}

async function send(deps: DispatchDeps, dispatch: Dispatch): Promise<GatewayAnswer> {
  const { message, target, delivery, alias } = dispatch
  if (dispatch.isTaskUnnamed) throw new AppError('agent_busy', { extensions: { busy: true } })
  const { signal, requestId } = message.call
  return await deps.detached.run(signal, delivery.request.length, (detached) =>
    callAgent(deps, {
      ...callOf(message, target),
      headers: delivery.requestHeaders,
      ...{ requestId, deliveryId: delivery.id, alias, signal: detached },
      onFirst: (first) => settleStream(deps, dispatch, first),
    }),
  )
}

/** The caller does not wait for it: what a crash leaves of it is an answer that nobody missed. */
function settleLater(
  deps: DispatchDeps,
  { claim, delivery }: Dispatch,
  answer: Extract<GatewayAnswer, { kind: 'json' }>,
): void {
  const response = delivery.key !== null && isKept(answer.body) ? answer.body : null
  deps.tracker.run(async () => {
    await deps.ledger.settle(claim, {
      kind: 'answered',
      status: answer.status,
      response,
      upstreamTaskId: answer.facts?.taskId ?? null,
    })
  })
}

/** An agent that has begun to tell has the message: what it tells later is its task's affair. */
function settleStream(
  deps: DispatchDeps,
  { claim }: Dispatch,
  first: StreamEvent | undefined,
): void {
  deps.tracker.run(async () => {
    await deps.ledger.settle(claim, outcomeOfFirst(first))
  })
}
