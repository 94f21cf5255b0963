/** @module JSON-RPC bytes in, answer out: our validation in front of the SDK's handlers (contract/a2a decided 7, 2.2). */
import { LegacyJsonRpcTransportHandler } from '@a2a-js/sdk/compat/v0_3/server'
import {
  type A2ARequestHandler,
  JsonRpcTransportHandler,
  ServerCallContext,
} from '@a2a-js/sdk/server'
import {
  parseRpcRequest,
  type RpcId,
  type RpcRequest,
  rpcError,
  rpcRequestText,
} from '@atrium/a2a-schema/json-rpc'
import { type MethodTraits, methodTraits } from '@atrium/a2a-schema/method'
import { normaliseRequest } from '@atrium/a2a-schema/normalise'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import {
  CONTENT_TYPE_NOT_SUPPORTED,
  failureError,
  INTERNAL_ERROR,
  invalidParams,
  METHOD_NOT_FOUND,
  protocolError,
  type RequestFacts,
  VERSION_NOT_SUPPORTED,
} from './a2a-errors.ts'
import type { AgentHost } from './agent-host.ts'
import { findMessageFault } from './message-rules.ts'
import { STREAMING_STATE_KEY } from './turn-executor.ts'

const VERSIONS: ReadonlySet<string> = new Set(['', '0.2', '0.3', '1.0'])

export type A2aRequest = {
  readonly body: Uint8Array
  readonly contentType: string | undefined
  /** `A2A-Version`, as sent. */
  readonly version: string | undefined
  readonly requestId: string
}

/** Every answer of this surface is HTTP 200; the outcome stands in the envelope (contract/a2a 2.5). */
export type A2aAnswer =
  | { readonly kind: 'json'; readonly body: string }
  /** One JSON-RPC envelope per element; must be read to its end, also when nobody listens. */
  | { readonly kind: 'stream'; readonly envelopes: AsyncGenerator<string, void, undefined> }

type Envelope = { readonly result?: unknown; readonly error?: unknown }

export type A2aEndpointDeps = {
  readonly host: AgentHost
  readonly clock: Clock
  readonly ids: Ids
  readonly handler: A2ARequestHandler
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
    if (!parsed.ok) return json(rpcError(parsed.error))
    const { request } = parsed
    const traits = methodTraits(request.method)
    const facts: RequestFacts = { id: request.id, dialect: traits.dialect }
    const refusal = refuseEnvelope(input, request, facts)
    if (refusal !== undefined) return json(refusal)
    const normalised = normaliseRequest(request, this.#deps.ids)
    if (!normalised.ok) {
      const { data } = normalised.error
      return json(isFault(data) ? invalidParams(facts, data) : rpcError(normalised.error))
    }
    if (traits.carriesMessage) {
      const fault = findMessageFault(normalised.request.params, traits.dialect)
      if (fault !== undefined) return json(invalidParams(facts, fault))
      await this.#whenStarted()
      const unavailable = this.#unavailable(facts, input.requestId)
      if (unavailable !== undefined) return json(unavailable)
    }
    return this.#dispatch(normalised.request, traits)
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

  async #dispatch(request: RpcRequest, traits: MethodTraits): Promise<A2aAnswer> {
    const context = new ServerCallContext({
      requestedVersion: traits.dialect === '1.0' ? '1.0' : '0.3',
      state: new Map([[STREAMING_STATE_KEY, traits.isStreaming]]),
    })
    const handler = traits.dialect === '1.0' ? this.#current : this.#legacy
    const outcome = await handler.handle(envelopeForSdk(request, traits), context)
    if (!isStream(outcome)) return json(withId(request.id, outcome))
    const mapError =
      traits.dialect === '1.0'
        ? JsonRpcTransportHandler.mapToJSONRPCError
        : LegacyJsonRpcTransportHandler.mapToLegacyJSONRPCError
    return openStream(outcome, {
      id: request.id,
      mapError,
      // Clients of 0.3 expect this one to be a stream even when it fails (contract/a2a 2.7).
      alwaysStreams: request.method === 'tasks/resubscribe',
    })
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
  if (facts.dialect === 'unknown') {
    return rpcError({ id: request.id, code: METHOD_NOT_FOUND, message: 'method not found' })
  }
  return undefined
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

/**
 * The request in plain JavaScript values. The id stays behind: the SDK rounds large ones and drops
 * 0 and '' on error paths, and the caller must get its own back (contract/a2a 2.1.4).
 */
function envelopeForSdk(request: RpcRequest, traits: MethodTraits): Record<string, unknown> {
  const plain: unknown = JSON.parse(rpcRequestText(request))
  const envelope = { ...(isRecord(plain) ? plain : {}), id: 1 }
  const params: unknown = Reflect.get(envelope, 'params')
  if (!traits.carriesMessage || !isRecord(params) || !isRecord(params['message'])) return envelope
  // A message of a client without a role can only be the user's (contract/a2a 2.3 #14).
  const role = traits.dialect === '1.0' ? 'ROLE_USER' : 'user'
  return { ...envelope, params: { ...params, message: { role, ...params['message'] } } }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isStream(outcome: object): outcome is AsyncGenerator<Envelope, void, undefined> {
  return Symbol.asyncIterator in outcome
}

function json(body: string): A2aAnswer {
  return { kind: 'json', body }
}

function withId(id: RpcId, { result, error }: Envelope): string {
  return JSON.stringify({ jsonrpc: '2.0', id, ...(error === undefined ? { result } : { error }) })
}

type StreamFacts = {
  readonly id: RpcId
  readonly mapError: (error: unknown) => { readonly code: number; readonly message: string }
  readonly alwaysStreams: boolean
}

/** Waits for the first event: a request that is refused is answered as JSON, not as a stream. */
async function openStream(
  events: AsyncGenerator<Envelope, void, undefined>,
  facts: StreamFacts,
): Promise<A2aAnswer> {
  let first: IteratorResult<Envelope, void>
  try {
    first = await events.next()
  } catch (error) {
    const refusal = withId(facts.id, { error: facts.mapError(error) })
    return facts.alwaysStreams ? { kind: 'stream', envelopes: only(refusal) } : json(refusal)
  }
  if (first.done === true) {
    return json(rpcError({ id: facts.id, code: INTERNAL_ERROR, message: 'the agent said nothing' }))
  }
  return { kind: 'stream', envelopes: envelopesOf(first.value, events, facts) }
}

async function* only(envelope: string): AsyncGenerator<string, void, undefined> {
  yield envelope
}

async function* envelopesOf(
  first: Envelope,
  rest: AsyncGenerator<Envelope, void, undefined>,
  facts: StreamFacts,
): AsyncGenerator<string, void, undefined> {
  yield withId(facts.id, first)
  try {
    for await (const event of rest) yield withId(facts.id, event)
  } catch (error) {
    // The head is out: the error is the last event, and every client stops at it (contract/a2a 2.7).
    yield withId(facts.id, { error: facts.mapError(error) })
  }
}
