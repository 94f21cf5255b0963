/** @module A judged request through the SDK's handlers, and what comes out of them (contract/a2a 3). */
import { LegacyJsonRpcTransportHandler } from '@a2a-js/sdk/compat/v0_3/server'
import {
  type A2ARequestHandler,
  JsonRpcTransportHandler,
  ServerCallContext,
} from '@a2a-js/sdk/server'
import type { RpcRequest } from '@atrium/a2a-schema/json-rpc'
import type { MethodTraits } from '@atrium/a2a-schema/method'
import type { Logger } from 'pino'
import { type A2aAnswer, jsonAnswer } from './a2a-answer.ts'
import { failureError, INTERNAL_ERROR, type RequestFacts } from './a2a-errors.ts'
import type { CallState } from './call-state.ts'
import { openStream } from './envelope-stream.ts'
import { type Envelope, envelopeForSdk, withId } from './sdk-envelope.ts'

export type SdkCall = {
  readonly request: RpcRequest
  readonly traits: MethodTraits
  readonly requestId: string
  /** Only of a call that carries a message. */
  readonly state: CallState | undefined
  /** Whoever asks can take a refusal as JSON in any case. */
  readonly isOurs?: true
}

export class SdkDispatch {
  readonly #log: Logger
  readonly #current: JsonRpcTransportHandler
  readonly #legacy: LegacyJsonRpcTransportHandler

  constructor(handler: A2ARequestHandler, log: Logger) {
    this.#log = log
    this.#current = new JsonRpcTransportHandler(handler)
    this.#legacy = new LegacyJsonRpcTransportHandler(handler)
  }

  /** Resolves when there is an answer, or the first event of one. */
  async answer(call: SdkCall): Promise<A2aAnswer> {
    try {
      return await this.#dispatch(call)
    } finally {
      call.state?.releaseIfRefused()
    }
  }

  async #dispatch(call: SdkCall): Promise<A2aAnswer> {
    const { request, traits, state } = call
    const isModern = traits.dialect === '1.0'
    const context = new ServerCallContext({
      requestedVersion: isModern ? '1.0' : '0.3',
      state: new Map(state === undefined ? [] : [state.entry()]),
    })
    const handler = isModern ? this.#current : this.#legacy
    const render = (outcome: Envelope): string => this.#render(outcome, call)
    const outcome = await handler.handle(envelopeForSdk(request, traits), context)
    if (!isStream(outcome)) return jsonAnswer(render(outcome))
    const mapError = isModern
      ? JsonRpcTransportHandler.mapToJSONRPCError
      : LegacyJsonRpcTransportHandler.mapToLegacyJSONRPCError
    return openStream(outcome, {
      render,
      renderError: (error) => render({ error: mapError(error) }),
      // Clients of 0.3 expect this one to be a stream even when it fails (contract/a2a 2.7).
      alwaysStreams: request.method === 'tasks/resubscribe' && call.isOurs !== true,
    })
  }

  /** The SDK tells the text of any exception; a slip of its own, or of ours, is for the log (H18). */
  #render(outcome: Envelope, { request, traits, requestId }: SdkCall): string {
    const facts: RequestFacts = { id: request.id, dialect: traits.dialect }
    const { error } = outcome
    if (!isInternalError(error)) return withId(facts.id, outcome)
    this.#log.error({ request_id: requestId, reason: error.message }, 'a2a.sdk_failed')
    return failureError(facts, { code: 'internal', requestId })
  }
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
