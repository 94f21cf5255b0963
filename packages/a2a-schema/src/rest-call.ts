/**
 * @module A call of the REST bindings as the call of JSON-RPC that it is (contract/a2a 1.1): verb, path
 * and query become an operation and its params. `/v1/…` is 0.3, everything else 1.0.
 */
import { isJsonObject, type JsonObject, type JsonValue } from './lossless-json.ts'
import { methodName, type Operation } from './method.ts'
import { restRequest } from './translate/rest.ts'

export type RestRequest = {
  readonly verb: string
  /** Below the agent's address, as it was written: still percent-encoded, without the first slash. */
  readonly path: string
  readonly query: Iterable<readonly [string, string]>
  /** Undefined: there was none. */
  readonly body: JsonValue | undefined
}

export type RestCall = {
  readonly dialect: '0.3' | '1.0'
  readonly operation: Operation
  /** What JSON-RPC calls it. */
  readonly method: string
  readonly params: JsonValue
}

export type RestReading =
  | { readonly kind: 'call'; readonly call: RestCall }
  | { readonly kind: 'nothing_there' }
  | { readonly kind: 'other_verbs'; readonly verbs: readonly string[] }

type Verbs = Readonly<Record<string, Operation>>
type Place = { readonly pattern: RegExp; readonly verbs: Verbs }

const CONFIGS = 'tasks/([^/]+)/pushNotificationConfigs'

function placesOf(card: string): readonly Place[] {
  const rows: readonly (readonly [string, Verbs])[] = [
    ['message:send', { POST: 'send' }],
    ['message:stream', { POST: 'stream' }],
    ['tasks', { GET: 'list' }],
    ['tasks/([^/]+):cancel', { POST: 'cancel' }],
    // The proto says GET, the text POST, and clients do either (contract/a2a 1.10).
    ['tasks/([^/]+):subscribe', { POST: 'subscribe', GET: 'subscribe' }],
    ['tasks/([^/]+)', { GET: 'get' }],
    [CONFIGS, { POST: 'push_set', GET: 'push_list' }],
    [`${CONFIGS}/([^/]+)`, { GET: 'push_get', DELETE: 'push_delete' }],
    [card, { GET: 'extended_card' }],
  ]
  return rows.map(([path, verbs]) => ({ pattern: new RegExp(`^${path}$`), verbs }))
}

const PLACES = { '0.3': placesOf('card'), '1.0': placesOf('extendedAgentCard') } as const

type Found = {
  readonly dialect: '0.3' | '1.0'
  readonly verbs: Verbs
  readonly ids: readonly string[]
  readonly tenant: string | undefined
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

function findPlace(path: string, dialect: '0.3' | '1.0', tenant?: string): Found | undefined {
  for (const { pattern, verbs } of PLACES[dialect]) {
    const match = pattern.exec(path)
    if (match === null) continue
    const ids = match.slice(1).map(decoded)
    const known = ids.filter((id) => id !== undefined)
    return known.length === ids.length ? { dialect, verbs, ids: known, tenant } : undefined
  }
  return undefined
}

/** Every path of 1.0 may have a tenant before it (contract/a2a 1.1). */
function find(path: string): Found | undefined {
  const slash = path.indexOf('/')
  const [first, rest] = slash < 0 ? ['', ''] : [path.slice(0, slash), path.slice(slash + 1)]
  if (first === 'v1') return findPlace(rest, '0.3')
  const found = findPlace(path, '1.0')
  const tenant = decoded(first)
  return found ?? (tenant ? findPlace(rest, '1.0', tenant) : undefined)
}

/** Text of a query as JSON has it; what is none stays a text, which validation refuses by name. */
function counted(text: string): JsonValue {
  return /^\d{1,9}$/.test(text) ? Number(text) : text
}

function flagged(text: string): JsonValue {
  return text === 'true' || (text === 'false' ? false : text)
}

const asText = (text: string): JsonValue => text

// Clients write either (contract/a2a 2.4).
const QUERY: ReadonlyMap<string, readonly [string, (text: string) => JsonValue]> = new Map(
  [
    ['historyLength', 'history_length', counted] as const,
    ['pageSize', 'page_size', counted] as const,
    ['pageToken', 'page_token', asText] as const,
    ['contextId', 'context_id', asText] as const,
    ['status', 'status', asText] as const,
    ['statusTimestampAfter', 'status_timestamp_after', asText] as const,
    ['includeArtifacts', 'include_artifacts', flagged] as const,
    ['tenant', 'tenant', asText] as const,
  ].flatMap(([name, snake, read]) => [
    [name, [name, read]] as const,
    [snake, [name, read]] as const,
  ]),
)

function fromQuery(query: RestRequest['query']): JsonObject {
  const known = [...query].flatMap(([name, text]) => {
    const row = QUERY.get(name)
    return row === undefined ? [] : [[row[0], row[1](text)] as const]
  })
  return Object.fromEntries(known)
}

function idsOf(operation: Operation, { dialect, ids }: Found): JsonObject {
  const [task, config] = ids
  if (task === undefined) return {}
  const isAboutConfig = operation.startsWith('push_')
  if (!isAboutConfig) return { id: task }
  if (dialect === '1.0') return { taskId: task, ...(config === undefined ? {} : { id: config }) }
  if (operation === 'push_set') return { taskId: task }
  return { id: task, ...(config === undefined ? {} : { pushNotificationConfigId: config }) }
}

function paramsOf(operation: Operation, found: Found, request: RestRequest): JsonValue {
  const { body } = request
  if (body !== undefined && !isJsonObject(body)) return body
  const hasBody = request.verb === 'POST'
  const tenant: JsonObject = found.tenant === undefined ? {} : { tenant: found.tenant }
  return {
    ...(hasBody ? body : fromQuery(request.query)),
    ...tenant,
    ...idsOf(operation, found),
  }
}

/**
 * Reads a REST call. The params are those of JSON-RPC, to be normalised and checked like every other;
 * a body that is no object is the params, which nothing accepts. Never throws.
 */
export function readRestCall(request: RestRequest): RestReading {
  const found = find(request.path)
  if (found === undefined) return { kind: 'nothing_there' }
  const { dialect, verbs } = found
  const operation = Object.hasOwn(verbs, request.verb) ? verbs[request.verb] : undefined
  if (operation === undefined) return { kind: 'other_verbs', verbs: Object.keys(verbs) }
  const method = methodName(operation, dialect) ?? 'tasks/list'
  const given = paramsOf(operation, found, request)
  const params = dialect === '0.3' ? (restRequest({ operation, params: given }) ?? given) : given
  return { kind: 'call', call: { dialect, operation, method, params } }
}
