/** @module JSON-RPC envelopes on their way into the SDK and out of it. */
import { type RpcId, type RpcRequest, rpcRequestText } from '@atrium/a2a-schema/json-rpc'
import type { MethodTraits } from '@atrium/a2a-schema/method'

/** What the SDK answers with; its id is not the caller's. */
export type Envelope = { readonly result?: unknown; readonly error?: unknown }

/**
 * The request in plain JavaScript values. The id stays behind: the SDK rounds large ones and drops
 * 0 and '' on error paths, and the caller must get its own back (contract/a2a 2.1.4).
 */
export function envelopeForSdk(request: RpcRequest, traits: MethodTraits): Record<string, unknown> {
  const plain: unknown = JSON.parse(rpcRequestText(request))
  const envelope = { ...(isRecord(plain) ? plain : {}), id: 1 }
  const params: unknown = Reflect.get(envelope, 'params')
  if (!traits.carriesMessage || !isRecord(params)) return envelope
  const configuration = params['configuration']
  // In 0.3 who does not say waits; the SDK takes a configuration without the word for the opposite.
  const waits =
    traits.dialect === '0.3' && isRecord(configuration)
      ? { configuration: { blocking: true, ...configuration } }
      : {}
  return { ...envelope, params: { ...params, ...waits } }
}

/** The answer's text with the caller's own id, same value and type. */
export function withId(id: RpcId, { result, error }: Envelope): string {
  return JSON.stringify({ jsonrpc: '2.0', id, ...(error === undefined ? { result } : { error }) })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
