/** @module One forwarding function for uploads and downloads: they differ by data (contract 6, M2). */
import type { RawExchange } from '@atrium/hono-kit/raw-exchange'
import { AppError } from '@atrium/http-kit/app-error'
import { FILE_SECURITY_HEADERS } from '@atrium/http-kit/file-response'
import { REQUEST_ID_HEADER } from '@atrium/http-kit/request-id'
import type { Secret } from '@atrium/http-kit/secret'
import type { ForwardOperation } from '@atrium/runtime-contract/file-transfer'
import type { SecretSlot } from '../domain/inbound-secret-rotation.ts'
import { urlBelow } from '../domain/upstream-url.ts'
import type { BodyLimit } from '../upstream/request-body-pump.ts'
import { RetainedBody } from '../upstream/retained-body.ts'
import type { RuntimeClient, RuntimeResponseHead } from '../upstream/runtime-client.ts'
import { noteLetIn, type PresentedSecret } from './inbound-secret-rotation.ts'
import type { ForwardTarget } from './resolve-forward-target.ts'
import { suspectIfUnreachable } from './suspect-if-unreachable.ts'
import type { TaskTracker } from './task-tracker.ts'
import type { CredentialDeps } from './workspace-credentials.ts'
import type { WorkspaceLifecycle } from './workspace-lifecycle.ts'

export type ForwardDeps = CredentialDeps & {
  /** For endpoints that a provisioner gave. */
  readonly trustedClient: RuntimeClient
  /** For agent-reported ones: every address is judged at connect time. */
  readonly guardedClient: RuntimeClient
  readonly lifecycle: WorkspaceLifecycle
  readonly tracker: TaskTracker
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
 * own statuses and bodies pass through, its headers only by the operation's allow-list. During a
 * rotation a workspace that refuses the first secret is offered the second. Throws
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
  const [first, second] = target.secrets
  const retained = second === undefined || method !== 'POST' ? undefined : new RetainedBody()
  const attempt = (presented: PresentedSecret, again?: { readonly begun: readonly Buffer[] }) =>
    client.forward(
      {
        url,
        method,
        headers: requestHeaders(forward, presented.secret),
        ...(method === 'POST' ? { body: incoming } : {}),
        ...(forward.bodyLimit === undefined ? {} : { bodyLimit: forward.bodyLimit }),
        ...(again ?? (retained === undefined ? {} : { retained })),
      },
      exchange,
      (head) => {
        const wasRefused = again !== undefined
        noteAnswer(deps, { target, slot: presented.slot, status: head.status, wasRefused })
        return answerHead(forward, head)
      },
    )
  const { lifecycle } = deps
  try {
    await suspectIfUnreachable(lifecycle, target.workspaceId, attempt(first))
  } catch (error) {
    const isRefused = error instanceof AppError && error.code === 'workspace_auth_mismatch'
    if (!isRefused || second === undefined || retained?.isWhole === false) throw error
    await attempt(second, { begun: retained?.pieces ?? [] })
  }
}

/** What the workspace's answer says about the secrets that it holds. */
function noteAnswer(
  deps: ForwardDeps,
  answer: {
    readonly target: ForwardTarget
    readonly slot: SecretSlot
    readonly status: number
    readonly wasRefused: boolean
  },
): void {
  const { target, slot, status, wasRefused } = answer
  const isRotating = target.secrets.length > 1
  if (status === 401 && (slot === 'current' || !isRotating)) {
    deps.lifecycle.deliverInboundSecret(target.workspaceId)
  }
  const isLetIn = (status >= 200 && status < 300) || status === 304
  if (!isRotating || !isLetIn) return
  deps.tracker.run(() => noteLetIn(deps, { row: target.row, slot, wasRefused }))
}

function requestHeaders(forward: Forward, secret: Secret): Record<string, string> {
  const headers: Record<string, string> = {
    authorization: `Bearer ${secret.reveal()}`,
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
