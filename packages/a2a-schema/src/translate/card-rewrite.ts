/** @module The card of an agent that is reached through the gateway (contract/a2a 2.9). */
import { isJsonObject, type JsonObject } from '../lossless-json.ts'
import { cardTo } from './card.ts'
import { type AgentInterface, interfacesOf, interfaceToV10 } from './card-interfaces.ts'
import { without } from './rewrite.ts'

export type PublicCard = {
  /** Where the gateway answers for this agent: configured, never told by a request. */
  readonly baseUrl: string
  /** The bindings that are proxied there, the preferred one first. */
  readonly bindings: readonly string[]
  /** What the gateway can do instead of what the agent says: an agent that polls streams nothing. */
  readonly capabilities?: {
    readonly streaming?: boolean
    readonly pushNotifications?: boolean
    readonly extendedAgentCard?: boolean
  }
}

const ENDPOINTS = [
  'url',
  'preferredTransport',
  'additionalInterfaces',
  'protocolVersion',
  'supportedInterfaces',
]

/**
 * The card with every place where the agent is replaced by the public one, as a 1.0 card that names
 * both versions of the protocol: the gateway translates. Nothing of the agent's own addresses, and no
 * signature, is left. `cardTo` makes the shape of it that a client asks for.
 */
export function rewriteCard(card: JsonObject, target: PublicCard): JsonObject {
  const [preferred] = interfacesOf(card).filter(({ version }) => version === '1.0')
  const tenant = preferred?.tenant
  const entry = (version: AgentInterface['version']) => (binding: string) =>
    interfaceToV10({
      url: target.baseUrl,
      binding,
      version,
      tenant: version === '1.0' ? tenant : undefined,
    })
  const current = cardTo(card, '1.0')
  const has = current['capabilities']
  return {
    ...without(current, ...ENDPOINTS),
    supportedInterfaces: [
      ...target.bindings.map(entry('1.0')),
      ...target.bindings.map(entry('0.3')),
    ],
    capabilities: { ...(isJsonObject(has) ? has : {}), ...target.capabilities },
  }
}
