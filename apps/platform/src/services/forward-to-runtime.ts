/** @module One forwarding function for uploads and downloads: they differ by data (contract 6, M2). */
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { FILE_SECURITY_HEADERS } from '@atrium/http-kit/file-response'
import { REQUEST_ID_HEADER } from '@atrium/http-kit/request-id'
import type { ForwardOperation } from '@atrium/runtime-contract/file-transfer'
import { urlBelow } from '../domain/upstream-url.ts'
import type { BodyLimit } from '../upstream/request-body-pump.ts'
import type { RuntimeClient, RuntimeResponseHead } from '../upstream/runtime-client.ts'
import type { ForwardTarget } from './resolve-forward-target.ts'
import type { WorkspaceLifecycle } from './workspace-lifecycle.ts'

export type ForwardDeps = {
  /** For endpoints that a provisioner gave. */
  readonly trustedClient: RuntimeClient
  /** For agent-reported ones: every address is judged at connect time. */
  readonly guardedClient: RuntimeClient
  readonly lifecycle: WorkspaceLifecycle
}

export type Forward = {
  readonly operation: ForwardOperation
  readonly target: ForwardTarget
  readonly exchange: RawExchange
  readonly requestId: string
  readonly query?: Readonly<Record<string, string>>
  /** For operations with a body: how much of it is let through. */
  readonly bodyLimit?: BodyLimit
  /** Headers of a successful answer that the platform derives itself. */
  readonly ownHeaders?: Readonly<Record<string, string>>
}

/**
 * Streams the client's request to the workspace's runtime and its answer back. The workspace's
 * own statuses and bodies pass through, its headers only by the operation's allow-list. Throws
 * `workspace_unreachable`, `workspace_timeout`, `workspace_redirected`, `workspace_auth_mismatch`,
 * `workspace_invalid_response` before the head; afterwards it destroys the client's connection.
 */
export async function forwardToRuntime(deps: ForwardDeps, forward: Forward): Promise<void> {
  const { operation, target, exchange } = forward
  const { incoming } = exchange
  const method = operation.methods.find((each) => each === incoming.method)
  if (method === undefined)
    throw new AppError('internal', { internal: 'route and operation disagree' })
  const url = urlBelow(target.endpoint.url, operation.path, forward.query)
  const client = target.endpoint.isTrusted ? deps.trustedClient : deps.guardedClient
  await client.forward(
    {
      url,
      method,
      headers: requestHeaders(forward),
      ...(method === 'POST' ? { body: incoming } : {}),
      ...(forward.bodyLimit === undefined ? {} : { bodyLimit: forward.bodyLimit }),
    },
    exchange,
    (head) => {
      if (head.status === 401) deps.lifecycle.deliverInboundSecret(target.workspaceId)
      return answerHead(forward, head)
    },
  )
}

function requestHeaders(forward: Forward): Record<string, string> {
  const headers: Record<string, string> = {
    authorization: `Bearer ${forward.target.inboundSecret.reveal()}`,
    // A compressed body would make the forwarded Content-Length lie (H16).
    'accept-encoding': 'identity',
    [REQUEST_ID_HEADER]: forward.requestId,
  }
  for (const name of forward.operation.requestHeaders) {
    const value = forward.exchange.incoming.headers[name]
    if (typeof value === 'string') headers[name] = value
  }
  return headers
}

function answerHead(
  forward: Forward,
  head: RuntimeResponseHead,
): { status: number; headers: Record<string, string> } {
  const { status } = head
  // Our secret and the workspace's file disagree: that is not the user's 401 (architecture 7).
  if (status === 401) throw new AppError('workspace_auth_mismatch')
  if (status >= 300 && status < 400 && status !== 304) throw new AppError('workspace_redirected')
  if (status < 200 || status > 599) throw new AppError('workspace_invalid_response')
  const headers: Record<string, string> = { ...FILE_SECURITY_HEADERS }
  for (const name of forward.operation.responseHeaders) {
    const value = head.headers[name]
    if (typeof value === 'string') headers[name] = value
  }
  if (status < 300) return { status, headers: { ...headers, ...forward.ownHeaders } }
  if (status === 304) return { status, headers }
  return { status, headers: { ...headers, 'content-type': errorType(head) } }
}

/** A workspace's error body is its own JSON, or it is text; it is never markup. */
function errorType(head: RuntimeResponseHead): string {
  const declared = head.headers['content-type'] ?? ''
  return /^application\/json\b/i.test(declared) ? 'application/json' : 'text/plain; charset=utf-8'
}
