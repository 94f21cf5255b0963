/** @module Where a card says its agent is, and in which version of the protocol (contract/a2a 1.7). */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'

export type AgentInterface = {
  readonly url: string
  /** `JSONRPC`, `HTTP+JSON`, `GRPC`, or the URI of a custom one. */
  readonly binding: string
  /** As major.minor; everything before 1.0 is spoken as 0.3. */
  readonly version: '0.3' | '1.0'
  readonly tenant: string | undefined
}

function text(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function versionOf(value: JsonValue | undefined, otherwise: '0.3' | '1.0'): '0.3' | '1.0' {
  const version = text(value)
  if (version === undefined) return otherwise
  return /^v?0(\.|$)/.test(version.trim()) ? '0.3' : '1.0'
}

function current(value: JsonValue): AgentInterface[] {
  if (!isJsonObject(value)) return []
  const url = text(value['url'])
  if (url === undefined) return []
  const { protocolBinding, transport, protocolVersion, tenant } = value
  return [
    {
      url,
      binding: text(protocolBinding) ?? text(transport) ?? 'JSONRPC',
      version: versionOf(protocolVersion, '1.0'),
      tenant: text(tenant),
    },
  ]
}

function list(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : []
}

function legacy(card: JsonObject): AgentInterface[] {
  const { url, preferredTransport, protocolVersion, additionalInterfaces } = card
  const primary = { url: url ?? '', transport: preferredTransport ?? '' }
  const version = versionOf(protocolVersion, '0.3')
  return [primary, ...list(additionalInterfaces)].flatMap((one: JsonValue) =>
    current(one).map((found) => ({ ...found, version })),
  )
}

function named(card: JsonObject): AgentInterface[] {
  return [...list(card['supportedInterfaces']).flatMap(current), ...legacy(card)]
}

/**
 * Where the agent can be reached, the preferred place first, read from a card of either dialect or of
 * both. The lists of a card that has both are joined: either may name what the other leaves out.
 */
export function interfacesOf(card: JsonObject): readonly AgentInterface[] {
  // By a key, not by comparing each with each: a workspace decides how many there are.
  const found = new Map<string, AgentInterface>()
  for (const one of named(card)) {
    const key = JSON.stringify([one.url, one.binding, one.version])
    if (!found.has(key)) found.set(key, one)
  }
  return [...found.values()]
}

/** The versions of the protocol that the card promises; none when it names no interface at all. */
export function agentDialects(card: JsonObject): ReadonlySet<'0.3' | '1.0'> {
  return new Set(named(card).map(({ version }) => version))
}

/** The entry of `supportedInterfaces`. */
export function interfaceToV10(one: AgentInterface): JsonObject {
  return {
    url: one.url,
    protocolBinding: one.binding,
    protocolVersion: one.version,
    ...(one.tenant === undefined ? {} : { tenant: one.tenant }),
  }
}
