/**
 * @module A message for a workspace that fetches its messages (contract/platform 4.4): it is kept in
 * the activity log, and nobody is called. What is acknowledged is stored.
 */
import { type RpcRequest, rpcRequestText } from '@atrium/a2a-schema/json-rpc'
import { isJsonObject, parseLossless } from '@atrium/a2a-schema/lossless-json'
import { AppError } from '@atrium/http-kit/app-error'
import { sha256 } from '@atrium/http-kit/bearer'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { isStorableJson } from '@atrium/runtime-contract/registration'
import { databaseFailure } from '../db/db-error.ts'
import { storableText } from '../domain/activity.ts'
import type { Sender } from '../domain/caller.ts'
import type { Workspace } from './find-workspace.ts'
import { type LogActivityDeps, logActivity } from './log-activity.ts'
import { messageActivity } from './log-message.ts'

export type PollDelivery = {
  readonly sender: Sender
  readonly target: Workspace
  /** As it came, before a missing message id was made up. */
  readonly given: RpcRequest
  /** As the agent shall read it. */
  readonly request: RpcRequest
}

/** PostgreSQL's own limit of nesting (54001): what can be read and written may be too deep for it. */
const PROGRAM_LIMIT = /^54/

/**
 * Keeps the message, once however often the same sender repeats it. Throws `invalid_request_body`
 * for what cannot be stored, `workspace_not_found` when the workspace was removed meanwhile.
 */
export async function deliverByPoll(
  deps: LogActivityDeps & { readonly clock: Clock; readonly ids: Ids },
  delivery: PollDelivery,
): Promise<void> {
  try {
    const requestBody = parseLossless(rpcRequestText(delivery.request))
    if (!isStorableJson(requestBody)) throw notStorable()
    const appended = await logActivity(deps, {
      ...messageActivity(delivery),
      id: deps.ids.uuid(),
      requestBody,
      idempotencyKey: repetitionKey(delivery),
      createdAt: deps.clock.now(),
    })
    if (appended === 'absent') throw new AppError('workspace_not_found')
  } catch (error) {
    const isTooDeep =
      error instanceof RangeError || PROGRAM_LIMIT.test(databaseFailure(error)?.sqlState ?? '')
    throw isTooDeep ? notStorable() : error
  }
}

function notStorable(): AppError {
  return new AppError('invalid_request_body', {
    message: 'the message holds characters or a nesting that cannot be stored',
  })
}

/**
 * The sender belongs to the key (wart W6). So does what is said: a sender that numbers its messages
 * from one again means another message, and must not lose it.
 */
function repetitionKey({ sender, given }: PollDelivery): string | null {
  const message = isJsonObject(given.params) ? given.params['message'] : undefined
  const messageId = isJsonObject(message) ? message['messageId'] : undefined
  if (typeof messageId !== 'string' || messageId === '') return null
  const content = sha256(JSON.stringify([given.method, given.params])).toString('base64url')
  return `a2a:${senderName(sender)}:${storableText(messageId.slice(0, 200))}:${content}`
}

function senderName(sender: Sender): string {
  if (sender.kind === 'workspace') return sender.workspaceId
  return sender.kind === 'internal' ? sender.name : 'people'
}
