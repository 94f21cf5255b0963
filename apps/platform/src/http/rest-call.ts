/**
 * @module A request of either REST binding as the JSON-RPC request that it is (contract/a2a 1.1): the
 * path names the operation and the task, the query and the body say the rest.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import { methodName, type Operation } from '@atrium/a2a-schema/method'
import { restRequest } from '@atrium/a2a-schema/translate/rest'

export type RestDialect = '0.3' | '1.0'

export type RestRoute = {
  readonly dialect: RestDialect
  readonly operation: Operation
  /** What the path says, in the words of the dialect's JSON-RPC. */
  readonly named: JsonObject
}

type Shape = {
  readonly operation: Operation
  readonly verbs: readonly string[]
  readonly path: RegExp
}

const TASK = '(?<task>[^/]+)'
const CONFIGS = `tasks/${TASK}/pushNotificationConfigs`
/** The verb of a subscription differs between the sources: both are taken (contract/a2a 1.10). */
const SHAPES: readonly Shape[] = [
  { operation: 'send', verbs: ['POST'], path: /^message:send$/ },
  { operation: 'stream', verbs: ['POST'], path: /^message:stream$/ },
  { operation: 'list', verbs: ['GET'], path: /^tasks$/ },
  { operation: 'cancel', verbs: ['POST'], path: new RegExp(`^tasks/${TASK}:cancel$`) },
  {
    operation: 'subscribe',
    verbs: ['GET', 'POST'],
    path: new RegExp(`^tasks/${TASK}:subscribe$`),
  },
  // After the verbs: an id may have a colon in it as well.
  { operation: 'get', verbs: ['GET'], path: new RegExp(`^tasks/${TASK}$`) },
  { operation: 'push_set', verbs: ['POST'], path: new RegExp(`^${CONFIGS}$`) },
  { operation: 'push_list', verbs: ['GET'], path: new RegExp(`^${CONFIGS}$`) },
  { operation: 'push_get', verbs: ['GET'], path: new RegExp(`^${CONFIGS}/(?<config>[^/]+)$`) },
  {
    operation: 'push_delete',
    verbs: ['DELETE'],
    path: new RegExp(`^${CONFIGS}/(?<config>[^/]+)$`),
  },
  { operation: 'extended_card', verbs: ['GET'], path: /^(?:extendedAgentCard|card)$/ },
]

/** What is asked for below the address of a card; undefined when there is no such thing. */
export function restRoute(verb: string, path: string): RestRoute | undefined {
  const dialect = dialectOf(path)
  const found = matching(verb, path.replace(/^v1\//, ''))
  if (found !== undefined) return routeOf(dialect, found)
  // 1.0 has every path below a tenant as well.
  const [, tenant, rest] = /^([^/]+)\/(.+)$/.exec(path) ?? []
  if (tenant === undefined || rest === undefined) return undefined
  const below = matching(verb, rest)
  if (below === undefined) return undefined
  const route = routeOf('1.0', below)
  return { ...route, named: { ...route.named, tenant: decoded(tenant) } }
}

/** In which binding a path is, also one that leads nowhere. */
export function dialectOf(path: string): RestDialect {
  return /^v1(?:\/|$)/.test(path) ? '0.3' : '1.0'
}

type Match = { readonly operation: Operation; readonly groups: Readonly<Record<string, string>> }

function matching(verb: string, path: string): Match | undefined {
  for (const { operation, verbs, path: shape } of SHAPES) {
    const match = verbs.includes(verb) ? shape.exec(path) : null
    if (match !== null) return { operation, groups: { ...match.groups } }
  }
  return undefined
}

function routeOf(dialect: RestDialect, { operation, groups }: Match): RestRoute {
  return { dialect, operation, named: namesIn(dialect, operation, groups) }
}

function namesIn(
  dialect: RestDialect,
  operation: Operation,
  { task, config }: Readonly<Record<string, string>>,
): JsonObject {
  if (task === undefined) return {}
  const taskId = decoded(task)
  if (!operation.startsWith('push_')) return { id: taskId }
  const isLegacy = dialect === '0.3' && operation !== 'push_set'
  const names = isLegacy ? { id: taskId } : { taskId }
  if (config === undefined) return names
  const configId = decoded(config)
  return { ...names, ...(isLegacy ? { pushNotificationConfigId: configId } : { id: configId }) }
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    // Not encoded: it is what it is.
    return segment
  }
}

/** Numbers and flags among the parameters of a query; snake_case is taken as well (contract/a2a 2.4). */
const COUNTS: ReadonlySet<string> = new Set(['pageSize', 'historyLength'])
const FLAGS: ReadonlySet<string> = new Set(['includeArtifacts'])

function queryValue(name: string, text: string): JsonValue {
  if (COUNTS.has(name) && /^\d{1,9}$/.test(text)) return Number(text)
  if (FLAGS.has(name) && /^(?:true|false)$/.test(text)) return text === 'true'
  return text
}

export function queryParams(query: Readonly<Record<string, string>>): JsonObject {
  return Object.fromEntries(
    Object.entries(query)
      .map(([name, text]): [string, string] => [camel(name), text])
      .filter(([name]) => name !== 'A2A-Version')
      .map(([name, text]) => [name, queryValue(name, text)]),
  )
}

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

/** The JSON-RPC request; `body` is what was sent, or an empty object. */
export function rpcOf(
  { dialect, operation, named }: RestRoute,
  said: { readonly id: string; readonly query: JsonObject; readonly body: JsonValue },
): JsonObject {
  const { id, query, body } = said
  const params = isJsonObject(body) ? { ...query, ...body, ...named } : body
  const asked = dialect === '0.3' ? restRequest({ operation, params }) : params
  // Of 0.3 only this binding has a list (contract/a2a 1.1).
  const method = methodName(operation, dialect) ?? 'tasks/list'
  return { jsonrpc: '2.0', id, method, params: asked ?? {} }
}
