/** @module The parameters of 0.3, as its agents read them (contract/a2a 1.2, 1.3, 1.9). */
import type { z } from 'zod'
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import { toStandardBase64 } from '../message/base64.ts'
import type { Operation } from '../method.ts'
import {
  anyObject,
  CONFIGURATION,
  count,
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
  texts,
} from './rules.ts'

const faultOfPart: PartFault = (part) => {
  if (!isJsonObject(part)) return { at: '', detail: 'must be an object' }
  return faultOfMetadata(part) ?? faultOfKind(part)
}

function faultOfKind(part: JsonObject): ReturnType<PartFault> {
  switch (part['kind']) {
    case 'text':
      return typeof part['text'] === 'string' ? undefined : { at: 'text', detail: 'must be a text' }
    case 'data':
      return isJsonObject(part['data']) ? undefined : { at: 'data', detail: 'must be an object' }
    case 'file':
      return faultOfFile(part['file'])
    default:
      return { at: 'kind', detail: 'must be text, file or data' }
  }
}

function faultOfFile(file: JsonValue | undefined): ReturnType<PartFault> {
  if (!isJsonObject(file)) return { at: 'file', detail: 'must be an object' }
  return faultOfTexts(file, ['name', 'mimeType'], 'file.') ?? faultOfFileContent(file)
}

function faultOfFileContent(file: JsonObject): ReturnType<PartFault> {
  const bytes = file['bytes'] ?? null
  const uri = file['uri'] ?? null
  if (bytes !== null && uri !== null) return { at: 'file', detail: 'has both uri and bytes' }
  if (bytes !== null) {
    const isBase64 = typeof bytes === 'string' && toStandardBase64(bytes) !== undefined
    return isBase64 ? undefined : { at: 'file.bytes', detail: 'must be base64' }
  }
  if (uri === null) return { at: 'file', detail: 'must have uri or bytes' }
  const isText = typeof uri === 'string' && uri !== ''
  return isText ? undefined : { at: 'file.uri', detail: 'must be a text that is not empty' }
}

const message = objectOf({
  kind: oneOf('message'),
  role: oneOf('user', 'agent'),
  parts: partsOf(faultOfPart),
  ...MESSAGE,
})

const authentication = objectOf({ schemes: texts, credentials: text.nullish() })

const pushNotificationConfig = objectOf({
  ...PUSH_CONFIG,
  authentication: authentication.nullish(),
})

const configuration = objectOf({
  ...CONFIGURATION,
  blocking: flag.nullish(),
  pushNotificationConfig: pushNotificationConfig.nullish(),
})

const send = objectOf({ message, configuration: configuration.nullish(), metadata })
const task = { id: someText, metadata }

/** By operation; `list` is no method of 0.3, and who asks for it all the same may ask for anything. */
export const V03_PARAMS: Readonly<Record<Operation, z.ZodType>> = {
  send,
  stream: send,
  get: objectOf({ ...task, historyLength: count.nullish() }),
  list: anyObject,
  cancel: objectOf(task),
  subscribe: objectOf(task),
  push_set: objectOf({ taskId: someText, pushNotificationConfig, metadata }),
  push_get: objectOf({ ...task, pushNotificationConfigId: text.nullish() }),
  push_list: objectOf(task),
  push_delete: objectOf({ ...task, pushNotificationConfigId: someText }),
  extended_card: anyObject,
}
