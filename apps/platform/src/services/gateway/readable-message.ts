/** @module A request as its agent can read it, with what it came from. */
import { type RpcParseResult, type RpcRequest, rpcRequestText } from '@atrium/a2a-schema/json-rpc'
import { normaliseRequest } from '@atrium/a2a-schema/normalise'
import type { Ids } from '@atrium/http-kit/clock'
import type { Workspace } from '../find-workspace.ts'
import { type GatewayCall, GatewayFailure } from './gateway-call.ts'

export type ReadableMessage = {
  readonly call: GatewayCall
  readonly target: Workspace
  /** As it came. */
  readonly given: RpcRequest
  /** As the agent shall read it. */
  readonly request: RpcRequest
  /** What is sent: what came, unless it had to be changed (contract/a2a 2.1.1). */
  readonly bytes: Buffer
}

/** Throws `GatewayFailure` for what no agent could read. */
export function readableMessage(
  deps: { readonly ids: Ids },
  parsed: RpcParseResult,
  to: Pick<ReadableMessage, 'call' | 'target'>,
): ReadableMessage {
  if (!parsed.ok) throw new GatewayFailure(parsed.error.id, { rpc: parsed.error })
  const normalised = normaliseRequest(parsed.request, deps.ids)
  if (!normalised.ok) throw new GatewayFailure(parsed.request.id, { rpc: normalised.error })
  const { request, changed } = normalised
  const bytes = changed ? Buffer.from(rpcRequestText(request), 'utf8') : Buffer.from(to.call.body)
  return { ...to, given: parsed.request, request, bytes }
}
