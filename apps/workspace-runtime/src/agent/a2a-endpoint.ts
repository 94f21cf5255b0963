/** @module JSON-RPC bytes in, answer out: our validation in front of the SDK's handlers (contract/a2a decided 7, 2.2). */
import { LegacyJsonRpcTransportHandler } from '@a2a-js/sdk/compat/v0_3/server'
import {
  type A2ARequestHandler,
  JsonRpcTransportHandler,
  ServerCallContext,
} from '@a2a-js/sdk/server'
import { parseRpcRequest, type RpcRequest, rpcError } from '@atrium/a2a-schema/json-rpc'
import { type MethodTraits, methodTraits } from '@atrium/a2a-schema/method'
import { normaliseRequest } from '@atrium/a2a-schema/normalise'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import { type A2aAnswer, jsonAnswer } from './a2a-answer.ts'
import {
  CONTENT_TYPE_NOT_SUPPORTED,
  failureError,
  INTERNAL_ERROR,
  invalidParams,
  METHOD_NOT_FOUND,
  protocolError,
  type RequestFacts,
  UNSUPPORTED_OPERATION,
  VERSION_NOT_SUPPORTED,
} from './a2a-errors.ts'
import type { AgentHost } from './agent-host.ts'
import { openStream } from './envelope-stream.ts'
import { findMessageFault, findTaskFault, taskOfMessage } from './message-rules.ts'
import { type Envelope, envelopeForSdk, withId } from './sdk-envelope.ts'
import { STREAMING_STATE_KEY } from './turn-executor.ts'

const VERSIONS: ReadonlySet<string> = new Set(['', '0.2', '0.3', '1.0'])

export type A2aRequest = {
  readonly body: Uint8Array
  readonly contentType: string | undefined
  /** `A2A-Version`, as sent. */
  readonly version: string | undefined
  readonly requestId: string
}

export type A2aEndpointDeps = {
  readonly log: Logger
  readonly host: AgentHost
  readonly clock: Clock
  readonly ids: Ids
  readonly handler: A2ARequestHandler
  readonly isBusyWith: (taskId: string) => boolean
  /** A message that comes while the agent is being made ready waits for so long. */
  readonly startPatienceMs: number
}

export class A2aEndpoint {
  readonly #deps: A2aEndpointDeps
  readonly #current: JsonRpcTransportHandler
  readonly #legacy: LegacyJsonRpcTransportHandler

  constructor(deps: A2aEndpointDeps) {
    this.#deps = deps
    this.#current = new JsonRpcTransportHandler(deps.handler)
    this.#legacy = new LegacyJsonRpcTransportHandler(deps.handler)
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
    const { params } = normalised.request
    const refused = traits.carriesMessage
      ? await this.#refuseMessage(facts, params, input.requestId)
      : refuseTask(facts, params)
    if (refused !== undefined) return jsonAnswer(refused)
    return this.#dispatch(normalised.request, traits, input.requestId)
  }

  /** Resolves when the agent may have the message, or with why it does not get it. */
  async #refuseMessage(
    facts: RequestFacts,
    params: RpcRequest['params'],
    requestId: string,
  ): Promise<string | undefined> {
    const fault = findMessageFault(params, facts.dialect)
    if (fault !== undefined) return invalidParams(facts, fault)
    await this.#whenStarted()
    return this.#unavailable(facts, requestId) ?? this.#refuseOccupied(facts, params)
  }

  /**
   * One turn for each task: the SDK would begin a second one, set the task back to `submitted` and
   * mix both answers in one artifact.
   */
  #refuseOccupied(facts: RequestFacts, params: RpcRequest['params']): string | undefined {
    const taskId = taskOfMessage(params)
    if (taskId === undefined || !this.#deps.isBusyWith(taskId)) return undefined
    return protocolError(facts, {
      code: UNSUPPORTED_OPERATION,
      message: 'the task is being worked on: send a new message in its context',
      reason: 'UNSUPPORTED_OPERATION',
    })
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

  async #dispatch(
    request: RpcRequest,
    traits: MethodTraits,
    requestId: string,
  ): Promise<A2aAnswer> {
    const context = new ServerCallContext({
      requestedVersion: traits.dialect === '1.0' ? '1.0' : '0.3',
      state: new Map([[STREAMING_STATE_KEY, traits.isStreaming]]),
    })
    const handler = traits.dialect === '1.0' ? this.#current : this.#legacy
    const render = (outcome: Envelope): string =>
      this.#render(outcome, { id: request.id, dialect: traits.dialect }, requestId)
    const outcome = await handler.handle(envelopeForSdk(request, traits), context)
    if (!isStream(outcome)) return jsonAnswer(render(outcome))
    const mapError =
      traits.dialect === '1.0'
        ? JsonRpcTransportHandler.mapToJSONRPCError
        : LegacyJsonRpcTransportHandler.mapToLegacyJSONRPCError
    return openStream(outcome, {
      render,
      renderError: (error) => render({ error: mapError(error) }),
      // Clients of 0.3 expect this one to be a stream even when it fails (contract/a2a 2.7).
      alwaysStreams: request.method === 'tasks/resubscribe',
    })
  }

  /** The SDK tells the text of any exception; a slip of its own, or of ours, is for the log (H18). */
  #render(outcome: Envelope, facts: RequestFacts, requestId: string): string {
    const { error } = outcome
    if (!isInternalError(error)) return withId(facts.id, outcome)
    this.#deps.log.error({ request_id: requestId, reason: error.message }, 'a2a.sdk_failed')
    return failureError(facts, { code: 'internal', requestId })
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
  const version = majorMinor(input.version)
  if (!VERSIONS.has(version)) {
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

function refuseTask(facts: RequestFacts, params: RpcRequest['params']): string | undefined {
  const fault = findTaskFault(params)
  return fault === undefined ? undefined : invalidParams(facts, fault)
}

function isJsonType(header: string | undefined): boolean {
  const type = header?.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return type === '' || type === 'application/json' || type === 'application/a2a+json'
}

/** `1.0.0`, `v1.0` and ` 1.0 ` are 1.0 (contract/a2a 2.4). */
function majorMinor(header: string | undefined): string {
  const text = header?.trim() ?? ''
  return /^v?(\d+\.\d+)(?:\.\d+)*$/.exec(text)?.[1] ?? text
}

function isFault(data: unknown): data is { readonly field: string; readonly detail: string } {
  return typeof data === 'object' && data !== null && 'field' in data && 'detail' in data
}

function isInternalError(error: unknown): error is { readonly message: unknown } {
  return (
    typeof error === 'object' &&
    error !== null &&
    'message' in error &&
    'code' in error &&
    error.code === INTERNAL_ERROR
  )
}

function isStream(outcome: object): outcome is AsyncGenerator<Envelope, void, undefined> {
  return Symbol.asyncIterator in outcome
}
