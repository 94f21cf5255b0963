/** @module Agent cards: as 0.3 has them, as 1.0 has them, and one that both can read (contract/a2a 1.7). */
import { isJsonObject, type JsonObject, type JsonValue } from '../lossless-json.ts'
import { interfacesOf, interfaceToV10 } from './card-interfaces.ts'
import {
  requirementsToV03,
  requirementsToV10,
  schemesToBoth,
  schemesToV03,
  schemesToV10,
} from './card-security.ts'
import { each, type FieldRules, mapped, object, rewrite, without } from './rewrite.ts'

export type CardShape = '0.3' | '1.0' | 'hybrid'

const ONLY_V03 = [
  'url',
  'preferredTransport',
  'additionalInterfaces',
  'protocolVersion',
  'supportsAuthenticatedExtendedCard',
  'security',
]

const ONLY_V10 = ['supportedInterfaces', 'securityRequirements']

/** Adds the field that the other dialect knows for the same thing, when it is not there itself. */
function beside(
  value: JsonObject,
  names: { readonly known: string; readonly wanted: string },
  to: (one: JsonValue) => JsonValue,
): JsonObject {
  const known = value[names.known]
  if (known === undefined || value[names.wanted] !== undefined) return {}
  return { [names.wanted]: to(known) }
}

function bothRequirements(value: JsonObject): JsonObject {
  const legacy = { known: 'securityRequirements', wanted: 'security' }
  const current = { known: 'security', wanted: 'securityRequirements' }
  return {
    ...beside(value, legacy, requirementsToV03),
    ...beside(value, current, requirementsToV10),
  }
}

function legacyEndpoint(card: JsonObject): JsonObject {
  const all = interfacesOf(card)
  const legacy = all.filter(({ version }) => version !== '1.0')
  const [primary, ...others] = legacy.length === 0 ? all : legacy
  if (primary === undefined) return {}
  const additional = others.map(({ url, binding }) => ({ url, transport: binding }))
  return {
    url: primary.url,
    preferredTransport: primary.binding,
    ...(additional.length === 0 ? {} : { additionalInterfaces: additional }),
    protocolVersion: '0.3.0',
  }
}

/** Everything that either dialect asks for, each in its own words; what both know is there once. */
function toHybrid(card: JsonObject): JsonObject {
  const { capabilities = {}, ...rest } = without(card, 'signatures')
  const has = isJsonObject(capabilities) ? capabilities : {}
  const extended = card['supportsAuthenticatedExtendedCard'] ?? has['extendedAgentCard']
  const skills = each(object((skill) => ({ ...skill, ...bothRequirements(skill) })))
  const common = rewrite(
    rest,
    new Map([mapped('securitySchemes', schemesToBoth), mapped('skills', skills)]),
  )
  return {
    ...(typeof card['url'] === 'string' ? {} : legacyEndpoint(card)),
    ...common,
    supportedInterfaces: interfacesOf(card).map(interfaceToV10),
    capabilities: extended === undefined ? has : { ...has, extendedAgentCard: extended },
    ...(extended === undefined ? {} : { supportsAuthenticatedExtendedCard: extended }),
    ...bothRequirements(card),
  }
}

const withoutLegacySecurity = each(object((skill) => without(skill, 'security')))
const withoutSecurityRequirements = each(object((skill) => without(skill, 'securityRequirements')))

function toV10(hybrid: JsonObject): JsonObject {
  return rewrite(
    without(hybrid, ...ONLY_V03),
    new Map([
      mapped('securitySchemes', schemesToV10),
      mapped('skills', withoutLegacySecurity),
      mapped(
        'capabilities',
        object((has) => without(has, 'stateTransitionHistory')),
      ),
    ]),
  )
}

const PROTO_SECURITY: FieldRules = new Map([mapped('security', requirementsToV10)])

function toV03(hybrid: JsonObject): JsonObject {
  return rewrite(
    without(hybrid, ...ONLY_V10),
    new Map([
      mapped('securitySchemes', schemesToV03),
      mapped('skills', withoutSecurityRequirements),
      mapped(
        'capabilities',
        object((has) => without(has, 'extendedAgentCard')),
      ),
    ]),
  )
}

/**
 * The card in the shape that is asked for, whatever shape it comes in. Signatures are left out: they
 * hold for the bytes that were signed. Never throws.
 */
export function cardTo(card: JsonObject, shape: CardShape): JsonObject {
  const hybrid = toHybrid(card)
  if (shape === 'hybrid') return hybrid
  return shape === '1.0' ? toV10(hybrid) : toV03(hybrid)
}

/** The card as the REST binding of 0.3 writes it: the fields of 0.3, security as the proto has it. */
export function restCard(card: JsonObject): JsonObject {
  const hybrid = toHybrid(card)
  const skills = each(object((skill) => rewrite(skill, PROTO_SECURITY)))
  return rewrite(
    toV03(hybrid),
    new Map([...PROTO_SECURITY, mapped('securitySchemes', schemesToV10), mapped('skills', skills)]),
  )
}
