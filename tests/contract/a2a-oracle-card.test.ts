import { isJsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import { cardTo } from '@atrium/a2a-schema/translate/card'
import { rewriteCard } from '@atrium/a2a-schema/translate/card-rewrite'
import { DefaultAgentCardResolver as Resolver03 } from 'a2a-sdk-0-3-14/client'
import { AgentCard } from 'a2a-sdk-1-3-0'
import { DefaultAgentCardResolver as Resolver10 } from 'a2a-sdk-1-3-0/client'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { legacyAgentIsAsked, legacyClientAsks } from '../support/a2a-sdk-oracle.ts'

const text = fc.string({ minLength: 1, maxLength: 8 })
const scopes = fc.array(text, { maxLength: 2 })
const named = (value: fc.Arbitrary<JsonValue>) =>
  fc.dictionary(text, value, { minKeys: 1, maxKeys: 2, noNullPrototype: true })

const some = (
  fields: Readonly<Record<string, fc.Arbitrary<JsonValue>>>,
  requiredKeys: readonly string[],
) => fc.record(fields, { requiredKeys: [...requiredKeys], noNullPrototype: true })

const description = { description: text }
const flow = { authorizationUrl: text, tokenUrl: text, refreshUrl: text, scopes: named(text) }
const flows = fc.oneof(
  some({ authorizationCode: some(flow, ['authorizationUrl', 'tokenUrl', 'scopes']) }, [
    'authorizationCode',
  ]),
  some(
    { clientCredentials: some({ tokenUrl: text, scopes: named(text) }, ['tokenUrl', 'scopes']) },
    ['clientCredentials'],
  ),
)

const apiKey = { ...description, name: text }
const location = fc.constantFrom('header', 'query', 'cookie')
const http = { ...description, scheme: text, bearerFormat: text }
const oauth2 = { ...description, flows, oauth2MetadataUrl: text }
const openId = { ...description, openIdConnectUrl: text }

const schemeV03 = fc.oneof(
  some({ type: fc.constant('apiKey'), in: location, ...apiKey }, ['type', 'in', 'name']),
  some({ type: fc.constant('http'), ...http }, ['type', 'scheme']),
  some({ type: fc.constant('oauth2'), ...oauth2 }, ['type', 'flows']),
  some({ type: fc.constant('openIdConnect'), ...openId }, ['type', 'openIdConnectUrl']),
  some({ type: fc.constant('mutualTLS'), ...description }, ['type']),
)

const wrapped = (name: string, value: fc.Arbitrary<JsonValue>) => some({ [name]: value }, [name])

const schemeV10 = fc.oneof(
  wrapped('apiKeySecurityScheme', some({ location, ...apiKey }, ['location', 'name'])),
  wrapped('httpAuthSecurityScheme', some(http, ['scheme'])),
  wrapped('oauth2SecurityScheme', some(oauth2, ['flows'])),
  wrapped('openIdConnectSecurityScheme', some(openId, ['openIdConnectUrl'])),
)

const securityV03 = fc.array(named(scopes), { minLength: 1, maxLength: 2 })
const securityV10 = fc.array(
  named(fc.record({ list: scopes })).map((schemes) => ({ schemes })),
  { minLength: 1, maxLength: 2 },
)

const skill = { id: text, name: text, description: text, tags: scopes, examples: scopes }
const skillKeys = ['id', 'name', 'description', 'tags']
const always = {
  name: text,
  description: text,
  version: text,
  defaultInputModes: scopes,
  defaultOutputModes: scopes,
}
const sometimes = {
  provider: fc.record({ url: text, organization: text }),
  documentationUrl: text,
  iconUrl: text,
}
const can = { streaming: fc.boolean(), pushNotifications: fc.boolean() }

const cardV03 = some(
  {
    ...always,
    ...sometimes,
    url: fc.constant('https://a.example/rpc'),
    preferredTransport: fc.constantFrom('JSONRPC', 'HTTP+JSON'),
    additionalInterfaces: fc.constant([{ url: 'https://a.example/grpc', transport: 'GRPC' }]),
    protocolVersion: fc.constant('0.3.0'),
    capabilities: some(can, []),
    supportsAuthenticatedExtendedCard: fc.boolean(),
    security: securityV03,
    securitySchemes: named(schemeV03),
    skills: fc.array(some({ ...skill, security: securityV03 }, skillKeys), { maxLength: 2 }),
  },
  [
    ...Object.keys(always),
    'url',
    'preferredTransport',
    'protocolVersion',
    'capabilities',
    'skills',
  ],
)

const interfaces = fc.constant([
  { url: 'https://a.example/rpc', protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
  { url: 'https://a.example/rpc', protocolBinding: 'JSONRPC', protocolVersion: '0.3' },
  { url: 'https://a.example/rest', protocolBinding: 'HTTP+JSON', protocolVersion: '0.3' },
])

const cardV10 = some(
  {
    ...always,
    ...sometimes,
    supportedInterfaces: interfaces,
    capabilities: some({ ...can, extendedAgentCard: fc.boolean() }, []),
    securityRequirements: securityV10,
    securitySchemes: named(schemeV10),
    skills: fc.array(some({ ...skill, securityRequirements: securityV10 }, skillKeys), {
      maxLength: 2,
    }),
  },
  [...Object.keys(always), 'supportedInterfaces', 'capabilities', 'skills'],
)

/** ProtoJSON leaves out what is empty; and of a version the SDK keeps the patch, or does not add it. */
function comparable(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(comparable)
  if (value === '0.3.0') return '0.3'
  if (!isJsonObject(value)) return value
  const entries = Object.entries(value).map(([name, one]) => [name, comparable(one)] as const)
  return Object.fromEntries(entries.filter(([, one]) => !isEmpty(one)))
}

function isEmpty(value: JsonValue): boolean {
  if (isJsonObject(value) || Array.isArray(value)) return Object.keys(value).length === 0
  return value === '' || value === false
}

const RUNS = { numRuns: 60 }

describe('the card of SDK 1.3.0 is ours', () => {
  it('from 0.3 to 1.0', async () => {
    const same = fc.asyncProperty(cardV03, async (card) => {
      const { answered } = await legacyAgentIsAsked('extended_card', {}, card)
      expect(comparable(cardTo(card, '1.0'))).toEqual(comparable(answered))
    })
    await fc.assert(same, RUNS)
  })

  it('from 1.0 to 0.3', async () => {
    const same = fc.asyncProperty(cardV10, async (card) => {
      const { answered } = await legacyClientAsks('extended_card', {}, card)
      expect(comparable(cardTo(card, '0.3'))).toEqual(comparable(answered))
    })
    await fc.assert(same, RUNS)
  })

  it('is the same after a way there and back', () => {
    const same = fc.property(cardV03, (card) => {
      expect(comparable(cardTo(cardTo(card, '1.0'), '0.3'))).toEqual(comparable(card))
    })
    fc.assert(same, RUNS)
  })
})

const PUBLIC = { baseUrl: 'https://gate.example/a2a/w1', bindings: ['JSONRPC', 'HTTP+JSON'] }

describe('the card of the gateway, whatever the agent wrote', () => {
  const cards = fc.oneof(cardV03, cardV10).map((card) => rewriteCard(card, PUBLIC))
  const served = (card: JsonValue) => ({
    fetchImpl: async () => Response.json(card),
  })

  it('without a version asked for, is read by the 0.3 SDK as a card of 0.3', async () => {
    const read = fc.asyncProperty(cards, async (card) => {
      const found = await new Resolver03(served(cardTo(card, 'hybrid'))).resolve(PUBLIC.baseUrl)
      expect(found).toMatchObject({ url: PUBLIC.baseUrl, preferredTransport: 'JSONRPC' })
      expect(found.additionalInterfaces).toEqual([{ url: PUBLIC.baseUrl, transport: 'HTTP+JSON' }])
    })
    await fc.assert(read, RUNS)
  })

  it.each(['hybrid', '1.0'] as const)(
    'as %s, is read by the 1.0 SDK with everything in it',
    async (shape) => {
      const read = fc.asyncProperty(cards, async (card) => {
        const resolver = new Resolver10({
          ...served(cardTo(card, shape)),
          legacyCompat: { enabled: true },
        })
        const found = await resolver.resolve(PUBLIC.baseUrl)
        expect(
          found.supportedInterfaces.map((one) => [
            one.url,
            one.protocolBinding,
            one.protocolVersion,
          ]),
        ).toEqual([
          [PUBLIC.baseUrl, 'JSONRPC', '1.0'],
          [PUBLIC.baseUrl, 'HTTP+JSON', '1.0'],
          [PUBLIC.baseUrl, 'JSONRPC', '0.3'],
          [PUBLIC.baseUrl, 'HTTP+JSON', '0.3'],
        ])
        const decoded = AgentCard.fromJSON(cardTo(card, shape))
        const schemes = Object.values(decoded.securitySchemes)
        expect(schemes).toHaveLength(Object.keys(card['securitySchemes'] ?? {}).length)
        expect(schemes.filter(({ scheme }) => scheme === undefined)).toEqual([])
        const requirements = Object.keys(card['securityRequirements'] ?? {})
        expect(decoded.securityRequirements).toHaveLength(requirements.length)
      })
      await fc.assert(read, RUNS)
    },
  )
})
