/** @module One request to a workspace's agent, whichever surface it came by, and what comes of it. */
import type { Readable } from 'node:stream'
import type { RpcId } from '@atrium/a2a-schema/json-rpc'
import type { Dialect } from '@atrium/a2a-schema/method'
import type { ResultFacts } from '@atrium/a2a-schema/result-facts'
import type { Sender } from '../../domain/caller.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import type { RpcProblem } from './rpc-problem.ts'

export type GatewayCall = {
  readonly workspaceId: WorkspaceId
  readonly caller: Sender
  /** The JSON-RPC request as it came; a REST path has been made one. */
  readonly body: Uint8Array
  readonly headers: (name: string) => string | undefined
  readonly requestId: string
  /**
   * Aborted when the caller has left. That ends a stream, and no request that is not one too many:
   * the agent finishes it.
   */
  readonly signal: AbortSignal
  /** What a reader of REST sees of an event, which comes as a JSON-RPC reply. */
  readonly viewEvent?: (data: Buffer) => Buffer
}

/** Always JSON-RPC, with the id and in the dialect of the request. */
export type GatewayAnswer = {
  readonly status: number
  /** What the caller is told beside it; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
} & (
  | {
      readonly kind: 'json'
      readonly body: Buffer
      /** What the agent's own answer is about; undefined for an error, and for answers of ours. */
      readonly facts?: ResultFacts | undefined
    }
  /** Server-sent events; must be consumed or destroyed. */
  | { readonly kind: 'stream'; readonly body: Readable }
)

/** A failure with the id under which the caller knows its request, and how the caller speaks. */
export class GatewayFailure extends Error {
  readonly id: RpcId
  readonly dialect: Dialect
  readonly rpc: RpcProblem | undefined

  constructor(
    asked: { readonly id: RpcId; readonly dialect: Dialect },
    failure: { readonly rpc?: RpcProblem; readonly cause?: unknown },
  ) {
    super('A2A request failed', { cause: failure.cause })
    this.name = 'GatewayFailure'
    this.id = asked.id
    this.dialect = asked.dialect
    this.rpc = failure.rpc
  }
}
