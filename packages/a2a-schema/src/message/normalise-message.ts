/** @module A message in the shape of its dialect, or why there is none (contract/a2a 2.3, 2.4). */
import { done, refused, type Step } from '../field-error.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import { MESSAGE_NAMES } from './field-names.ts'
import { renameFields, withoutFields } from './merge-fields.ts'
import { normaliseBody } from './normalise-body.ts'
import type { MessageDialect, Pass } from './pass.ts'

const AT = 'params.message'

type Rule = (message: JsonObject, pass: Pass) => Step<JsonObject>

const ROLES: Readonly<Record<MessageDialect, Readonly<Record<'user' | 'agent', string>>>> = {
  '0.3': { user: 'user', agent: 'agent' },
  '1.0': { user: 'ROLE_USER', agent: 'ROLE_AGENT' },
}

/** Upper case, and the numbers of ProtoJSON (#13). */
const ROLE_SPELLINGS: ReadonlyMap<JsonValue, 'user' | 'agent'> = new Map<
  JsonValue,
  'user' | 'agent'
>([
  ['USER', 'user'],
  ['ROLE_USER', 'user'],
  [1, 'user'],
  ['AGENT', 'agent'],
  ['ROLE_AGENT', 'agent'],
  [2, 'agent'],
])

const renamed: Rule = (message, pass) => {
  const result = renameFields(message, MESSAGE_NAMES, AT)
  if (result.ok && result.value !== message) pass.notes.add('snake-case')
  return result
}

/** #17: 0.3 demands it of everybody, and its own samples lack it. */
const withItsKind: Rule = (message, { dialect }) => {
  const kind = message['kind'] ?? null
  if (dialect === '1.0') {
    return done(kind === 'message' ? withoutFields(message, (name) => name === 'kind') : message)
  }
  if (kind === 'message') return done(message)
  if (kind !== null) return refused(`${AT}.kind`, 'must be message')
  return done({ kind: 'message', ...withoutFields(message, (name) => name === 'kind') })
}

const withRole: Rule = (message, pass) => {
  const given = message['role'] ?? null
  if (given === null) {
    // A message from a client can only be the user's (#14).
    pass.notes.add('role')
    return done({ ...message, role: ROLES[pass.dialect].user })
  }
  const role = ROLE_SPELLINGS.get(typeof given === 'string' ? given.toUpperCase() : given)
  if (role === undefined) return refused(`${AT}.role`, 'must be user or agent')
  const name = ROLES[pass.dialect][role]
  return done(name === given ? message : { ...message, role: name })
}

/** #16: what the sender calls `id` is taken before a new one is made. */
const withMessageId: Rule = (message, pass) => {
  const given = message['messageId'] ?? null
  if (typeof given === 'string' && given !== '') return done(message)
  if (given !== null && given !== '') return refused(`${AT}.messageId`, 'must be a text')
  pass.notes.add('message-id')
  const { id } = message
  if (typeof id === 'string' && id !== '') {
    return done({ ...withoutFields(message, (name) => name === 'id'), messageId: id })
  }
  pass.mintedMessageId = pass.ids.uuid()
  return done({ ...message, messageId: pass.mintedMessageId })
}

/** In this order: what a message says is looked at before an id is made for it. */
const RULES: readonly Rule[] = [renamed, withItsKind, withRole, normaliseBody, withMessageId]

/** The message as its dialect wants it; the same object when it is so. Never throws. */
export function normaliseMessage(value: JsonValue, pass: Pass): Step<JsonObject> {
  if (!isJsonObject(value)) return refused(AT, 'must be an object')
  let message = value
  for (const rule of RULES) {
    const result = rule(message, pass)
    if (!result.ok) return result
    message = result.value
  }
  return done(message)
}
