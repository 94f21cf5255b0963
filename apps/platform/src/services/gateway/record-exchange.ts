/** @module The row of the activity log that an exchange leaves (contract/platform 4.11). */
import { rpcRequestText } from '@atrium/a2a-schema/json-rpc'
import { isJsonObject, type JsonValue, parseLossless } from '@atrium/a2a-schema/lossless-json'
import type { Clock, Ids } from '@atrium/http-kit/clock'
import { isStorableJson } from '@atrium/runtime-contract/registration'
import { type LogActivityDeps, logActivity } from '../log-activity.ts'
import { messageActivity } from '../log-message.ts'
import type { TaskTracker } from '../task-tracker.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import type { ReadableMessage } from './readable-message.ts'

export type RecordDeps = LogActivityDeps & {
  readonly clock: Clock
  readonly ids: Ids
  readonly tracker: TaskTracker
}

/** In the background: an answer does not wait for the log. */
export function recordExchange(
  deps: RecordDeps,
  exchange: {
    readonly message: ReadableMessage
    readonly startedAt: Date
    readonly answer: GatewayAnswer
  },
): void {
  const { message, startedAt, answer } = exchange
  const now = deps.clock.now()
  deps.tracker.run(async () => {
    const responseBody = answer.kind === 'json' ? storableBody(answer.body.toString('utf8')) : null
    await logActivity(deps, {
      ...messageActivity({ ...message, sender: message.call.caller }),
      id: deps.ids.uuid(),
      requestBody: storableBody(rpcRequestText(message.request)),
      responseBody,
      toolTrace: traceOf(responseBody),
      durationMs: now.getTime() - startedAt.getTime(),
      status: answer.status < 400 ? 'ok' : 'error',
      createdAt: now,
    })
  })
}

const OMITTED = { omitted: 'cannot be stored' }

/** A body for the activity log, or a note in its place: what cannot be stored happened all the same. */
function storableBody(text: string): JsonValue {
  try {
    const value = parseLossless(text)
    return isStorableJson(value) ? value : OMITTED
  } catch (error) {
    // Nested deeper than it can be read without rounding its numbers.
    if (error instanceof RangeError) return OMITTED
    throw error
  }
}

/** `result.metadata.tool_trace`: which tools the agent says it has used (contract/platform 4.11). */
function traceOf(body: JsonValue): JsonValue {
  let value: JsonValue | undefined = body
  for (const key of ['result', 'metadata', 'tool_trace']) {
    value = isJsonObject(value) ? value[key] : undefined
  }
  return value ?? null
}
