import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AgentRuntime, CARD, startAgentRuntime } from '../../support/agent-runtime.ts'

describe('the agent card', () => {
  let runtime: AgentRuntime

  beforeAll(async () => {
    runtime = await startAgentRuntime({
      config: 'name: Reporter\ndescription: makes reports\nruntime: echo',
    })
  })

  afterAll(() => runtime.close())

  const card = async (version?: string, path = CARD) => {
    const headers: Record<string, string> = version === undefined ? {} : { 'a2a-version': version }
    return (await fetch(runtime.url + path, { headers })).json() as Promise<Record<string, unknown>>
  }

  it('is public, at both well-known places', async () => {
    expect(await card()).toMatchObject({ name: 'Reporter', description: 'makes reports' })
    expect(await card(undefined, '/.well-known/agent.json')).toEqual(await card())
  })

  it('is a hybrid for clients that do not say what they read', async () => {
    expect(await card()).toMatchObject({
      protocolVersion: '0.3.0',
      url: runtime.url,
      preferredTransport: 'JSONRPC',
      capabilities: { streaming: true, pushNotifications: false },
      supportedInterfaces: [
        { url: runtime.url, protocolBinding: 'JSONRPC', protocolVersion: '1.0' },
        { url: runtime.url, protocolBinding: 'JSONRPC', protocolVersion: '0.3' },
      ],
    })
  })

  it('is a plain 1.0 card for 1.0 clients', async () => {
    const modern = await card('1.0')
    expect(modern['supportedInterfaces']).toHaveLength(2)
    expect(modern).not.toHaveProperty('url')
    expect(modern).not.toHaveProperty('protocolVersion')
  })

  it('is a plain 0.3 card for 0.3 clients', async () => {
    const legacy = await card('0.3')
    expect(legacy['url']).toBe(runtime.url)
    expect(legacy).not.toHaveProperty('supportedInterfaces')
  })

  it('is not transferred again to who has it', async () => {
    const first = await fetch(runtime.url + CARD)
    const etag = first.headers.get('etag') ?? ''
    expect(first.headers.get('vary')).toBe('A2A-Version')
    const again = await fetch(runtime.url + CARD, { headers: { 'if-none-match': etag } })
    expect([again.status, await again.text()]).toEqual([304, ''])
    const other = { 'if-none-match': etag, 'a2a-version': '1.0' }
    expect((await fetch(runtime.url + CARD, { headers: other })).status).toBe(200)
  })
})
