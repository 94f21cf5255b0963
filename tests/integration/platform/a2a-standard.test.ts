/** The address of agent cards, in front of agents of every version. */
import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { answerWith, message, RESULT, request } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { platform } from '../../support/shared-platform.ts'

provideBoxedWorkspace({ ATRIUM_AGENT_TIMEOUT_MS: '3000' })

const post = (
  body: string,
  headers: Record<string, string> = {},
  as: string | null = workspace.authToken,
  path = `/a2a/${workspace.id}`,
) =>
  platform.request(path, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
    as,
  })
const call = (method: string, params: object, id: unknown = 7) =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params })
const v10Message = { messageId: 'm1', role: 'ROLE_USER', parts: [{ text: 'hi' }] }
const sentBody = (index = 0) => JSON.parse(box.requests[index]?.body.toString() ?? 'null')
const speaks = (protocolVersion: string) => {
  const interfaces = [{ url: 'http://agent/', protocolBinding: 'JSONRPC', protocolVersion }]
  const card = JSON.stringify({ name: 'agent', supportedInterfaces: interfaces })
  return platform.client.sql`
    UPDATE workspaces SET agent_card = ${card}::text::jsonb WHERE id = ${workspace.id}`
}

describe('POST /a2a/:id', () => {
  it('answers with and without a slash, the bytes untouched where both speak the same', async () => {
    answerWith(200, 'application/json', RESULT)
    const original = request({ vendor: { big: 1 } }).replace(
      '"big":1',
      '"big":12345678901234567890',
    )
    for (const path of [`/a2a/${workspace.id}`, `/a2a/${workspace.id}/`]) {
      const answer = await post(
        original.replaceAll('m1', path.length.toString()),
        {},
        undefined,
        path,
      )
      expect([answer.status, await answer.text()]).toEqual([200, RESULT])
    }
    expect(box.requests.map((each) => each.body.toString())).toEqual(
      [43, 44].map((length) => original.replaceAll('m1', String(length - 2))),
    )
    expect(box.requests[0]?.headers).toMatchObject({ 'a2a-version': '0.3' })
  })

  it.each([
    ['{', -32700],
    ['[]', -32600],
    [call('nothing', {}), -32601],
    [call('message/send', { message: { role: 'user' } }), -32602],
    [call('tasks/get', {}), -32602],
  ])('says with HTTP 200 that %s is %i', async (body, code) => {
    const answer = await post(body)
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ jsonrpc: '2.0', error: { code } })
    expect(box.requests).toHaveLength(0)
  })

  it('tells 0.3 the field in an object, and 1.0 in a list of typed details', async () => {
    const legacy = await post(call('message/send', { message: { role: 'user' } }, 'x'))
    expect(await legacy.json()).toMatchObject({
      id: 'x',
      error: { data: { field: 'params.message.parts', detail: expect.any(String) } },
    })
    const current = await post(call('SendMessage', { message: { role: 'ROLE_USER' } }, 'y'))
    expect(await current.json()).toMatchObject({
      id: 'y',
      error: {
        data: [
          { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: 'INVALID_PARAMS' },
          { fieldViolations: [{ field: 'params.message.parts' }] },
        ],
      },
    })
  })

  it.each([
    ['content-type', 'text/plain', -32005, 415],
    ['a2a-version', '7.0', -32009, 400],
  ])('refuses a %s of %s on both surfaces', async (name, value, code, status) => {
    const standard = await post(request(), { [name]: value })
    expect([standard.status, await standard.json()]).toMatchObject([
      200,
      { id: 7, error: { code } },
    ])
    const path = `/workspaces/${workspace.id}/a2a`
    const own = await post(request(), { [name]: value }, undefined, path)
    expect([own.status, await own.json()]).toMatchObject([status, { id: 7, error: { code } }])
  })

  it('says 401 with the id to who is nobody, and 404 of what is not there', async () => {
    const nobody = await post(request(), {}, null)
    expect(nobody.status).toBe(401)
    expect(nobody.headers.get('www-authenticate')).toBe('Bearer')
    expect(await nobody.json()).toMatchObject({ jsonrpc: '2.0', id: 7, error: { code: -32600 } })
    const absent = await post(request(), {}, undefined, `/a2a/${randomUUID()}`)
    expect([absent.status, await absent.json()]).toMatchObject([404, { id: 7 }])
  })

  it('gives an id to a request that has none, and answers null', async () => {
    box.answer = (asked, response) => {
      const { id } = JSON.parse(asked.body.toString())
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { kind: 'message' } }))
    }
    const answer = await post(
      JSON.stringify({ jsonrpc: '2.0', method: 'message/send', params: { message } }),
    )
    expect(sentBody().id).toMatch(/^[0-9a-f-]{36}$/)
    expect(await answer.json()).toMatchObject({ id: null, result: { kind: 'message' } })
  })

  describe('in front of an agent of the other version', () => {
    beforeEach(() => {
      box.answer = (asked, response) => {
        const { id, method } = JSON.parse(asked.body.toString())
        const isCurrent = /^[A-Z]/.test(method)
        const state = isCurrent ? 'TASK_STATE_COMPLETED' : 'completed'
        const task = { id: 't1', contextId: 'c1', status: { state } }
        const result = isCurrent ? { task } : { kind: 'task', ...task }
        if (/tream/.test(method)) {
          response.writeHead(200, { 'content-type': 'text/event-stream' })
          response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result })}\n\n`)
          return
        }
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
      }
    })

    it('speaks 0.3 to the agent and 1.0 to its caller', async () => {
      await speaks('0.3')
      const answer = await post(call('SendMessage', { message: v10Message }, 12))
      expect(sentBody()).toMatchObject({
        id: 12,
        method: 'message/send',
        params: {
          message: { kind: 'message', role: 'user', parts: [{ kind: 'text', text: 'hi' }] },
        },
      })
      expect(box.requests[0]?.headers['a2a-version']).toBe('0.3')
      expect(await answer.json()).toEqual({
        jsonrpc: '2.0',
        id: 12,
        result: { task: { id: 't1', contextId: 'c1', status: { state: 'TASK_STATE_COMPLETED' } } },
      })
    })

    it('speaks 1.0 to the agent and 0.3 to its caller', async () => {
      await speaks('1.0')
      const answer = await post(call('message/send', { message }))
      expect(sentBody()).toMatchObject({ method: 'SendMessage', params: { message: v10Message } })
      expect(box.requests[0]?.headers['a2a-version']).toBe('1.0')
      expect(await answer.json()).toMatchObject({
        id: 7,
        result: { kind: 'task', id: 't1', status: { state: 'completed' } },
      })
    })

    it('translates every event of a stream', async () => {
      await speaks('1.0')
      const answer = await post(call('message/stream', { message }))
      expect(answer.headers.get('content-type')).toBe('text/event-stream')
      const [, data] = /^data: (.*)$/m.exec(await answer.text()) ?? []
      expect(JSON.parse(data ?? '')).toMatchObject({ id: 7, result: { kind: 'task', id: 't1' } })
    })
  })

  it('asks once more in the other version when the agent does not know the method, and remembers', async () => {
    await speaks('1.0')
    box.answer = (asked, response) => {
      const { id, method } = JSON.parse(asked.body.toString())
      const unknown = { jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } }
      const known = { jsonrpc: '2.0', id, result: { ...message, kind: 'message', role: 'agent' } }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(method === 'message/send' ? known : unknown))
    }
    for (const messageId of ['a', 'b']) {
      const params = { message: { ...v10Message, messageId } }
      const answer = await post(call('SendMessage', params))
      expect(await answer.json()).toMatchObject({ result: { message: { role: 'ROLE_AGENT' } } })
    }
    expect(box.requests.map((_, index) => sentBody(index).method)).toEqual([
      'SendMessage',
      'message/send',
      'message/send',
    ])
  })

  it('asks for the extensions that the agent demands of everybody', async () => {
    const extensions = [
      ...[{ uri: 'urn:a', required: true }, { uri: 'urn:b', required: false }, { uri: 'urn:c' }],
      ...[{ uri: 'urn:d', required: true }, { uri: 7, required: true }, 'urn:e', null],
    ]
    const card = JSON.stringify({ name: 'agent', capabilities: { extensions } })
    await platform.client.sql`
      UPDATE workspaces SET agent_card = ${card}::text::jsonb WHERE id = ${workspace.id}`
    answerWith(200, 'application/json', '{"jsonrpc":"2.0","id":7,"result":{"message":{}}}')
    const sent = call('SendMessage', { message: v10Message })
    const missing = await post(sent, { 'a2a-extensions': 'urn:d2, urn:a' })
    expect([missing.status, await missing.json()]).toMatchObject([
      200,
      {
        id: 7,
        error: {
          code: -32008,
          data: [{ reason: 'EXTENSION_SUPPORT_REQUIRED', metadata: { missing: 'urn:d' } }],
        },
      },
    ])
    const own = await post(sent, {}, undefined, `/workspaces/${workspace.id}/a2a`)
    expect([own.status, await own.json()]).toMatchObject([400, { error: { code: -32008 } }])
    expect(box.requests).toHaveLength(0)
    for (const [body, headers] of [
      [sent, { 'a2a-extensions': 'urn:a,urn:d' }],
      [request({ params: { message: { ...message, messageId: 'm2' } } }), {}],
      [call('GetTask', { id: 't1' }), {}],
    ] as const) {
      expect(await (await post(body, headers)).json()).toMatchObject({ result: {} })
    }
  })

  it('passes on the word of an agent that knows the method in no version', async () => {
    await speaks('1.0')
    box.answer = (asked, response) => {
      const { id, method } = JSON.parse(asked.body.toString())
      response.writeHead(200, { 'content-type': 'application/json' })
      const error = { code: -32601, message: `no ${method}` }
      response.end(JSON.stringify({ jsonrpc: '2.0', id, error }))
    }
    for (const id of [1, 2]) {
      const answer = await post(call('GetTask', { id: 't1' }, id))
      expect(await answer.json()).toMatchObject({
        id,
        error: { code: -32601, message: 'no GetTask' },
      })
    }
    expect(sentBody(2).method).toBe('GetTask')
  })

  it.each([
    ['0.3', 'x-a2a-extensions', 'a2a-extensions'],
    ['1.0', 'a2a-extensions', 'x-a2a-extensions'],
  ])('names extensions to an agent of %s in %s', async (version, name, other) => {
    await speaks(version)
    box.answer = (asked, response) => {
      const { id, method } = JSON.parse(asked.body.toString())
      const isCurrent = method === 'SendMessage'
      const result = isCurrent ? { message: v10Message } : { ...message, role: 'agent' }
      response.writeHead(200, { 'content-type': 'application/json', [name]: 'urn:a' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }))
    }
    for (const [given, messageId] of [
      [name, 'a'],
      [other, 'b'],
    ] as const) {
      const params = { message: { ...v10Message, messageId } }
      const answer = await post(call('SendMessage', params), { [given]: 'urn:a, urn:b' })
      expect([answer.status, answer.headers.get(name)]).toEqual([200, 'urn:a'])
    }
    expect(box.requests.map(({ headers }) => [headers[name], headers[other]])).toEqual([
      ['urn:a, urn:b', undefined],
      ['urn:a, urn:b', undefined],
    ])
  })

  it('does not take another version for a method that the agent lacks', async () => {
    await speaks('1.0')
    box.answer = (asked, response) => {
      const { id, method } = JSON.parse(asked.body.toString())
      const code = method === 'GetTask' ? -32601 : -32001
      const isSend = method === 'SendMessage'
      const said = isSend ? { result: { message: v10Message } } : { error: { code, message: 'no' } }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, ...said }))
    }
    const absent = await post(call('GetTask', { id: 't1' }))
    expect(await absent.json()).toMatchObject({ error: { code: -32001 } })
    await post(call('SendMessage', { message: v10Message }))
    expect(box.requests.map((_, index) => sentBody(index).method)).toEqual([
      'GetTask',
      'tasks/get',
      'SendMessage',
    ])
  })

  describe('of an agent that answers oddly', () => {
    const EVENTS = `data: ${RESULT}\n\n`
    it('does not pass on events to who did not ask for them', async () => {
      answerWith(200, 'text/event-stream', EVENTS)
      const answer = await post(request())
      expect(answer.headers.get('content-type')).toBe('application/json')
      expect(await answer.json()).toMatchObject({ id: 7, error: { code: -32006 } })
    })

    it('knows events by their type, however it is written', async () => {
      answerWith(200, 'Text/Event-Stream', EVENTS)
      const answer = await post(request({ method: 'message/stream' }))
      expect([answer.headers.get('content-type'), await answer.text()]).toEqual([
        'text/event-stream',
        EVENTS,
      ])
    })
  })
})
