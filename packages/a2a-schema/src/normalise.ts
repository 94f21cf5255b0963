/**
 * @module Makes a message what the agent's SDK can read, or refuses it aloud: a message whose text
 * sits in the wrong field is otherwise accepted and silently empty (contract/a2a 0.3).
 */
import type { RpcFailure, RpcRequest } from './json-rpc.ts'
import { isJsonObject, type JsonObject, type JsonValue } from './lossless-json.ts'
import { type MethodTraits, methodTraits } from './method.ts'

export type NormaliseResult =
  | {
      readonly ok: true
      /** False: the original bytes may be forwarded, and should be (contract/a2a 2.1.1). */
      readonly changed: boolean
      readonly request: RpcRequest
    }
  | { readonly ok: false; readonly error: RpcFailure }

type FieldError = { readonly field: string; readonly detail: string }

type Step<T> = { readonly value: T } | FieldError

const PARTS_FIELD = 'params.message.parts'

/** `kind` tells parts apart in 0.3; in 1.0 the key itself does (contract/a2a 1.3). */
function textPart(text: string, dialect: MethodTraits['dialect']): JsonObject {
  return dialect === '1.0' ? { text } : { kind: 'text', text }
}

function partsFromContent(
  content: JsonValue | undefined,
  dialect: MethodTraits['dialect'],
): Step<JsonValue> {
  if (typeof content === 'string') {
    return content === ''
      ? { field: PARTS_FIELD, detail: 'content is empty' }
      : { value: [textPart(content, dialect)] }
  }
  if (Array.isArray(content)) return nonEmpty(content)
  return {
    field: PARTS_FIELD,
    detail: 'missing: the message has neither parts nor a content that is a string or a list',
  }
}

function nonEmpty(parts: JsonValue): Step<JsonValue> {
  return Array.isArray(parts) && parts.length > 0
    ? { value: parts }
    : { field: PARTS_FIELD, detail: 'parts must be a list with at least one part' }
}

/** `parts` wins over `content` (contract/platform 13.10); null is absent, as in ProtoJSON. */
function normaliseMessage(
  message: JsonObject,
  dialect: MethodTraits['dialect'],
  ids: { uuid(): string },
): Step<JsonObject> {
  const { content, ...rest } = message
  const given = rest['parts'] ?? null
  const parts = given === null ? partsFromContent(content, dialect) : nonEmpty(given)
  if ('field' in parts) return parts
  // A key that is present is left alone, whatever it holds (contract/platform 4.3).
  const hasId = Object.hasOwn(message, 'messageId')
  if (hasId && content === undefined) return { value: message }
  return {
    value: { ...rest, parts: parts.value, ...(hasId ? {} : { messageId: ids.uuid() }) },
  }
}

/**
 * Applies contract/platform 4.3 to a request: message content in the legacy field becomes parts, a
 * missing message id is minted. Requests of other methods, and without a message, are untouched.
 * Failures are data with code -32602 and the path of the field. Never throws.
 */
export function normaliseRequest(request: RpcRequest, ids: { uuid(): string }): NormaliseResult {
  const traits = methodTraits(request.method)
  const untouched = { ok: true, changed: request.wasWrapped, request } as const
  const { params } = request
  if (!traits.carriesMessage || !isJsonObject(params)) return untouched
  const message = params['message'] ?? null
  if (message === null) return untouched
  const result: Step<JsonObject> = isJsonObject(message)
    ? normaliseMessage(message, traits.dialect, ids)
    : { field: 'params.message', detail: 'message must be an object' }
  if ('field' in result) return { ok: false, error: invalidParams(request, result) }
  if (result.value === message) return untouched
  const replaced = { ...params, message: result.value }
  const envelope = { ...request.envelope, params: replaced }
  return { ok: true, changed: true, request: { ...request, params: replaced, envelope } }
}

function invalidParams(request: RpcRequest, failure: FieldError): RpcFailure {
  const { field, detail } = failure
  return {
    code: -32602,
    message: `invalid params: ${field}: ${detail}`,
    id: request.id,
    data: { field, detail },
  }
}
