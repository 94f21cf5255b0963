import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../lossless-json.ts'
import { type CardShape, cardTo } from './card.ts'
import { agentDialects, interfacesOf } from './card-interfaces.ts'
import { rewriteCard } from './card-rewrite.ts'

const LEGACY: JsonObject = {
  name: 'Agent',
  description: 'Does things',
  version: '1',
  url: 'http://10.0.0.7:8000/a2a',
  preferredTransport: 'JSONRPC',
  additionalInterfaces: [
    { url: 'http://10.0.0.7:8000/a2a', transport: 'JSONRPC' },
    { url: 'http://10.0.0.7:9000', transport: 'GRPC' },
  ],
  protocolVersion: '0.3.0',
  capabilities: { streaming: true, stateTransitionHistory: true },
  supportsAuthenticatedExtendedCard: true,
  securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
  security: [{ bearer: [] }],
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [{ id: 's', name: 's', description: 's', tags: [], security: [{ bearer: ['x'] }] }],
  signatures: [{ protected: 'p', signature: 's' }],
  'x-vendor': { team: 7 },
}

const CURRENT: JsonObject = {
  name: 'Agent',
  supportedInterfaces: [
    {
      url: 'http://10.0.0.7:8000/rest',
      protocolBinding: 'HTTP+JSON',
      protocolVersion: '1.0',
      tenant: 'billing',
    },
    { url: 'http://10.0.0.7:8000/a2a', protocolBinding: 'JSONRPC', protocolVersion: '1.0.1' },
  ],
  capabilities: { streaming: true, extendedAgentCard: true },
  securitySchemes: { key: { apiKeySecurityScheme: { location: 'header', name: 'X-Key' } } },
  securityRequirements: [{ schemes: { key: { list: [] } } }],
  skills: [],
  signatures: [{ protected: 'p', signature: 's' }],
}

const TARGET = { baseUrl: 'https://gate.example/a2a/w1', bindings: ['JSONRPC', 'HTTP+JSON'] }

describe('rewriteCard', () => {
  it.each<readonly [string, JsonObject, CardShape]>(
    [LEGACY, CURRENT].flatMap((card, at) =>
      (['0.3', '1.0', 'hybrid'] as const).map(
        (shape) => [at === 0 ? 'a 0.3 card' : 'a 1.0 card', card, shape] as const,
      ),
    ),
  )('leaves no address, binding or signature of the agent in %s: %#', (_name, card, shape) => {
    const text = JSON.stringify(cardTo(rewriteCard(card, TARGET), shape))
    expect(text).not.toContain('10.0.0.7')
    expect(text).not.toContain('GRPC')
    expect(text).not.toContain('signature')
    expect(text).toContain(TARGET.baseUrl)
  })

  it('names both versions at the one place, the newer first', () => {
    expect(rewriteCard(LEGACY, TARGET)['supportedInterfaces']).toEqual([
      { url: TARGET.baseUrl, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
      { url: TARGET.baseUrl, protocolBinding: 'HTTP+JSON', protocolVersion: '1.0' },
      { url: TARGET.baseUrl, protocolBinding: 'JSONRPC', protocolVersion: '0.3' },
      { url: TARGET.baseUrl, protocolBinding: 'HTTP+JSON', protocolVersion: '0.3' },
    ])
  })

  it('keeps the tenant that callers of 1.0 have to name', () => {
    expect(rewriteCard(CURRENT, TARGET)['supportedInterfaces']).toMatchObject([
      { protocolVersion: '1.0', tenant: 'billing' },
      { protocolVersion: '1.0', tenant: 'billing' },
      { protocolVersion: '0.3' },
      { protocolVersion: '0.3' },
    ])
  })

  it('says what the gateway can do instead of what the agent says', () => {
    const card = rewriteCard(LEGACY, {
      ...TARGET,
      capabilities: { streaming: false, pushNotifications: true },
    })
    expect(card['capabilities']).toEqual({
      streaming: false,
      pushNotifications: true,
      extendedAgentCard: true,
    })
  })

  it('makes a card of one that says next to nothing', () => {
    const card = rewriteCard({ name: 'x' }, TARGET)
    expect(cardTo(card, '0.3')).toEqual({
      name: 'x',
      url: TARGET.baseUrl,
      preferredTransport: 'JSONRPC',
      additionalInterfaces: [{ url: TARGET.baseUrl, transport: 'HTTP+JSON' }],
      protocolVersion: '0.3.0',
      capabilities: {},
    })
  })
})

describe('cardTo', () => {
  it('writes pure 1.0: nothing of 0.3 is left, and what nobody specified is', () => {
    expect(cardTo(LEGACY, '1.0')).toEqual({
      name: 'Agent',
      description: 'Does things',
      version: '1',
      supportedInterfaces: [
        { url: 'http://10.0.0.7:8000/a2a', protocolBinding: 'JSONRPC', protocolVersion: '0.3' },
        { url: 'http://10.0.0.7:9000', protocolBinding: 'GRPC', protocolVersion: '0.3' },
      ],
      capabilities: { streaming: true, extendedAgentCard: true },
      securitySchemes: { bearer: { httpAuthSecurityScheme: { scheme: 'bearer' } } },
      securityRequirements: [{ schemes: { bearer: { list: [] } } }],
      defaultInputModes: ['text/plain'],
      defaultOutputModes: ['text/plain'],
      skills: [
        {
          id: 's',
          name: 's',
          description: 's',
          tags: [],
          securityRequirements: [{ schemes: { bearer: { list: ['x'] } } }],
        },
      ],
      'x-vendor': { team: 7 },
    })
  })

  it('writes a hybrid that says everything in the words of both', () => {
    expect(cardTo(CURRENT, 'hybrid')).toMatchObject({
      url: 'http://10.0.0.7:8000/rest',
      supportsAuthenticatedExtendedCard: true,
      capabilities: { extendedAgentCard: true },
      security: [{ key: [] }],
      securityRequirements: [{ schemes: { key: { list: [] } } }],
      securitySchemes: {
        key: {
          type: 'apiKey',
          in: 'header',
          name: 'X-Key',
          apiKeySecurityScheme: { location: 'header', name: 'X-Key' },
        },
      },
    })
  })

  it('adds the words of 1.0 to a card of 0.3', () => {
    expect(cardTo(LEGACY, 'hybrid')).toMatchObject({
      url: 'http://10.0.0.7:8000/a2a',
      supportedInterfaces: [{ protocolBinding: 'JSONRPC' }, { protocolBinding: 'GRPC' }],
      capabilities: { extendedAgentCard: true, stateTransitionHistory: true },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', httpAuthSecurityScheme: { scheme: 'bearer' } },
      },
      securityRequirements: [{ schemes: { bearer: { list: [] } } }],
      skills: [{ securityRequirements: [{ schemes: { bearer: { list: ['x'] } } }] }],
    })
  })

  it.each<readonly [JsonObject, readonly string[]]>([
    [LEGACY, ['0.3']],
    [CURRENT, ['1.0']],
    [{ name: 'of 0.2', url: 'http://a.example/' }, ['0.3']],
    [{ ...CURRENT, url: 'http://a.example/' }, ['1.0', '0.3']],
    [{ supportedInterfaces: [{ url: 'http://a.example/' }, 7, { url: 5 }] }, ['1.0']],
    [{ supportedInterfaces: 'none', url: '' }, []],
  ])('says which versions an agent promises: %#', (card, versions) => {
    expect([...agentDialects(card)]).toEqual(versions)
  })
})

describe('interfacesOf', () => {
  it('tells a place once, the first time that it is named', () => {
    const place = { url: 'http://a', protocolBinding: 'JSONRPC', protocolVersion: '1.0' }
    const card = {
      supportedInterfaces: [place, { ...place, url: 'http://b' }, { ...place, tenant: 'later' }],
      ...{ url: 'http://b', preferredTransport: 'JSONRPC', protocolVersion: '1.0' },
    }
    const first = { binding: 'JSONRPC', version: '1.0', tenant: undefined }
    expect(interfacesOf(card)).toEqual([
      { ...first, url: 'http://a' },
      { ...first, url: 'http://b' },
    ])
  })

  it('reads as many as fit in a card of a megabyte in no time: everybody waits meanwhile', () => {
    const supportedInterfaces = Array.from({ length: 50_000 }, (_, n) => ({ url: String(n) }))
    const begunAt = performance.now()
    expect(interfacesOf({ supportedInterfaces })).toHaveLength(50_000)
    expect([...agentDialects({ supportedInterfaces })]).toEqual(['1.0'])
    expect(performance.now() - begunAt).toBeLessThan(2_000)
  })
})
