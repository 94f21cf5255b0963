/** @module What this runtime looks for in a message that is good A2A. */
import { isJsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import { isTooDeep, MAX_NESTING } from './nesting.ts'

export type MessageFault = { readonly field: string; readonly detail: string }

/**
 * A part that the SDK would lose: answering a question that was not asked is worse than refusing
 * (contract/a2a 0.3). Null is data in 1.0, and the SDK takes it for none.
 */
export function findLostPart(params: JsonValue | undefined): MessageFault | undefined {
  const parts = messageOf(params)?.['parts']
  if (!Array.isArray(parts)) return undefined
  const index = parts.findIndex((part) => isJsonObject(part) && part['data'] === null)
  if (index < 0) return undefined
  return { field: `params.message.parts[${index}].data`, detail: 'is null, which would be lost' }
}

export function findDeepNesting(params: JsonValue | undefined): MessageFault | undefined {
  if (!isTooDeep(params)) return undefined
  return { field: 'params', detail: `is nested deeper than ${MAX_NESTING} levels` }
}

/** The task that the message of `params` goes on with. */
export function taskOfMessage(params: JsonValue | undefined): string | undefined {
  const taskId = messageOf(params)?.['taskId']
  return typeof taskId === 'string' ? taskId : undefined
}

function messageOf(params: JsonValue | undefined) {
  const message = isJsonObject(params) ? params['message'] : undefined
  return isJsonObject(message) ? message : undefined
}
