/** @module How a card says who may call: OpenAPI's words in 0.3, one member per kind in 1.0. */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import { each, type FieldRules, mapped, object, renamed, rewrite, without } from './rewrite.ts'

const MEMBERS: ReadonlyMap<string, string> = new Map([
  ['apiKey', 'apiKeySecurityScheme'],
  ['http', 'httpAuthSecurityScheme'],
  ['oauth2', 'oauth2SecurityScheme'],
  ['openIdConnect', 'openIdConnectSecurityScheme'],
  ['mutualTLS', 'mtlsSecurityScheme'],
])

// 1.0 holds one flow. Of several the first of these is kept, as the official SDK does it.
const FLOWS = ['authorizationCode', 'clientCredentials', 'implicit', 'password', 'deviceCode']

const oneFlow = object((flows) => {
  const kept = FLOWS.find((name) => isJsonObject(flows[name]))
  return without(flows, ...FLOWS.filter((name) => name !== kept))
})

const SCHEME_V10: FieldRules = new Map([renamed('in', 'location'), mapped('flows', oneFlow)])
const SCHEME_V03: FieldRules = new Map([renamed('location', 'in')])

/** The members of 1.0 for a scheme as OpenAPI writes it; none when it is written otherwise. */
function membersOf(scheme: JsonObject): JsonObject {
  const { type } = scheme
  const member = typeof type === 'string' ? MEMBERS.get(type) : undefined
  if (member === undefined || isJsonObject(scheme[member])) return {}
  const fields = without(scheme, 'type', ...MEMBERS.values())
  return { [member]: rewrite(fields, SCHEME_V10) }
}

/** The fields of OpenAPI for a scheme as 1.0 writes it; none when it is written otherwise. */
function fieldsOf(scheme: JsonObject): JsonObject {
  if (typeof scheme['type'] === 'string') return {}
  for (const [type, member] of MEMBERS) {
    const value = scheme[member]
    if (isJsonObject(value)) return { type, ...rewrite(value, SCHEME_V03) }
  }
  return {}
}

const valuesOf = (to: (scheme: JsonObject) => JsonObject) =>
  object((schemes) =>
    Object.fromEntries(Object.entries(schemes).map(([name, one]) => [name, object(to)(one)])),
  )

/** `securitySchemes` that readers of both dialects understand. */
export const schemesToBoth = valuesOf((scheme) => ({
  ...fieldsOf(scheme),
  ...scheme,
  ...membersOf(scheme),
}))

/** `securitySchemes` as 1.0 writes them. */
export const schemesToV10 = valuesOf((scheme) => {
  if (typeof scheme['type'] !== 'string') return scheme
  const members = Object.entries(scheme).filter(([name]) => [...MEMBERS.values()].includes(name))
  const known = { ...Object.fromEntries(members), ...membersOf(scheme) }
  return Object.keys(known).length === 0 ? scheme : known
})

/** `securitySchemes` as 0.3 writes them. */
export const schemesToV03 = valuesOf((scheme) => {
  const rest = without(scheme, ...MEMBERS.values())
  return { ...fieldsOf(scheme), ...rest }
})

const scopesToV10 = (scopes: JsonValue): JsonValue =>
  Array.isArray(scopes) ? { list: scopes } : scopes

const scopesToV03 = (scopes: JsonValue): JsonValue =>
  isJsonObject(scopes) ? (scopes['list'] ?? []) : scopes

function values(value: JsonObject, to: (one: JsonValue) => JsonValue): JsonObject {
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, to(one)]))
}

/** `security` of 0.3 as `securityRequirements` of 1.0. */
export const requirementsToV10 = each(
  object((requirement) => ({ schemes: values(requirement, scopesToV10) })),
)

/** `securityRequirements` of 1.0 as `security` of 0.3. */
export const requirementsToV03 = each(
  object(({ schemes }) => (isJsonObject(schemes) ? values(schemes, scopesToV03) : {})),
)
