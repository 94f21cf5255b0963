/** @module The answer of a delivery that was begun before, told to another call. */
import type { Task } from '@a2a-js/sdk'
import { methodName, methodTraits, type Operation } from '@atrium/a2a-schema/method'
import { type A2aAnswer, jsonAnswer } from '../a2a-answer.ts'
import { INVALID_REQUEST, protocolError, TASK_NOT_FOUND } from '../a2a-errors.ts'
import { isActive } from '../records/task-states.ts'
import type { SdkCall, SdkDispatch } from '../sdk-dispatch.ts'
import { withId } from '../sdk-envelope.ts'
import { outcomeOf } from './answer-outcome.ts'
import type { DeliveryRecord } from './delivery-record.ts'

type Call = Omit<SdkCall, 'state'>

export type DeliveryReplayDeps = {
  readonly sdk: SdkDispatch
  readonly tasks: { load(taskId: string): Promise<Task | undefined> }
}

export class DeliveryReplay {
  readonly #deps: DeliveryReplayDeps

  constructor(deps: DeliveryReplayDeps) {
    this.#deps = deps
  }

  async answer(delivery: DeliveryRecord, call: Call): Promise<A2aAnswer> {
    const facts = { id: call.request.id, dialect: call.traits.dialect }
    if (delivery.method !== call.request.method) {
      const message = 'this delivery was another call'
      return jsonAnswer(
        protocolError(facts, { code: INVALID_REQUEST, message, reason: 'INVALID_REQUEST' }),
      )
    }
    // What became of the task since then says more than what was answered first.
    const task = await this.#deps.tasks.load(delivery.taskId)
    if (task !== undefined) return this.#tellTask(task, delivery, call)
    if (delivery.outcome !== undefined) return asAsked(withId(facts.id, delivery.outcome), call)
    const message = 'this was worked on, and its answer is not kept any more'
    return jsonAnswer(
      protocolError(facts, { code: TASK_NOT_FOUND, message, reason: 'TASK_NOT_FOUND' }),
    )
  }

  async #tellTask(task: Task, delivery: DeliveryRecord, call: Call): Promise<A2aAnswer> {
    if (call.traits.isStreaming && isActive(task)) {
      const followed = await this.#ask('subscribe', task.id, call)
      // Otherwise it has ended in between.
      if (followed.kind === 'stream') return followed
    }
    const answer = await this.#ask('get', task.id, call)
    if (answer.kind === 'stream') return answer
    const { result } = outcomeOf(answer.body)
    if (result === undefined) return answer
    return asAsked(withId(call.request.id, { result: wrapped(result, delivery, call) }), call)
  }

  #ask(operation: Operation, taskId: string, call: Call): Promise<A2aAnswer> {
    const dialect = call.traits.dialect === '1.0' ? '1.0' : '0.3'
    const method = methodName(operation, dialect) ?? ''
    const params = { id: taskId }
    const envelope = { jsonrpc: '2.0', id: 1, method, params }
    const request = { ...call.request, method, params, envelope }
    return this.#deps.sdk.answer({
      request,
      traits: methodTraits(method),
      requestId: call.requestId,
      state: undefined,
      isOurs: true,
    })
  }
}

/** A task where a message was asked for, in the form that its caller reads (contract/runtime 8.2). */
function wrapped(task: unknown, delivery: DeliveryRecord, call: Call): unknown {
  if (call.traits.dialect === '1.0') return { task }
  const isMessage = !delivery.hasTask && !call.traits.isStreaming
  if (!isMessage || typeof task !== 'object' || task === null || !('status' in task)) return task
  const { status } = task
  return typeof status === 'object' && status !== null && 'message' in status
    ? status.message
    : task
}

function asAsked(envelope: string, call: Call): A2aAnswer {
  return call.traits.isStreaming
    ? { kind: 'stream', envelopes: only(envelope) }
    : jsonAnswer(envelope)
}

async function* only(envelope: string): AsyncGenerator<string, void, undefined> {
  yield envelope
}
