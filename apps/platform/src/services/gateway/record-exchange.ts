/** @module The row of the activity log that an exchange leaves (contract/platform 4.11). */
import { type RpcRequest, rpcRequestText } from '@atrium/a2a-schema/json-rpc'
import { isJsonObject, type JsonValue, readLossless } from '@atrium/a2a-schema/lossless-json'
import { methodTraits } from '@atrium/a2a-schema/method'
import { findAppError } from '@atrium/http-kit/app-error'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { isStorableJson } from '@atrium/runtime-contract/registration'
import type { NewActivity } from '../../db/activity-store.ts'
import { storableText } from '../../domain/activity.ts'
import type { Sender } from '../../domain/caller.ts'
import { workspaceIdSchema } from '../../domain/ids.ts'
import { tokenUsageOf } from '../../domain/token-usage.ts'
import type { Workspace } from '../find-workspace.ts'
import { type LogActivityDeps, logActivity } from '../log-activity.ts'
import { messageActivity } from '../log-message.ts'
import type { TaskTracker } from '../task-tracker.ts'
import type { UsageNotes } from '../usage-notes.ts'
import type { ReadableMessage } from './readable-message.ts'

export type RecordDeps = LogActivityDeps & {
  readonly clock: Clock
  readonly ids: Ids
  readonly tracker: TaskTracker
  readonly usage: UsageNotes
}

/** What was asked, by whom and of whom. */
export type Asked = {
  readonly sender: Sender
  readonly target: Workspace
  readonly request: RpcRequest
}

/** The same of a request whose sender is on the line. */
export function askedIn({ call, target, request }: ReadableMessage): Asked {
  return { sender: call.caller, target, request }
}

type Exchange = { readonly asked: Asked; readonly startedAt: Date }

type ExchangeAnswer =
  | { readonly kind: 'json'; readonly status: number; readonly body: Buffer }
  | { readonly kind: 'stream'; readonly status: number }

/** In the background: an answer does not wait for the log. */
export function recordExchange(
  deps: RecordDeps,
  exchange: Exchange & { readonly answer: ExchangeAnswer },
): void {
  const { asked, answer } = exchange
  const isGood = answer.status < 400
  deps.tracker.run(async () => {
    const said = saidIn(answer)
    const body = answer.kind === 'json' ? storable(said) : null
    noteUsage(deps, asked, isGood ? said : undefined)
    const ended = {
      responseBody: body,
      toolTrace: body === null ? null : traceOf(body),
      errorDetail: null,
    }
    const activity = activityOf(deps, exchange, { ...ended, status: isGood ? 'ok' : 'error' })
    await logActivity(deps, activity)
    if (isGood && body !== null && asked.sender.kind === 'operator') {
      tellCanvas(deps, asked, { body, durationMs: activity.durationMs })
    }
  })
}

/** A request that got no answer (contract/platform 4.11). */
export function recordFailure(
  deps: RecordDeps,
  exchange: Exchange & { readonly error: unknown },
): void {
  const { target } = exchange.asked
  const why = findAppError(exchange.error)?.publicText ?? 'the platform failed'
  const summary = storableText(`A2A request to ${target.name} failed: ${why}`)
  deps.tracker.run(async () => {
    const ended = { responseBody: null, status: 'error', errorDetail: why }
    await logActivity(deps, { ...activityOf(deps, exchange, ended), summary })
  })
}

function activityOf(
  deps: RecordDeps,
  { asked, startedAt }: Exchange,
  ended: Pick<NewActivity, 'responseBody' | 'status' | 'errorDetail' | 'toolTrace'>,
): NewActivity {
  const now = deps.clock.now()
  return {
    ...messageActivity(asked),
    id: deps.ids.uuid(),
    requestBody: storable(readLossless(rpcRequestText(asked.request))),
    durationMs: now.getTime() - startedAt.getTime(),
    createdAt: now,
    ...ended,
  }
}

/** People who look at the canvas see the answer as it comes; it is kept with the activity only. */
function tellCanvas(
  deps: RecordDeps,
  { target, request }: Asked,
  told: { readonly body: unknown; readonly durationMs: number | null },
): void {
  deps.events.broadcast({
    type: 'A2A_RESPONSE',
    workspaceId: workspaceIdSchema.parse(target.id),
    payload: {
      response_body: told.body,
      method: storableText(request.method),
      duration_ms: told.durationMs,
    },
  })
}

const OMITTED = { omitted: 'cannot be stored' }

function saidIn(answer: ExchangeAnswer): JsonValue | undefined {
  return answer.kind === 'json' ? readLossless(answer.body.toString('utf8')) : undefined
}

/** A body for the activity log, or a note in its place: what cannot be stored happened all the same. */
function storable(body: JsonValue | undefined): JsonValue {
  return body !== undefined && isStorableJson(body) ? body : OMITTED
}

/** A task that is read again tells again what it has cost, and that was counted. */
function noteUsage(
  deps: RecordDeps,
  { target, request }: Asked,
  answer: JsonValue | undefined,
): void {
  const { carriesMessage, operation } = methodTraits(request.method)
  if (!carriesMessage && operation !== undefined) return
  const usage = tokenUsageOf(answer)
  if (usage === undefined) return
  deps.usage.note(workspaceIdSchema.parse(target.id), usage, deps.clock.now())
}

/** `result.metadata.tool_trace`: which tools the agent says it has used (contract/platform 4.11). */
function traceOf(body: JsonValue): JsonValue {
  let value: JsonValue | undefined = body
  for (const key of ['result', 'metadata', 'tool_trace']) {
    value = isJsonObject(value) ? value[key] : undefined
  }
  return value ?? null
}
