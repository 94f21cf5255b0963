/** @module One request to a workspace's agent, whichever surface it came by, and what comes of it. */
import type { Readable } from 'node:stream'
import type { RpcFailure, RpcId } from '@atrium/a2a-schema/json-rpc'
import type { Sender } from '../../domain/caller.ts'
import type { WorkspaceId } from '../../domain/ids.ts'

export type GatewayCall = {
  readonly workspaceId: WorkspaceId
  readonly caller: Sender
  /** The JSON-RPC request as it came. */
  readonly body: Uint8Array
  readonly headers: (name: string) => string | undefined
  readonly requestId: string
  /**
   * Aborted when the caller has left. That ends a stream, and no request that is not one too many:
   * the agent finishes it.
   */
  readonly signal: AbortSignal
}

export type GatewayAnswer =
  | { readonly kind: 'json'; readonly status: number; readonly body: Buffer }
  /** The agent's server-sent events; must be consumed or destroyed. */
  | { readonly kind: 'stream'; readonly status: number; readonly body: Readable }

/** A failure with the id under which the caller knows its request. */
export class GatewayFailure extends Error {
  readonly id: RpcId
  readonly rpc: RpcFailure | undefined

  constructor(id: RpcId, failure: { readonly rpc?: RpcFailure; readonly cause?: unknown }) {
    super('A2A request failed', { cause: failure.cause })
    this.name = 'GatewayFailure'
    this.id = id
    this.rpc = failure.rpc
  }
}
