/**
 * @module The list of a caller's tasks where the agent has none to give: one of 0.3, or one that
 * fetches its messages (contract/a2a 1.9, 2.6, 2.8). It comes from what passed through here; what may have changed since is asked for.
 */
import { historyLengthOf, withHistoryLength } from '@atrium/a2a-schema/history'
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
  parseLossless,
} from '@atrium/a2a-schema/lossless-json'
import { isTerminal, readState } from '@atrium/a2a-schema/task-state'
import { bareTaskTo } from '@atrium/a2a-schema/translate/event'
import type { Clock } from '@atrium/http-kit/clock'
import { findDeliveries } from '../../db/delivery-store.ts'
import { listTasks, type TaskFilter, type TaskPage, type TaskRow } from '../../db/task-store.ts'
import type { AgentDialect } from '../../domain/task-stream.ts'
import { renameTask } from '../streams/rename-task.ts'
import type { TaskIndex } from '../streams/task-index.ts'
import { type AgentOfTaskDeps, dialectsOf } from './agent-of-task.ts'
import { taskOfDelivery } from './delivery-task.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { resultAnswer } from './own-task.ts'
import type { ReadableMessage } from './readable-message.ts'
import { invalidParams, RpcRefusal } from './rpc-problem.ts'
import { senderText } from './sender-text.ts'
import { taskAgent } from './task-agent.ts'

export type ListTasksDeps = AgentOfTaskDeps & {
  readonly clock: Clock
  readonly taskIndex: TaskIndex
}

const DEFAULT_PAGE = 50
const MAX_PAGE = 100
/** What was noted so recently is not asked for again. */
const FRESH_MS = 2_000
/** So many are asked for, and so long they are waited for: a list does not hang on its agent. */
const MAX_REFRESHED = 20
const REFRESH_MS = 3_000

export async function listOwnTasks(
  deps: ListTasksDeps,
  message: ReadableMessage,
): Promise<GatewayAnswer> {
  const given = message.request.params
  const params = isJsonObject(given) ? given : {}
  const pageSize = pageSizeOf(params)
  const page = { limit: pageSize + 1, after: placeOf(params) }
  // Whoever has just been told of a task finds it in the list.
  await deps.taskIndex.whenWritten()
  const { tasks, total } = await listTasks(deps.db, filterOf(message, params), page)
  const shown = tasks.slice(0, pageSize)
  const last = tasks.length > pageSize ? shown.at(-1) : undefined
  return resultAnswer(message, {
    tasks: (await refreshed(deps, shown, dialectsOf(deps, message).to)).map((task) =>
      asListed(task, params),
    ),
    nextPageToken: last === undefined ? '' : tokenOf(last),
    pageSize,
    totalSize: total,
  })
}

function pageSizeOf({ pageSize = null }: JsonObject): number {
  if (pageSize === null) return DEFAULT_PAGE
  if (typeof pageSize === 'number' && Number.isInteger(pageSize) && pageSize >= 1) {
    if (pageSize <= MAX_PAGE) return pageSize
  }
  throw new RpcRefusal(invalidParams('params.pageSize', `1 to ${MAX_PAGE}`))
}

function filterOf({ call }: ReadableMessage, params: JsonObject): TaskFilter {
  return {
    workspaceId: call.workspaceId,
    sender: call.caller.kind === 'operator' ? undefined : senderText(call.caller),
    contextId: textOf(params, 'contextId'),
    state: stateOf(params['status']),
    since: sinceOf(params),
  }
}

/** What no database can be asked for is refused, and not as if it had not been said. */
function textOf(params: JsonObject, name: string): string | undefined {
  const value = params[name]
  if (typeof value !== 'string' || value === '') return undefined
  if (!value.includes('\0')) return value
  throw new RpcRefusal(invalidParams(`params.${name}`, 'holds a NUL'))
}

/** UNSPECIFIED is how ProtoJSON may say that it does not matter. */
function stateOf(status: JsonValue | undefined): string | undefined {
  if (status === undefined || status === null || status === '') return undefined
  const state = readState(status)
  if (state === undefined) throw new RpcRefusal(invalidParams('params.status', 'no such state'))
  return state === 'TASK_STATE_UNSPECIFIED' ? undefined : state
}

function sinceOf(params: JsonObject): Date | undefined {
  const text = textOf(params, 'statusTimestampAfter')
  if (text === undefined) return undefined
  const at = dateOf(new Date(text).getTime())
  if (at !== undefined) return at
  throw new RpcRefusal(invalidParams('params.statusTimestampAfter', 'no timestamp'))
}

/** The last moment that a year of four digits has: a database reads no other. */
const LAST_MOMENT = Date.UTC(9999, 11, 31)

function dateOf(at: unknown): Date | undefined {
  return typeof at === 'number' && at >= 0 && at <= LAST_MOMENT ? new Date(at) : undefined
}

function tokenOf({ statusAt, taskId }: TaskRow): string {
  return Buffer.from(JSON.stringify([statusAt.getTime(), taskId])).toString('base64url')
}

function placeOf(params: JsonObject): TaskPage['after'] {
  const text = textOf(params, 'pageToken')
  if (text === undefined) return undefined
  const [at, taskId] = listIn(text)
  const statusAt = dateOf(at)
  if (statusAt !== undefined && typeof taskId === 'string' && !taskId.includes('\0')) {
    return { statusAt, taskId }
  }
  throw new RpcRefusal(invalidParams('params.pageToken', 'not of a page before'))
}

function listIn(token: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, 'base64url').toString())
    return Array.isArray(value) ? value : []
  } catch {
    // What is no JSON is no token either, which is said above.
    return []
  }
}

/** The tasks as they are, as 1.0 writes them. */
async function refreshed(
  deps: ListTasksDeps,
  rows: readonly TaskRow[],
  dialect: AgentDialect,
): Promise<readonly JsonObject[]> {
  const now = deps.clock.now().getTime()
  const waited = await waitedTasks(deps, rows)
  const stale = rows
    .filter((row) => !waited.has(row.taskId))
    .filter((row) => !isOver(row) && now - row.updatedAt.getTime() >= FRESH_MS)
    .slice(0, MAX_REFRESHED)
  const signal = AbortSignal.timeout(REFRESH_MS)
  const asked = new Map(
    await Promise.all(
      stale.map(async (row) => [row, await ask(deps, row, { dialect, signal })] as const),
    ),
  )
  return rows.map((row) => waited.get(row.taskId) ?? asked.get(row) ?? noted(row))
}

/** Messages that had to wait, as the ledger has them. */
async function waitedTasks(
  deps: ListTasksDeps,
  rows: readonly TaskRow[],
): Promise<ReadonlyMap<string, JsonObject>> {
  const ids = rows.flatMap(({ deliveryId, taskId }) => (deliveryId === taskId ? [taskId] : []))
  const deliveries = await findDeliveries(deps.db, ids)
  return new Map(deliveries.map((each) => [each.id, taskOfDelivery(each, '1.0')]))
}

function isOver({ state }: TaskRow): boolean {
  const read = readState(state)
  return read !== undefined && isTerminal(read)
}

async function ask(
  deps: ListTasksDeps,
  row: TaskRow,
  { dialect, signal }: { readonly dialect: AgentDialect; readonly signal: AbortSignal },
): Promise<JsonObject | undefined> {
  const { workspaceId, taskId, sender, deliveryId } = row
  const upstreamTaskId = row.upstreamTaskId ?? taskId
  const asked = await taskAgent(deps, { workspaceId, upstreamTaskId, dialect }).askTask(signal)
  if (asked.kind !== 'task') return undefined
  const task = renameTask(asked.task, upstreamTaskId, taskId)
  if (!isJsonObject(task)) return undefined
  const key = { workspaceId, taskId }
  deps.taskIndex.note({ key, upstreamTaskId, deliveryId, sender, task, dialect })
  return bareTaskTo(task, '1.0')
}

function noted(row: TaskRow): JsonObject {
  const { taskId: id, contextId, state, statusAt, snapshot } = row
  const value = snapshot === null ? undefined : parseLossless(snapshot.toString('utf8'))
  if (isJsonObject(value)) return bareTaskTo(value, '1.0')
  const status = { state, timestamp: statusAt.toISOString() }
  return { id, ...(contextId === null ? {} : { contextId }), status }
}

/** Artifacts only when they are asked for, and of the history what is asked for. */
function asListed(task: JsonObject, params: JsonObject): JsonObject {
  const { artifacts: _, ...rest } = task
  const shown = params['includeArtifacts'] === true ? task : rest
  return withHistoryLength(shown, historyLengthOf(params))
}
