/** @module Messages between the dialects (contract/a2a 1.2). */
import type { JsonObject, JsonValue } from '../lossless-json.ts'
import { partToV03, partToV10 } from './part.ts'
import {
  dropped,
  droppedWhenEmpty,
  each,
  type FieldRules,
  mapped,
  rewrite,
  withDefaults,
} from './rewrite.ts'

// ProtoJSON may write an enum as its number.
const USER: readonly unknown[] = ['user', 'role_user', 1]
const AGENT: readonly unknown[] = ['agent', 'role_agent', 'role_unspecified', 0, 2]

function roleTo(names: { readonly user: string; readonly agent: string }) {
  return (role: JsonValue): JsonValue => {
    const plain = typeof role === 'string' ? role.toLowerCase() : role
    if (USER.includes(plain)) return names.user
    return AGENT.includes(plain) ? names.agent : role
  }
}

const V10_RULES: FieldRules = new Map([
  dropped('kind'),
  mapped('role', roleTo({ user: 'ROLE_USER', agent: 'ROLE_AGENT' })),
  mapped('parts', each(partToV10)),
])

const V03_RULES: FieldRules = new Map([
  dropped('kind'),
  droppedWhenEmpty('contextId'),
  droppedWhenEmpty('taskId'),
  mapped('role', roleTo({ user: 'user', agent: 'agent' })),
  mapped('parts', each(partToV03)),
])

/** The message as 1.0 writes it. */
export function messageToV10(message: JsonObject): JsonObject {
  return rewrite(message, V10_RULES)
}

/**
 * The message as 0.3 writes it. ProtoJSON leaves out a role that nobody set; 0.3 demands one, and
 * only an agent's message gets here without: a client's has been checked.
 */
export function messageToV03(message: JsonObject): JsonObject {
  return { kind: 'message', ...withDefaults(rewrite(message, V03_RULES), { role: 'agent' }) }
}
