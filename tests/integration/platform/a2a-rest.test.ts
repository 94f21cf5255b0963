/** The REST bindings and the cards below `/a2a/:id`. */
import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { externalWorkspace } from '../../support/external-workspace.ts'
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
    [
      ...(['DELETE', 'tasks/t1/pushNotificationConfigs/c1', undefined] as const),
      ...(['DeleteTaskPushNotificationConfig', { taskId: 't1', id: 'c1' }, {}] as const),
    ],
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

  it.each([
    ['*/*', 'application/a2a+json'],
    ['application/json', 'application/json'],
    ['application/json, application/a2a+json', 'application/a2a+json'],
  ])('1.0 for who accepts %s: %s', async (accept, type) => {
    const answer = await ask('GET', 'tasks/t1', undefined, { accept })
    expect(answer.headers.get('content-type')).toBe(type)
  })

  it.each([
    ['cut off', Buffer.from('{'), 400, 'PARSE_ERROR'],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 400, 'PARSE_ERROR'],
    ['nested beyond reason', Buffer.from('['.repeat(100_000)), 400, 'PARSE_ERROR'],
    ['no object', Buffer.from('[]'), 400, 'INVALID_PARAMS'],
    ['too large', Buffer.alloc(1024 * 1024 + 1, ' '), 413, 'PAYLOAD_TOO_LARGE'],
  ])('refuses a body that is %s', async (_name, body, status, reason) => {
    const answer = await platform.request(`/a2a/${workspace.id}/message:send`, {
      ...{ method: 'POST', as: workspace.authToken, body },
      headers: { 'content-type': 'application/json' },
    })
    const { error } = (await answer.json()) as {
      error: { code: number; details: { reason?: string }[] }
    }
    expect([answer.status, error.code, error.details[0]?.reason]).toEqual([status, status, reason])
    expect(box.requests).toHaveLength(0)
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
    expect(Object.fromEntries(first.headers)).toMatchObject({
      ...{ vary: expect.stringContaining('A2A-Version, Authorization') },
      ...{
        'cache-control': 'private, max-age=60',
        'last-modified': expect.stringMatching(/ GMT$/),
      },
    })
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

  it('has what every card must have, and what the gateway does in its place', async () => {
    await hasCard({ capabilities: { pushNotifications: false, streaming: false, vendor: 1 } })
    const read = async () =>
      await (
        await ask('GET', '.well-known/agent-card.json', undefined, { 'a2a-version': '1.0' })
      ).json()
    const card = await read()
    expect(card).toMatchObject({
      ...{ name: 'bench', description: 'bench', version: '0.0.0', skills: [] },
      ...{ defaultInputModes: ['text/plain'], defaultOutputModes: ['text/plain'] },
      capabilities: { pushNotifications: true, streaming: false, vendor: 1 },
    })
    await platform.client.sql`
      UPDATE workspaces SET delivery_mode = 'poll' WHERE id = ${workspace.id}`
    expect(await read()).toMatchObject({ capabilities: { streaming: true } })
  })

  it('is as little there for who may not talk to it as one that is not', async () => {
    const [parent, stranger] = [await externalWorkspace(), await externalWorkspace()]
    await platform.client.sql`
      UPDATE workspaces SET parent_id = ${parent.id} WHERE id = ${workspace.id}`
    const asStranger = async (id: string, path: string) => {
      const answer = await platform.request(`/a2a/${id}/${path}`, { as: stranger.authToken })
      const { error } = (await answer.json()) as { error: { message: string } }
      return [answer.status, error.message]
    }
    for (const path of ['.well-known/agent-card.json', 'tasks/t1']) {
      const foreign = await asStranger(workspace.id, path)
      expect(foreign).toEqual([404, expect.any(String)])
      expect(await asStranger(randomUUID(), path)).toEqual(foreign)
    }
    expect(box.requests).toHaveLength(0)
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
