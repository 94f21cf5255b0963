/** The REST bindings and the cards below `/a2a/:id`. */
import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { platform } from '../../support/shared-platform.ts'

provideBoxedWorkspace({
  ATRIUM_AGENT_TIMEOUT_MS: '3000',
  EXTERNAL_PLATFORM_URL: 'https://a.example',
})

const V10 = { url: 'http://agent/', protocolBinding: 'JSONRPC', protocolVersion: '1.0' }
const ask = (method: string, path: string, body?: unknown, headers = {}) =>
  platform.request(`/a2a/${workspace.id}/${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    as: workspace.authToken,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
const hasCard = (card: object) => platform.client.sql`
  UPDATE workspaces SET agent_card = ${JSON.stringify(card)}::text::jsonb WHERE id = ${workspace.id}`
const seen = (index = 0) => JSON.parse(box.requests[index]?.body.toString() ?? 'null')
const task = { id: 't1', contextId: 'c1', status: { state: 'TASK_STATE_COMPLETED' } }
const message = { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'hi' }] }

describe('REST', () => {
  beforeEach(async () => {
    await hasCard({ name: 'agent', supportedInterfaces: [V10] })
    box.answer = (asked, response) => {
      const { id, method } = JSON.parse(asked.body.toString())
      const result = /Send/.test(method) ? { task } : task
      if (method === 'SendStreamingMessage') {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`)
        return
      }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
    }
  })

  it.each([
    ['POST', 'message:send', { message }, 'SendMessage', { message }, { task }],
    [
      'POST',
      'acme/message:send',
      { message },
      'SendMessage',
      { message, tenant: 'acme' },
      { task },
    ],
    [
      'GET',
      'tasks/t%201?history_length=2',
      undefined,
      'GetTask',
      { id: 't 1', historyLength: 2 },
      task,
    ],
    ['GET', 'tasks/a:b/', undefined, 'GetTask', { id: 'a:b' }, task],
    ['POST', 'tasks/t1:cancel', undefined, 'CancelTask', { id: 't1' }, task],
  ])('1.0: %s %s', async (verb, path, body, method, params, result) => {
    const answer = await ask(verb, path, body)
    expect([answer.status, await answer.json()]).toEqual([200, result])
    expect(answer.headers.get('content-type')).toBe('application/a2a+json')
    expect(seen()).toMatchObject({ method, params })
  })

  it('0.3: speaks proto-JSON with its caller and 1.0 with the agent', async () => {
    const body = { request: { messageId: 'm1', role: 'ROLE_USER', content: [{ text: 'hi' }] } }
    const answer = await ask('POST', 'v1/message:send', body)
    expect([answer.status, await answer.json()]).toEqual([200, { task }])
    expect(answer.headers.get('content-type')).toBe('application/json')
    expect(seen()).toMatchObject({ method: 'SendMessage', params: { message } })
  })

  it('tells events without an envelope', async () => {
    const answer = await ask('POST', 'message:stream', { message })
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    expect(await answer.text()).toBe(`id: t1:1\ndata: ${JSON.stringify({ task })}\n\n`)
  })

  it('says with the status what is wrong', async () => {
    box.answer = (asked, response) => {
      const { id } = JSON.parse(asked.body.toString())
      const error = { code: -32001, message: 'Task not found' }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, error }))
    }
    const absent = await ask('GET', 'tasks/t1')
    expect([absent.status, await absent.json()]).toMatchObject([
      404,
      { error: { code: 404, status: 'NOT_FOUND', message: 'Task not found' } },
    ])
    const legacy = await ask('GET', 'v1/tasks/t1')
    expect([legacy.status, await legacy.json()]).toMatchObject([404, { code: -32001 }])
    const invalid = await ask('POST', 'message:send', { message: { role: 'ROLE_USER' } })
    expect([invalid.status, await invalid.json()]).toMatchObject([
      400,
      {
        error: {
          status: 'INVALID_ARGUMENT',
          details: [{ reason: 'INVALID_PARAMS' }, { fieldViolations: [{}] }],
        },
      },
    ])
    const nothing = await ask('GET', 'nothing')
    expect([nothing.status, await nothing.json()]).toMatchObject([404, { error: { code: 404 } }])
    const nobody = await platform.request(`/a2a/${workspace.id}/tasks`, { as: null })
    expect([nobody.status, await nobody.json()]).toMatchObject([
      401,
      { error: { status: 'UNAUTHENTICATED' } },
    ])
  })
})

describe('the card', () => {
  const signed = {
    name: 'agent',
    supportedInterfaces: [V10],
    signatures: [{ protected: 'x', signature: 'y' }],
  }

  it.each(['.well-known/agent-card.json', '.well-known/agent.json'])(
    'at %s has the addresses of the platform only, in the shape that is asked for',
    async (path) => {
      await hasCard(signed)
      const url = `https://a.example/a2a/${workspace.id}`
      const current = await (await ask('GET', path, undefined, { 'a2a-version': '1.0' })).json()
      expect(current).toMatchObject({ name: 'agent' })
      expect(current).not.toHaveProperty('url')
      expect(current).not.toHaveProperty('signatures')
      const legacy = await (await ask('GET', path, undefined, { 'a2a-version': '0.3' })).json()
      expect(legacy).toMatchObject({ url, protocolVersion: '0.3.0' })
      expect(legacy).not.toHaveProperty('supportedInterfaces')
      const both = (await (await ask('GET', path)).json()) as {
        supportedInterfaces: { url: string }[]
      }
      expect(both).toMatchObject({ url })
      expect(new Set(both.supportedInterfaces.map((each) => each.url))).toEqual(new Set([url]))
      expect(JSON.stringify([current, legacy, both])).not.toContain('http://agent/')
    },
  )

  it('is not sent again to who has it', async () => {
    const first = await ask('GET', '.well-known/agent-card.json')
    const etag = first.headers.get('etag') ?? ''
    expect(first.headers.get('vary')).toContain('A2A-Version')
    expect(first.headers.get('cache-control')).toBe('private, max-age=60')
    for (const known of [etag, `"x", W/${etag}`, '*', '"x"']) {
      const again = await ask('GET', '.well-known/agent-card.json', undefined, {
        'if-none-match': known,
      })
      const isNew = known === '"x"'
      expect([again.status, (await again.text()) === '']).toEqual(
        isNew ? [200, false] : [304, true],
      )
    }
  })

  it('of a workspace that is not there is not there, and of no version there is none', async () => {
    const path = `/a2a/${randomUUID()}/.well-known/agent-card.json`
    const absent = await platform.request(path)
    expect(absent.status).toBe(404)
    const version = await ask('GET', '.well-known/agent-card.json', undefined, {
      'a2a-version': '9.0',
    })
    expect([version.status, await version.json()]).toMatchObject([400, { error: { code: 400 } }])
  })
})
