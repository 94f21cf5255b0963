/** @module What the ledger is told of a message that is about to be sent (ADR-0032). */
import { createHash } from 'node:crypto'
import type { RpcRequest } from '@atrium/a2a-schema/json-rpc'
import { isJsonObject, type JsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import { type MethodTraits, methodTraits } from '@atrium/a2a-schema/method'
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import { storableText } from '../../domain/activity.ts'
import type { Sender } from '../../domain/caller.ts'
import { type NewDelivery, PRIORITIES } from '../../domain/delivery.ts'
import type { WorkspaceId } from '../../domain/ids.ts'
import { senderText } from './sender-text.ts'

/** A message id is remembered for so long, a key that was given as one for a day. */
const MESSAGE_ID_MS = 10 * 60_000
const KEY_MS = 24 * 60 * 60_000
const MAX_KEY_LENGTH = 200
/** A poller that never comes does not fill the table. */
export const POLL_EXPIRY_MS = 7 * 24 * 60 * 60_000
/** What the seconds of `expires_in_seconds` may be at most: a year. */
const MAX_EXPIRY_SECONDS = 365 * 24 * 60 * 60
const IDEMPOTENT_KEY = 'urn:atrium:a2a:idempotent'

export type DeliverySource = {
  readonly workspaceId: WorkspaceId
  readonly sender: Sender
  /** As it came, before anything was made up. */
  readonly given: RpcRequest
  /** As the agent shall read it. */
  readonly request: RpcRequest
  readonly bytes: Buffer
  readonly mode: DeliveryMode
  readonly headers: Readonly<Record<string, string>>
  /** The sender's `Idempotency-Key`. */
  readonly key: string | undefined
  /** Whether the agent does a repeated delivery only once. */
  readonly isIdempotentAgent: boolean
  readonly activityId: string | null
}

/** Throws `invalid_request_body` for a key that cannot be one. */
export function newDelivery(
  deps: { readonly clock: Clock; readonly ids: Ids },
  source: DeliverySource,
): NewDelivery {
  const now = deps.clock.now().getTime()
  const { request, sender } = source
  const message = messageOf(request)
  const traits = methodTraits(source.given.method)
  return {
    id: deps.ids.uuid(),
    workspaceId: source.workspaceId,
    sender: senderText(sender),
    senderWorkspaceId: sender.kind === 'workspace' ? sender.workspaceId : null,
    priority: PRIORITIES.task,
    mode: source.mode,
    dialect: traits.dialect === 'unknown' ? '0.3' : traits.dialect,
    method: storableText(request.method),
    isStreaming: traits.isStreaming,
    contextId: textOf(message, 'contextId'),
    messageId: textOf(message, 'messageId'),
    request: source.bytes,
    requestHeaders: source.headers,
    key: keyOf(source, now),
    fingerprint: fingerprintOf(source.given, traits),
    isIdempotent: source.isIdempotentAgent || saysIdempotent(request.params),
    expiresAt: expiryOf(request.params, source.mode, now),
    delegationId: delegationOf(message),
    activityId: source.activityId,
  }
}

function messageOf(request: RpcRequest): JsonObject | undefined {
  const message = isJsonObject(request.params) ? request.params['message'] : undefined
  return isJsonObject(message) ? message : undefined
}

function textOf(object: JsonObject | undefined, key: string): string | null {
  const value = object?.[key]
  return typeof value === 'string' && value !== '' ? storableText(value.slice(0, 500)) : null
}

function keyOf(source: DeliverySource, now: number): NewDelivery['key'] {
  if (source.key !== undefined) {
    if (source.key === '' || source.key.length > MAX_KEY_LENGTH) {
      throw new AppError('invalid_request_body', {
        message: `Idempotency-Key must have 1 to ${MAX_KEY_LENGTH} characters`,
      })
    }
    return { value: `key:${storableText(source.key)}`, expiresAt: new Date(now + KEY_MS) }
  }
  // Of the message as it came: an id that was made up here is nobody's key.
  const messageId = textOf(messageOf(source.given), 'messageId')
  if (messageId === null || messageId.length > MAX_KEY_LENGTH) return null
  return { value: `message:${messageId}`, expiresAt: new Date(now + MESSAGE_ID_MS) }
}

/**
 * What is said, and in which dialect, in which it is answered: a repetition has an id of its own, and
 * whoever lost a stream may ask for the plain answer.
 */
function fingerprintOf({ params }: RpcRequest, { dialect }: MethodTraits): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([dialect, params ?? null]))
    .digest()
}

function metadataOf(value: JsonValue | undefined): JsonObject | undefined {
  const metadata = isJsonObject(value) ? value['metadata'] : undefined
  return isJsonObject(metadata) ? metadata : undefined
}

function saysIdempotent(params: JsonValue | undefined): boolean {
  return metadataOf(params)?.[IDEMPOTENT_KEY] === true
}

/** Contract/platform 4.6: positive whole seconds; anything else is no expiry. */
function expiryOf(params: JsonValue | undefined, mode: DeliveryMode, now: number): Date | null {
  const seconds = isJsonObject(params) ? params['expires_in_seconds'] : undefined
  if (typeof seconds === 'number' && Number.isInteger(seconds) && seconds > 0) {
    return new Date(now + Math.min(seconds, MAX_EXPIRY_SECONDS) * 1_000)
  }
  return mode === 'poll' ? new Date(now + POLL_EXPIRY_MS) : null
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function delegationOf(message: JsonObject | undefined): string | null {
  const id = metadataOf(message)?.['delegation_id']
  return typeof id === 'string' && UUID.test(id) ? id : null
}
