/**
 * @module The parameters of 1.0. Its published schema requires nothing and forbids what the
 * specification tells everybody to ignore (contract/a2a 0.4), so that these are our own.
 */
import { z } from 'zod'
import { isJsonObject, type JsonObject } from '../lossless-json.ts'
import { toStandardBase64 } from '../message/base64.ts'
import type { Operation } from '../method.ts'
import { readState } from '../task-state.ts'
import {
  CONFIGURATION,
  count,
  countWithin,
  faultOfMetadata,
  faultOfTexts,
  flag,
  MESSAGE,
  metadata,
  objectOf,
  oneOf,
  type PartFault,
  PUSH_CONFIG,
  partsOf,
  someText,
  text,
} from './rules.ts'

/** Exactly one of these is what a part is. */
const ARMS = ['text', 'raw', 'url', 'data'] as const

const faultOfPart: PartFault = (part) => {
  if (!isJsonObject(part)) return { at: '', detail: 'must be an object' }
  return faultOfMetadata(part) ?? faultOfTexts(part, ['filename', 'mediaType']) ?? faultOfArm(part)
}

function faultOfArm(part: JsonObject): ReturnType<PartFault> {
  const present = ARMS.filter((arm) => Object.hasOwn(part, arm))
  const [arm] = present
  if (arm === undefined) return { at: '', detail: `has none of ${ARMS.join(', ')}` }
  if (present.length > 1) return { at: '', detail: `has more than one of ${ARMS.join(', ')}` }
  const value = part[arm]
  if (arm === 'data') return undefined
  if (typeof value !== 'string') return { at: arm, detail: 'must be a text' }
  if (arm === 'url' && value === '') return { at: arm, detail: 'must not be empty' }
  if (arm === 'raw' && toStandardBase64(value) === undefined) {
    return { at: arm, detail: 'must be base64' }
  }
  return undefined
}

const tenant = text.nullish()

const message = objectOf({
  role: oneOf('ROLE_USER', 'ROLE_AGENT'),
  parts: partsOf(faultOfPart),
  ...MESSAGE,
})

const authentication = objectOf({ scheme: text, credentials: text.nullish() })

const pushConfig = { ...PUSH_CONFIG, tenant, authentication: authentication.nullish() }

const configuration = objectOf({
  ...CONFIGURATION,
  returnImmediately: flag.nullish(),
  taskPushNotificationConfig: objectOf({ ...pushConfig, taskId: text.nullish() }).nullish(),
})

const send = objectOf({ tenant, message, configuration: configuration.nullish(), metadata })
const task = { tenant, id: someText, metadata }
const configOfTask = objectOf({ tenant, taskId: someText, id: someText })

const taskState = z.custom((value) => {
  return (typeof value === 'string' || typeof value === 'number') && readState(value) !== undefined
}, 'must be a task state')

// RFC 3339; anchored, and no two neighbours of it take the same character.
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/i
const timestamp = z.custom((value) => {
  return typeof value === 'string' && TIMESTAMP.test(value) && !Number.isNaN(Date.parse(value))
}, 'must be a timestamp (RFC 3339)')

const list = objectOf({
  tenant,
  contextId: text.nullish(),
  status: taskState.nullish(),
  pageSize: countWithin(1, 100).nullish(),
  pageToken: text.nullish(),
  historyLength: count.nullish(),
  statusTimestampAfter: timestamp.nullish(),
  includeArtifacts: flag.nullish(),
})

/** By operation. */
export const V10_PARAMS: Readonly<Record<Operation, z.ZodType>> = {
  send,
  stream: send,
  get: objectOf({ ...task, historyLength: count.nullish() }),
  list,
  cancel: objectOf(task),
  subscribe: objectOf(task),
  push_set: objectOf({ ...pushConfig, taskId: someText }),
  push_get: configOfTask,
  push_list: objectOf({
    tenant,
    taskId: someText,
    pageSize: countWithin(1, 100).nullish(),
    pageToken: text.nullish(),
  }),
  push_delete: configOfTask,
  extended_card: objectOf({ tenant }),
}
