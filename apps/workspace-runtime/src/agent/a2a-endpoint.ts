/** @module JSON-RPC bytes in, answer out: our validation in front of the SDK's handlers (contract/a2a decided 7, 2.2). */
import { parseRpcRequest, type RpcRequest, rpcError } from '@atrium/a2a-schema/json-rpc'
import { type MethodTraits, methodTraits } from '@atrium/a2a-schema/method'
import { normaliseRequest } from '@atrium/a2a-schema/normalise'
import { validateParams } from '@atrium/a2a-schema/validate-params'
import { readVersion } from '@atrium/a2a-schema/version'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { WorkQueue } from '../work-queue.ts'
import { type A2aAnswer, jsonAnswer } from './a2a-answer.ts'
import {
  busyAnswer,
  CONTENT_TYPE_NOT_SUPPORTED,
  failureError,
  INVALID_REQUEST,
  invalidParams,
  METHOD_NOT_FOUND,
  protocolError,
  type RequestFacts,
  UNSUPPORTED_OPERATION,
  VERSION_NOT_SUPPORTED,
} from './a2a-errors.ts'
import type { AgentHost } from './agent-host.ts'
import { CallState } from './call-state.ts'
import type { DeliveryClaim } from './deliveries/delivery-claim.ts'
import type { DeliveryDesk } from './deliveries/delivery-desk.ts'
import { findDeepNesting, findLostPart, taskOfMessage } from './message-rules.ts'
import type { SdkCall, SdkDispatch } from './sdk-dispatch.ts'

const DELIVERY_ID = /^[A-Za-z0-9._:-]{1,128}$/

export type A2aRequest = {
  readonly body: Uint8Array
  readonly contentType: string | undefined
  /** `A2A-Version`, as sent. */
  readonly version: string | undefined
  readonly requestId: string
  /** By which a repetition is known (ADR-0032). */
  readonly deliveryId: string | undefined
}

export type A2aEndpointDeps = {
  readonly host: AgentHost
  readonly clock: Clock
  readonly ids: Ids
  readonly sdk: SdkDispatch
  readonly queue: WorkQueue
  readonly desk: DeliveryDesk
  readonly isBusyWith: (taskId: string) => boolean
  /** A message that comes while the agent is being made ready waits for so long. */
  readonly startPatienceMs: number
}

type JudgedCall = {
  readonly request: RpcRequest
  readonly traits: MethodTraits
  readonly requestId: string
  readonly deliveryId: string | undefined
}

export class A2aEndpoint {
  readonly #deps: A2aEndpointDeps
  /** Tasks with a message that was let in and that the executor may not have yet. */
  readonly #arriving = new Set<string>()

  constructor(deps: A2aEndpointDeps) {
    this.#deps = deps
  }

  /** Answers one request. Never rejects for anything a caller can send. */
  async handle(input: A2aRequest): Promise<A2aAnswer> {
    const parsed = parseRpcRequest(input.body, this.#deps.ids)
    if (!parsed.ok) return jsonAnswer(rpcError(parsed.error))
    const { request } = parsed
    const traits = methodTraits(request.method)
    const facts: RequestFacts = { id: request.id, dialect: traits.dialect }
    const refusal = refuseEnvelope(input, request, facts)
    if (refusal !== undefined) return jsonAnswer(refusal)
    const normalised = normaliseRequest(request, this.#deps.ids)
    if (!normalised.ok) {
      const { data } = normalised.error
      return jsonAnswer(isFault(data) ? invalidParams(facts, data) : rpcError(normalised.error))
    }
    const { requestId, deliveryId } = input
    const call = { request: normalised.request, traits, requestId, deliveryId }
    if (traits.carriesMessage) return this.#takeMessage(call)
    const refused = refuseParams(call)
    if (refused !== undefined) return jsonAnswer(refused)
    return this.#deps.sdk.answer({ ...call, state: undefined })
  }

  async #takeMessage(call: JudgedCall): Promise<A2aAnswer> {
    const facts = factsOf(call)
    const { params } = call.request
    const fault = findDeepNesting(params) ?? findLostPart(params)
    if (fault !== undefined) return jsonAnswer(invalidParams(facts, fault))
    const { deliveryId } = call
    if (deliveryId !== undefined && !DELIVERY_ID.test(deliveryId)) {
      const message = 'the delivery id is not one'
      return jsonAnswer(
        protocolError(facts, { code: INVALID_REQUEST, message, reason: 'INVALID_REQUEST' }),
      )
    }
    return this.#deps.desk.answer(deliveryId, call, (claim) => this.#accept(call, facts, claim))
  }

  async #accept(
    call: JudgedCall,
    facts: RequestFacts,
    claim: DeliveryClaim | undefined,
  ): Promise<A2aAnswer> {
    await this.#whenStarted()
    const taskId = taskOfMessage(call.request.params)
    const refused = this.#unavailable(facts, call.requestId) ?? this.#refuseOccupied(facts, taskId)
    if (refused !== undefined) return jsonAnswer(refused)
    const ticket = this.#deps.queue.admit()
    // Before anything of it exists: who sent it may send it again without doing harm.
    if (ticket === undefined) return busyAnswer(facts, call.requestId)
    const state = new CallState({ isStreaming: call.traits.isStreaming, ticket, claim })
    const answer = await this.#answerAlone(taskId, { ...call, state })
    if (state.lack === undefined) return answer
    if (answer.kind === 'stream') await drain(answer.envelopes)
    return busyAnswer(facts, call.requestId, state.lack)
  }

  /**
   * One turn for each task: the SDK would begin a second one, set the task back to `submitted` and
   * mix both answers in one artifact.
   */
  #refuseOccupied(facts: RequestFacts, taskId: string | undefined): string | undefined {
    if (taskId === undefined) return undefined
    if (!this.#arriving.has(taskId) && !this.#deps.isBusyWith(taskId)) return undefined
    return protocolError(facts, {
      code: UNSUPPORTED_OPERATION,
      message: 'the task is being worked on: send a new message in its context',
      reason: 'UNSUPPORTED_OPERATION',
    })
  }

  /** Two messages for one task that come together are one too many as well. */
  async #answerAlone(taskId: string | undefined, call: SdkCall): Promise<A2aAnswer> {
    if (taskId === undefined) return this.#deps.sdk.answer(call)
    this.#arriving.add(taskId)
    try {
      return await this.#deps.sdk.answer(call)
    } finally {
      this.#arriving.delete(taskId)
    }
  }

  /** The server is up before the agent is: the first message need not fail because of that. */
  async #whenStarted(): Promise<void> {
    const { host, clock, startPatienceMs } = this.#deps
    if (host.state.kind !== 'starting') return
    const enough = new AbortController()
    const patience = clock.sleep(startPatienceMs, enough.signal).catch((error: unknown) => {
      if (!enough.signal.aborted) throw error
    })
    await Promise.race([host.settled, patience])
    enough.abort()
  }

  #unavailable(facts: RequestFacts, requestId: string): string | undefined {
    const state = this.#deps.host.state
    switch (state.kind) {
      case 'ready':
        return undefined
      case 'starting':
        return failureError(facts, { code: 'agent_starting', requestId })
      case 'not_configured':
        return failureError(facts, {
          code: 'agent_not_configured',
          requestId,
          detail: state.reason,
        })
      case 'stopped':
        return failureError(facts, { code: 'shutting_down', requestId })
    }
  }
}

/** What can be refused before the parameters are looked at, in the kits' order (contract/a2a 2.2). */
function refuseEnvelope(
  input: A2aRequest,
  request: RpcRequest,
  facts: RequestFacts,
): string | undefined {
  if (!isJsonType(input.contentType)) {
    return protocolError(facts, {
      code: CONTENT_TYPE_NOT_SUPPORTED,
      message: 'content type must be application/json',
      reason: 'CONTENT_TYPE_NOT_SUPPORTED',
    })
  }
  if (!readVersion(input.version).ok) {
    const error = {
      code: VERSION_NOT_SUPPORTED,
      message: 'this A2A version is not supported',
      reason: 'VERSION_NOT_SUPPORTED',
    }
    return protocolError(facts, error, { supported: '1.0, 0.3' })
  }
  // 0.1 is the gateway's to translate: the SDK never spoke it.
  if (facts.dialect === 'unknown' || facts.dialect === '0.1') {
    return rpcError({ id: request.id, code: METHOD_NOT_FOUND, message: 'method not found' })
  }
  return undefined
}

function factsOf({ request, traits }: JudgedCall): RequestFacts {
  return { id: request.id, dialect: traits.dialect }
}

/** Of a method that carries no message; the others were judged when they were normalised. */
function refuseParams(call: JudgedCall): string | undefined {
  const { operation, dialect } = call.traits
  if (operation === undefined || dialect === 'unknown') return undefined
  const fault = validateParams(operation, dialect, call.request.params)
  return fault === undefined ? undefined : invalidParams(factsOf(call), fault)
}

function isJsonType(header: string | undefined): boolean {
  const type = header?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return type === '' || type === 'application/json' || type === 'application/a2a+json'
}

function isFault(data: unknown): data is { readonly field: string; readonly detail: string } {
  return typeof data === 'object' && data !== null && 'field' in data && 'detail' in data
}

async function drain(envelopes: AsyncIterable<string>): Promise<void> {
  for await (const _ of envelopes) {
    // What is in there is not the answer.
  }
}
