/**
 * @module Makes a request what its dialect says it should be, or refuses it aloud: a message whose
 * text sits in the wrong field is otherwise accepted and silently empty (contract/a2a 0.3). What is
 * right stays as it is, so that the original bytes can go on (2.1.1).
 */
import { done, type FieldError, refused, type Step } from './field-error.ts'
import type { RpcFailure, RpcRequest } from './json-rpc.ts'
import { isJsonObject, type JsonObject } from './lossless-json.ts'
import { MESSAGE_MEMBERS, PARAMS_NAMES } from './message/field-names.ts'
import { paramsFromV01 } from './message/from-v01.ts'
import { renameFields, withoutFields } from './message/merge-fields.ts'
import { normaliseConfiguration } from './message/normalise-configuration.ts'
import { normaliseMessage } from './message/normalise-message.ts'
import type { Note, Pass } from './message/pass.ts'
import { type MethodTraits, methodName, methodTraits, type Operation } from './method.ts'
import { validateParams } from './validate/validate-params.ts'

export type Normalised = {
  readonly ok: true
  /** False: the original bytes may be forwarded, and should be (contract/a2a 2.1.1). */
  readonly changed: boolean
  /** In the canonical shape of its dialect. One of 0.1 has become one of 0.3, method and all. */
  readonly request: RpcRequest
  /** What was not as it should be, for `X-A2A-Normalized`. Some repairs are too common to be told. */
  readonly notes: readonly Note[]
  /** The id that a message without one was given, for `X-A2A-Message-Id`. */
  readonly mintedMessageId: string | undefined
  /** What a client of 0.1 calls the task that it wants: no id of the agent's. */
  readonly taskAlias: string | undefined
}

export type NormaliseResult = Normalised | { readonly ok: false; readonly error: RpcFailure }

/**
 * Applies the decisions of `decisions/decisions.ts`. The parameters of a sending method are checked as
 * well, so that what comes out can be read by an agent; of other methods only names are changed, and
 * `validateParams` says whether they are good. A method that nobody knows is left alone. Failures are
 * data with code -32602 and the path of the field. Never throws.
 */
export function normaliseRequest(request: RpcRequest, ids: { uuid(): string }): NormaliseResult {
  const traits = methodTraits(request.method)
  const pass: Pass = {
    dialect: traits.dialect === '1.0' ? '1.0' : '0.3',
    ids,
    notes: new Set(request.wasWrapped ? ['envelope'] : []),
    mintedMessageId: undefined,
  }
  const result = rebuild(request, traits, pass)
  if (!result.ok) return { ok: false, error: invalidParams(request, result.error) }
  const { method, params, taskAlias } = result.value
  const isSame = method === request.method && params === request.params
  return {
    ok: true,
    changed: request.wasWrapped || !isSame,
    request: isSame ? request : replaced(request, method, params),
    notes: [...pass.notes],
    mintedMessageId: pass.mintedMessageId,
    taskAlias,
  }
}

type Rebuilt = {
  readonly method: string
  readonly params: RpcRequest['params']
  readonly taskAlias: string | undefined
}

function rebuild(request: RpcRequest, traits: MethodTraits, pass: Pass): Step<Rebuilt> {
  const { operation, dialect } = traits
  const { method, params } = request
  const untouched: Rebuilt = { method, params, taskAlias: undefined }
  if (operation === undefined) return done(untouched)
  if (!isJsonObject(params)) {
    // Whether the others may go without is for who dispatches them to say (contract/a2a 2.2).
    return traits.carriesMessage ? refused('params', 'must be an object') : done(untouched)
  }
  const current =
    dialect === '0.1' ? fromV01(operation, params, pass) : done({ ...untouched, params })
  if (!current.ok) return current
  const normalised = traits.carriesMessage
    ? normaliseSend(operation, current.value.params, pass)
    : renameParams(current.value.params, pass)
  return normalised.ok ? done({ ...current.value, params: normalised.value }) : normalised
}

type CurrentCall = Rebuilt & { readonly params: JsonObject }

function fromV01(operation: Operation, params: JsonObject, pass: Pass): Step<CurrentCall> {
  const method = methodName(operation, '0.3')
  const flat = traitsCarry(operation) ? takeMessageIn(params, pass) : params
  const current = paramsFromV01(operation, flat)
  if (!current.ok) return current
  pass.notes.add('v0.1')
  return done({ method: method ?? '', ...current.value })
}

function traitsCarry(operation: Operation): boolean {
  return operation === 'send' || operation === 'stream'
}

function renameParams(params: JsonObject, pass: Pass): Step<JsonObject> {
  const renamed = renameFields(params, PARAMS_NAMES, 'params')
  if (renamed.ok && renamed.value !== params) pass.notes.add('snake-case')
  return renamed
}

function normaliseSend(operation: Operation, given: JsonObject, pass: Pass): Step<JsonObject> {
  const params = takeMessageIn(given, pass)
  const message = normaliseMessage(params['message'] ?? null, pass)
  if (!message.ok) return message
  const { configuration } = params
  const configured = isJsonObject(configuration)
    ? normaliseConfiguration(configuration, pass)
    : done(configuration)
  if (!configured.ok) return configured
  const result = withMembers(params, message.value, configured.value)
  const fault = validateParams(operation, pass.dialect, result)
  return fault === undefined ? done(result) : { ok: false, error: fault }
}

/** The same object when both are what it has. */
function withMembers(
  params: JsonObject,
  message: JsonObject,
  configuration: RpcRequest['params'],
): JsonObject {
  if (message === params['message'] && configuration === params['configuration']) return params
  return { ...params, message, ...(configuration === undefined ? {} : { configuration }) }
}

/** #18: a message that stands where its parameters should be. */
function takeMessageIn(params: JsonObject, pass: Pass): JsonObject {
  const isThere = (name: string): boolean => (params[name] ?? null) !== null
  if (isThere('message') || !['parts', 'content', 'role'].some(isThere)) return params
  pass.notes.add('flattened')
  const message = withoutFields(params, (name) => !MESSAGE_MEMBERS.has(name))
  return { ...withoutFields(params, (name) => MESSAGE_MEMBERS.has(name)), message }
}

function replaced(request: RpcRequest, method: string, params: RpcRequest['params']): RpcRequest {
  const members = { method, ...(params === undefined ? {} : { params }) }
  return { ...request, ...members, envelope: { ...request.envelope, ...members } }
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
