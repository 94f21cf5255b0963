/**
 * @module A message for a workspace that fetches its messages (contract/platform 4.4): it is kept in
 * the activity log, and nobody is called. What is acknowledged is stored.
 */
import { type RpcRequest, rpcRequestText } from '@atrium/a2a-schema/json-rpc'
import { parseLossless } from '@atrium/a2a-schema/lossless-json'
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { isStorableJson } from '@atrium/runtime-contract/registration'
import type { NewActivity } from '../db/activity-store.ts'
import { databaseFailure } from '../db/db-error.ts'
import { keepPolled } from '../db/poll-writes.ts'
import type { Sender } from '../domain/caller.ts'
import type { NewDelivery } from '../domain/delivery.ts'
import type { Workspace } from './find-workspace.ts'
import { type LogActivityDeps, logActivity, tellOfActivity } from './log-activity.ts'
import { messageActivity } from './log-message.ts'

export type PollMessage = {
  readonly sender: Sender
  readonly target: Workspace
  /** As the agent shall read it. */
  readonly request: RpcRequest
}

export type PollDeps = LogActivityDeps & {
  readonly clock: Clock
  readonly ids: Ids
  /** So many may wait for a workspace. */
  readonly queueCap: number
}

/** PostgreSQL's own limit of nesting (54001): what can be read and written may be too deep for it. */
const PROGRAM_LIMIT = /^54/

/**
 * Keeps the message with its place in the ledger: once, however often the same sender repeats it.
 * Throws `invalid_request_body` for what cannot be stored.
 */
export async function deliverByPoll(
  deps: PollDeps,
  message: PollMessage,
  delivery: NewDelivery,
): Promise<Awaited<ReturnType<typeof keepPolled>>> {
  return await storing(async () => {
    const activity = activityOf(deps, message)
    const kept = await keepPolled(deps.db, { delivery, activity }, deps.queueCap)
    if (kept.kind === 'queued') tellOfActivity(deps.events, activity)
    return kept
  })
}

/** The same for a request that is no message: it is not in the ledger, and nobody answers it. */
export async function noteForPoll(deps: PollDeps, message: PollMessage): Promise<void> {
  const appended = await storing(() => logActivity(deps, activityOf(deps, message)))
  if (appended === 'absent') throw new AppError('workspace_not_found')
}

function activityOf(deps: PollDeps, message: PollMessage): NewActivity {
  const requestBody = parseLossless(rpcRequestText(message.request))
  if (!isStorableJson(requestBody)) throw notStorable()
  const now = deps.clock.now()
  return { ...messageActivity(message), id: deps.ids.uuid(), requestBody, createdAt: now }
}

async function storing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
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
