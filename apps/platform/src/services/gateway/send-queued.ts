/** @module Sends what has waited, when its agent has room: nobody is on the line (ADR-0032). */
import { parseRpcRequest } from '@atrium/a2a-schema/json-rpc'
import { methodTraits } from '@atrium/a2a-schema/method'
import { isTerminal } from '@atrium/a2a-schema/task-state'
import { type AppError, findAppError } from '@atrium/http-kit/app-error'
import { markDispatched, releaseClaim } from '../../db/delivery-store.ts'
import { countPushConfigs } from '../../db/push-config-store.ts'
import { findLiveWorkspace } from '../../db/workspace-store.ts'
import {
  type ClaimedDelivery,
  type Delivery,
  type DispatchOutcome,
  isKept,
} from '../../domain/delivery.ts'
import { discardAnswer } from '../../upstream/agent-client.ts'
import type { DeliveryLedger } from '../delivery/delivery-ledger.ts'
import type { SendClaimed } from '../delivery/delivery-pump.ts'
import type { ForwardTarget } from '../resolve-forward-target.ts'
import { outcomeOfFirst, type StreamEvent } from '../streams/stream-event.ts'
import { outcomeOfFailure } from './agent-exchange.ts'
import type { AskDeps } from './ask-agent.ts'
import { callAgent } from './call-agent.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { taskIdOf } from './known-task.ts'
import { messageTarget } from './message-target.ts'
import { type MessageTask, messageTask, whyOver } from './message-task.ts'
import { recordExchange } from './record-exchange.ts'
import { senderOf } from './sender-text.ts'
import { taskAgent } from './task-agent.ts'
import type { TaskAlias } from './task-alias.ts'

export type SendQueuedDeps = AskDeps & { readonly ledger: DeliveryLedger }

/** Asked again so much later when the workspace cannot be called at the moment. */
const NOT_NOW_MS = 5_000
/** Contract/platform 4.12: what a sender is told of a restart. */
const RESTARTED_MS = 15_000
/** A task that waits itself again is noticed after so long. */
const LOOK_EVERY_MS = 5_000

export function sendQueued(deps: SendQueuedDeps): SendClaimed {
  return async (delivery, stopping) => {
    const target = await targetOf(deps, delivery)
    if ('kind' in target) return target
    if ('delayMs' in target) {
      await releaseClaim(deps.db, delivery, target)
      return 'released'
    }
    const call = storedCall(delivery)
    const task = await taskOf(deps, { delivery, taskId: taskIdOf(call.request.params) }, stopping)
    if (task.kind === 'over') return failedWith(task.delivery)
    if (task.kind === 'unnamed') {
      // That comes before this one in the queue.
      await releaseClaim(deps.db, delivery, { delayMs: 0, error: 'its task waits itself' })
      return 'released'
    }
    if (!(await markDispatched(deps.db, delivery))) return 'released'
    const alias = task.kind === 'alias' ? task.alias : undefined
    return await dispatch(deps, delivery, { call, target, alias })
  }
}

type NotNow = { readonly delayMs: number; readonly error: string }

async function targetOf(
  deps: SendQueuedDeps,
  delivery: ClaimedDelivery,
): Promise<ForwardTarget | NotNow | DispatchOutcome> {
  const row = await findLiveWorkspace(deps.db, delivery.workspaceId)
  if (row === undefined) {
    const error = 'the workspace was removed'
    return { kind: 'failed', reason: 'workspace_not_found', error, isUndelivered: true }
  }
  try {
    return await messageTarget(deps, row)
  } catch (error) {
    const known = findAppError(error)
    if (known === undefined) throw error
    return { delayMs: NOT_NOW_MS, error: known.publicText }
  }
}

/**
 * As long as the agent has the task and has not said what it calls it, the message keeps its place
 * here, and others go on. `unnamed`: the task is in the queue, or the platform is going.
 */
async function taskOf(
  deps: SendQueuedDeps,
  { delivery, taskId }: { readonly delivery: ClaimedDelivery; readonly taskId: string | undefined },
  stopping: AbortSignal,
): Promise<MessageTask> {
  const { workspaceId, sender } = delivery
  for (;;) {
    const task = await messageTask(deps.db, { workspaceId, sender, taskId })
    if (task.kind !== 'unnamed' || task.delivery.state === 'queued' || stopping.aborted) return task
    const look = AbortSignal.any([stopping, AbortSignal.timeout(LOOK_EVERY_MS)])
    await deps.ledger.whenOver(task.delivery.id, look)
  }
}

function failedWith(task: Delivery): DispatchOutcome {
  return { kind: 'failed', reason: 'task_over', error: whyOver(task), isUndelivered: true }
}

/** What was written down, as it was read when it came. */
function storedCall(delivery: ClaimedDelivery) {
  const parsed = parseRpcRequest(delivery.request, { uuid: () => delivery.id })
  if (!parsed.ok) throw new Error('a delivery holds what is no request')
  const { request } = parsed
  return {
    request,
    bytes: delivery.request,
    traits: methodTraits(request.method),
    dialect: delivery.dialect,
    id: request.id,
    isIdSent: true,
  }
}

type QueuedCall = {
  readonly call: ReturnType<typeof storedCall>
  readonly target: ForwardTarget
  /** Of a task that its sender knew before. */
  readonly alias: TaskAlias | undefined
}

async function dispatch(
  deps: SendQueuedDeps,
  delivery: ClaimedDelivery,
  { call, target, alias }: QueuedCall,
): Promise<DispatchOutcome> {
  const startedAt = deps.clock.now()
  const isNew = taskIdOf(call.request.params) === undefined
  try {
    const first = Promise.withResolvers<StreamEvent | undefined>()
    const answer = await callAgent(deps, {
      target,
      ...call,
      headers: delivery.requestHeaders,
      requestId: deps.ids.uuid(),
      deliveryId: delivery.id,
      // Its sender was told the id of the delivery, unless it knows the task already.
      alias: isNew ? { known: delivery.id, upstream: undefined } : alias,
      sender: delivery.sender,
      onFirst: first.resolve,
      signal: new AbortController().signal,
    })
    const asked = { sender: senderOf(delivery), target: target.row, request: call.request }
    recordExchange(deps, { asked, startedAt, answer })
    if (answer.kind === 'stream') {
      // Whoever follows the task does so elsewhere.
      discardAnswer(answer.body)
      return outcomeOfFirst(await first.promise)
    }
    const upstreamTaskId = answer.facts?.taskId ?? null
    if (isNew) followForWebhooks(deps, { delivery, target, answer })
    const response = isKept(answer.body) ? answer.body : null
    return { kind: 'answered', status: answer.status, response, upstreamTaskId }
  } catch (error) {
    // Left to whoever takes it over: the platform is going, and the agent may go on.
    if (findAppError(error)?.code === 'shutting_down') throw error
    return outcomeOf(error)
  }
}

/** Webhooks that its sender gave while it waited are told of what becomes of a task that goes on. */
function followForWebhooks(
  deps: SendQueuedDeps,
  sent: {
    readonly delivery: ClaimedDelivery
    readonly target: ForwardTarget
    readonly answer: Extract<GatewayAnswer, { kind: 'json' }>
  },
): void {
  const { workspaceId, id: taskId, sender, dialect: own } = sent.delivery
  const { taskId: upstreamTaskId, state } = sent.answer.facts ?? {}
  if (upstreamTaskId === undefined || state === undefined || isTerminal(state)) return
  const dialect = deps.dialects.choose(sent.target.row, own === '1.0' ? '1.0' : '0.3')
  const key = { workspaceId, taskId }
  const agentOf = (upstream: string) =>
    taskAgent(deps, { workspaceId, dialect, upstreamTaskId: upstream })
  deps.tracker.run(async () => {
    if ((await countPushConfigs(deps.db, key)) === 0) return
    await deps.streams.watch({ key, sender, dialect, upstreamTaskId, agentOf })
  })
}

function outcomeOf(thrown: unknown): DispatchOutcome {
  const error = findAppError(thrown)
  if (error?.code === 'agent_error') return outcomeOfRefusal(error)
  const isUntaken = error?.code === 'agent_restarting' && error.extensions['undelivered'] === true
  // Nobody is on the line who would repeat it: it waits for the box that is being started.
  if (isUntaken) return { kind: 'busy', error: error.publicText, retryAfterMs: RESTARTED_MS }
  return outcomeOfFailure(thrown)
}

/** An agent's own server that says it failed is asked again. */
function outcomeOfRefusal(error: AppError): DispatchOutcome {
  const outcome = outcomeOfFailure(error)
  const isErred = outcome.kind === 'failed' && Number(error.extensions['upstream_status']) >= 500
  return isErred ? { kind: 'erred', error: outcome.error } : outcome
}
