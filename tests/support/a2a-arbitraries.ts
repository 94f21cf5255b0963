/** Canonical values of both dialects of A2A: what validation lets through, in every combination. */
import type { JsonObject, JsonValue } from '@atrium/a2a-schema/lossless-json'
import fc from 'fast-check'

const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
const id = fc.oneof(fc.uuid(), text)
const url = fc.webUrl()
const mediaType = fc.constantFrom('text/plain', 'image/png', 'application/octet-stream')
const base64 = fc
  .uint8Array({ minLength: 1, maxLength: 24 })
  .map((bytes) => Buffer.from(bytes).toString('base64'))
const time = fc
  .date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString())

/** Any JSON there is, small; written and read once, so that no value of JavaScript's own is in it. */
export const json: fc.Arbitrary<JsonValue> = fc
  .jsonValue({ maxDepth: 2 })
  .map((value): JsonValue => JSON.parse(JSON.stringify(value)))

const free: fc.Arbitrary<JsonObject> = fc
  .dictionary(fc.string({ minLength: 1, maxLength: 6, unit: 'grapheme-ascii' }), json, {
    minKeys: 1,
    maxKeys: 3,
    noNullPrototype: true,
  })
  .map((value): JsonObject => JSON.parse(JSON.stringify(value)))

type Fields = { readonly [name: string]: fc.Arbitrary<JsonValue> }

/** An object with every field of `always` and any of `sometimes`. */
function object(always: Fields, sometimes: Fields = {}): fc.Arbitrary<JsonObject> {
  return fc.record(
    { ...always, ...sometimes },
    { requiredKeys: Object.keys(always), noNullPrototype: true },
  )
}

const list = (of: fc.Arbitrary<JsonValue>) => fc.array(of, { minLength: 1, maxLength: 3 })

const metadata = { metadata: free }

export const partV10: fc.Arbitrary<JsonObject> = fc.oneof(
  object({ text }, metadata),
  object({ raw: base64 }, { mediaType, filename: text, ...metadata }),
  object({ url }, { mediaType, filename: text, ...metadata }),
  object({ data: json }, metadata),
)

const file = { mimeType: mediaType, name: text }

export const partV03: fc.Arbitrary<JsonObject> = fc.oneof(
  object({ kind: fc.constant('text'), text }, metadata),
  object({ kind: fc.constant('file'), file: object({ bytes: base64 }, file) }, metadata),
  object({ kind: fc.constant('file'), file: object({ uri: url }, file) }, metadata),
  object({ kind: fc.constant('data'), data: free }, metadata),
)

const messageFields = {
  contextId: id,
  taskId: id,
  referenceTaskIds: list(id),
  extensions: list(url),
  ...metadata,
}

export const messageV10 = object(
  { messageId: id, role: fc.constantFrom('ROLE_USER', 'ROLE_AGENT'), parts: list(partV10) },
  messageFields,
)

// The type of 0.3 has `referenceTaskIds` as well.
export const messageV03 = object(
  {
    kind: fc.constant('message'),
    messageId: id,
    role: fc.constantFrom('user', 'agent'),
    parts: list(partV03),
  },
  messageFields,
)

const pushFields = { id, token: text }

const pushV10 = object(
  { url },
  { ...pushFields, authentication: object({ scheme: text }, { credentials: text }) },
)

const pushV03 = object(
  { url },
  {
    ...pushFields,
    authentication: object({ schemes: text.map((scheme) => [scheme]) }, { credentials: text }),
  },
)

const historyLength = fc.nat({ max: 1000 })

/** With the flag, and in 0.3 with the list: leaving them out is not the same in both (ADR-0034). */
export const sendV10 = object(
  { message: messageV10 },
  {
    configuration: object(
      { returnImmediately: fc.boolean() },
      { acceptedOutputModes: list(mediaType), historyLength, taskPushNotificationConfig: pushV10 },
    ),
    ...metadata,
  },
)

export const sendV03 = object(
  { message: messageV03 },
  {
    configuration: object(
      { blocking: fc.boolean(), acceptedOutputModes: fc.array(mediaType, { maxLength: 2 }) },
      { historyLength, pushNotificationConfig: pushV03 },
    ),
    ...metadata,
  },
)

export const taskPushV10 = fc.tuple(id, pushV10).map(([taskId, config]) => ({ taskId, ...config }))

export const taskPushV03 = object({ taskId: id, pushNotificationConfig: pushV03 })

const STATES_V10 = [
  'SUBMITTED',
  'WORKING',
  'COMPLETED',
  'FAILED',
  'CANCELED',
  'INPUT_REQUIRED',
  'REJECTED',
  'AUTH_REQUIRED',
]

const statusV10 = object(
  { state: fc.constantFrom(...STATES_V10).map((state) => `TASK_STATE_${state}`) },
  { message: messageV10, timestamp: time },
)

const statusV03 = object(
  { state: fc.constantFrom(...STATES_V10).map((state) => state.toLowerCase().replace('_', '-')) },
  { message: messageV03, timestamp: time },
)

const artifactFields = { name: text, description: text, extensions: list(url), ...metadata }
const artifactV10 = object({ artifactId: id, parts: list(partV10) }, artifactFields)
const artifactV03 = object({ artifactId: id, parts: list(partV03) }, artifactFields)

export const taskV10 = object(
  { id, contextId: id, status: statusV10 },
  { history: list(messageV10), artifacts: list(artifactV10), ...metadata },
)

export const taskV03 = object(
  { kind: fc.constant('task'), id, contextId: id, status: statusV03 },
  { history: list(messageV03), artifacts: list(artifactV03), ...metadata },
)

const pieces = { append: fc.boolean(), lastChunk: fc.boolean() }

const statusEventV10 = object({ taskId: id, contextId: id, status: statusV10 }, metadata)
const artifactEventV10 = object(
  { taskId: id, contextId: id, artifact: artifactV10, ...pieces },
  metadata,
)

const FINAL = ['completed', 'failed', 'canceled', 'rejected', 'input-required']

const isFinal = (status: JsonObject) => FINAL.includes(String(status['state']))

const statusEventV03 = fc
  .tuple(object({ taskId: id, contextId: id }, metadata), statusV03)
  .map(([event, status]) => ({
    kind: 'status-update',
    ...event,
    status,
    final: isFinal(status),
  }))

const artifactEventV03 = object(
  {
    kind: fc.constant('artifact-update'),
    taskId: id,
    contextId: id,
    artifact: artifactV03,
    ...pieces,
  },
  metadata,
)

const wrapped = (name: string, value: fc.Arbitrary<JsonObject>) => object({ [name]: value })

export const answerV10 = fc.oneof(wrapped('task', taskV10), wrapped('message', messageV10))
export const answerV03 = fc.oneof(taskV03, messageV03)

export const eventV10 = fc.oneof(
  answerV10,
  wrapped('statusUpdate', statusEventV10),
  wrapped('artifactUpdate', artifactEventV10),
)
export const eventV03 = fc.oneof(answerV03, statusEventV03, artifactEventV03)

const code = fc.oneof(
  fc.integer({ min: -32009, max: -32001 }),
  fc.constant(-32602),
  fc.integer({ min: -32800, max: 0 }),
)

export const errorV03 = object(
  { code, message: text },
  {
    data: fc.oneof(
      json,
      fc.dictionary(text, text, { minKeys: 1, maxKeys: 2, noNullPrototype: true }),
      object({ field: text, detail: text }),
    ),
  },
)

const detail = fc.oneof(
  object(
    {
      '@type': fc.constant('type.googleapis.com/google.rpc.ErrorInfo'),
      reason: fc.constantFrom('TASK_NOT_FOUND', 'AGENT_UNAVAILABLE'),
      domain: fc.constantFrom('a2a-protocol.org', 'atrium'),
    },
    { metadata: fc.dictionary(text, text, { minKeys: 1, maxKeys: 2, noNullPrototype: true }) },
  ),
  object({
    '@type': fc.constant('type.googleapis.com/google.rpc.BadRequest'),
    fieldViolations: fc.array(object({ field: text, description: text }), { maxLength: 2 }),
  }),
  object({ '@type': fc.constant('type.googleapis.com/google.protobuf.Value'), value: json }),
  object({ '@type': url, retryDelay: fc.constant('15s') }),
)

/** Of 1.0 a list of details, which A2A's own codes must have (contract/a2a 1.6). */
export const errorV10 = fc.oneof(
  object({ code, message: text, data: fc.array(detail, { minLength: 1, maxLength: 3 }) }),
  object({ code: fc.constantFrom(-32700, -32600, -32603), message: text }),
)
