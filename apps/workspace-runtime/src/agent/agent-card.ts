/** @module What the agent says about itself, in the shape each generation of clients reads (contract/a2a 1.7, 2.9). */
import { AgentCard } from '@a2a-js/sdk'
import { DELIVERY_ID_EXTENSION } from '@atrium/runtime-contract/delivery-id'
import { z } from 'zod'
import type { AgentSettings } from '../agent-settings.ts'

/** `hybrid` is for clients that do not say: 0.3 ones need `url`, 1.0 ones `supportedInterfaces`. */
export type CardShape = '0.3' | '1.0' | 'hybrid'

const jsonCard = z.record(z.string(), z.json())
type JsonCard = z.infer<typeof jsonCard>

const DELIVERY_EXTENSION = {
  uri: DELIVERY_ID_EXTENSION,
  description: 'A message that is delivered twice under one id is worked on once',
  required: false,
  params: undefined,
}

const MODES = ['text/plain', 'application/json', 'application/octet-stream']

/**
 * The card in the SDK's terms; `url` is where the agent is reached, `knowsDeliveries` whether a message
 * that is delivered twice is done once.
 */
export function agentCard(
  settings: AgentSettings,
  { url, knowsDeliveries }: { readonly url: string; readonly knowsDeliveries: boolean },
): AgentCard {
  const { name, description, version } = settings
  const jsonRpc = { url, protocolBinding: 'JSONRPC', tenant: '' }
  return {
    name,
    description,
    version,
    supportedInterfaces: [
      { ...jsonRpc, protocolVersion: '1.0' },
      { ...jsonRpc, protocolVersion: '0.3' },
    ],
    provider: undefined,
    capabilities: {
      streaming: settings.isStreaming,
      // Contract/runtime 8.1 advertises what it does not have; this one does not.
      pushNotifications: false,
      extensions: knowsDeliveries ? [DELIVERY_EXTENSION] : [],
      extendedAgentCard: false,
    },
    securitySchemes: {},
    securityRequirements: [],
    defaultInputModes: MODES,
    defaultOutputModes: MODES,
    skills: [{ ...skillOf(settings), inputModes: [], outputModes: [], securityRequirements: [] }],
    signatures: [],
  }
}

/** The card as JSON for a client. */
export function renderAgentCard(card: AgentCard, shape: CardShape): JsonCard {
  const modern = jsonCard.parse(AgentCard.toJSON(card))
  if (shape === '1.0') return modern
  const legacy = legacyCard(card)
  return shape === '0.3'
    ? legacy
    : { ...legacy, supportedInterfaces: modern['supportedInterfaces'] ?? [] }
}

/** Left out where there are none: older clients have never seen the member. */
function legacyExtensions(card: AgentCard): JsonCard {
  const extensions = card.capabilities?.extensions ?? []
  if (extensions.length === 0) return {}
  return {
    extensions: extensions.map(({ uri, description, required }) => ({
      uri,
      description,
      required,
    })),
  }
}

function legacyCard(card: AgentCard): JsonCard {
  return {
    protocolVersion: '0.3.0',
    name: card.name,
    description: card.description,
    version: card.version,
    url: card.supportedInterfaces[0]?.url ?? '',
    preferredTransport: 'JSONRPC',
    capabilities: {
      streaming: card.capabilities?.streaming ?? false,
      pushNotifications: card.capabilities?.pushNotifications ?? false,
      stateTransitionHistory: false,
      ...legacyExtensions(card),
    },
    defaultInputModes: card.defaultInputModes,
    defaultOutputModes: card.defaultOutputModes,
    skills: card.skills.map(({ id, name, description, tags, examples }) => ({
      id,
      name,
      description,
      tags,
      examples,
    })),
    supportsAuthenticatedExtendedCard: false,
  }
}

function skillOf(settings: AgentSettings) {
  return {
    id: 'chat',
    name: settings.name,
    description: settings.description,
    tags: ['chat', 'files'],
    examples: [],
  }
}
