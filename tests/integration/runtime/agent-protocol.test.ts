import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AgentRuntime, startAgentRuntime, userMessage } from '../../support/agent-runtime.ts'

describe('POST /', () => {
  let runtime: AgentRuntime

  beforeAll(async () => {
    runtime = await startAgentRuntime()
  })

  afterAll(() => runtime.close())

  const errorOf = async (body: string, headers?: Record<string, string>) => {
    const response = await runtime.post(body, headers)
    const { error, id } = (await response.json()) as { error: { code: number }; id: unknown }
    return [response.status, error.code, id]
  }
  const envelope = (method: string, params: unknown, id: unknown = 7) =>
    JSON.stringify({ jsonrpc: '2.0', id, method, params })
  const modern = (message: object) =>
    envelope('SendMessage', { message: { messageId: 'm', role: 'ROLE_USER', ...message } })
  const legacy = (message: object) =>
    envelope('message/send', {
      message: { kind: 'message', messageId: 'm', role: 'user', ...message },
    })

  it('needs the inbound secret', async () => {
    const response = await runtime.post(envelope('message/send', userMessage('hi')), {
      authorization: '',
    })
    expect(response.status).toBe(401)
  })

  it('answers anybody when it was opened on purpose', async () => {
    const open = await startAgentRuntime({ isA2aOpen: true })
    try {
      const response = await open.post(envelope('message/send', userMessage('hi')), {
        authorization: '',
      })
      expect(response.status).toBe(200)
    } finally {
      await open.close()
    }
  })

  it.each([
    ['not JSON', '{"jsonrpc"', [200, -32700, null]],
    ['an empty body', '', [200, -32700, null]],
    ['a batch', '[]', [200, -32600, null]],
    ['a text', '"hi"', [200, -32600, null]],
    [
      'another version of JSON-RPC',
      '{"jsonrpc":"1.0","id":7,"method":"message/send"}',
      [200, -32600, 7],
    ],
    [
      'an id that is none',
      '{"jsonrpc":"2.0","id":{},"method":"message/send"}',
      [200, -32600, null],
    ],
    ['an unknown method', envelope('tasks/fly', {}), [200, -32601, 7]],
    ['params that are a list', envelope('tasks/get', []), [200, -32602, 7]],
    ['an unknown task', envelope('tasks/get', { id: 'nobody' }), [200, -32001, 7]],
    ['an unknown task in 1.0', envelope('GetTask', { id: 'nobody' }), [200, -32001, 7]],
    ['no message', envelope('message/send', {}), [200, -32602, 7]],
  ])('refuses %s', async (_, body, expected) => {
    expect(await errorOf(body)).toEqual(expected)
  })

  it.each([
    ['no parts', { parts: [] }],
    ['an empty part', { parts: [{}] }],
    ['two arms', { parts: [{ text: 'a', url: 'b' }] }],
    ['data that is null', { parts: [{ data: null }] }],
    ['bytes that are not base64', { parts: [{ raw: 'no!' }] }],
    ['a text that is a number', { parts: [{ text: 5 }] }],
    ['a role that is none', { role: 'robot', parts: [{ text: 'a' }] }],
    ['no parts at all', {}],
    [
      'data deeper than its stack',
      { parts: [{ data: JSON.parse(`${'['.repeat(300)}${']'.repeat(300)}`) }] },
    ],
  ])('refuses a 1.0 message with %s, which the SDK would accept and lose', async (_, message) => {
    expect(await errorOf(modern(message))).toEqual([200, -32602, 7])
  })

  it.each([
    ['a text part without text', { parts: [{ kind: 'text' }] }],
    ['a file without uri', { parts: [{ kind: 'file', file: { name: 'a' } }] }],
    ['a file twice', { parts: [{ kind: 'file', file: { uri: 'a', bytes: 'YQ==' } }] }],
    ['data that is a list', { parts: [{ kind: 'data', data: [] }] }],
    ['a role that is none', { role: 'robot', parts: [{ kind: 'text', text: 'a' }] }],
    ['an id that is a number', { messageId: 5, parts: [{ kind: 'text', text: 'a' }] }],
  ])('refuses a 0.3 message with %s', async (_, message) => {
    expect(await errorOf(legacy(message))).toEqual([200, -32602, 7])
  })

  it('says which field is wrong, in the terms of the dialect', async () => {
    const old = await runtime.call('message/send', {
      message: { messageId: 'm', role: 'user', parts: [{}] },
    })
    expect(old.error?.data).toMatchObject({ field: 'params.message.parts[0]' })
    const current = await runtime.call('SendMessage', { message: { messageId: 'm', parts: [{}] } })
    expect(current.error?.data).toMatchObject([
      { fieldViolations: [{ field: 'params.message.parts[0]' }] },
    ])
  })

  it.each([
    ['content in the old field', { content: 'hello' }],
    ['no role', { role: undefined, parts: [{ kind: 'text', text: 'hello' }] }],
    ['no id', { messageId: undefined, parts: [{ kind: 'text', text: 'hello' }] }],
    ['an empty id', { messageId: '', parts: [{ kind: 'text', text: 'hello' }] }],
    ['a part without kind', { parts: [{ text: 'hello' }] }],
    ['a part of 0.1', { parts: [{ type: 'text', text: 'hello' }] }],
    ['a role of 1.0', { role: 'ROLE_USER', parts: [{ kind: 'text', text: 'hello' }] }],
  ])('accepts a 0.3 message with %s', async (_, message) => {
    const response = await runtime.post(legacy(message))
    expect(await response.json()).toMatchObject({ result: { parts: [{ text: 'hello' }] } })
  })

  it('gives the agent a 1.0 message with a file of 0.3, which the SDK would lose', async () => {
    const file = { kind: 'file', file: { uri: 'https://example.com/a', mimeType: 'image/png' } }
    const response = await runtime.post(modern({ parts: [{ text: 'hello' }, file] }))
    // The agent has seen it: it is the one that takes only files of its own.
    expect(await response.text()).toContain('only files under /workspace can be attached')
  })

  it('accepts a bare sender without an envelope', async () => {
    const response = await runtime.post(
      JSON.stringify({ method: 'message/send', params: userMessage('bare') }),
    )
    expect(await response.json()).toMatchObject({ result: { parts: [{ text: 'bare' }] } })
  })

  it.each(['0', '""', '"x"', '9007199254740993', 'null', '1.5'])(
    'gives the id %s back as it came',
    async (id) => {
      const body = `{"jsonrpc":"2.0","id":${id},"method":"message/send","params":${JSON.stringify(userMessage('hi'))}}`
      expect(await (await runtime.post(body)).text()).toContain(`"id":${id},`)
      const failing = `{"jsonrpc":"2.0","id":${id},"method":"tasks/get","params":{"id":"x"}}`
      expect(await (await runtime.post(failing)).text()).toContain(`"id":${id},`)
    },
  )

  it.each(['1.0', ' 1.0 ', 'v1.0', '1.0.0', '0.3', ''])(
    'lets the method decide when the version is %j',
    async (version) => {
      const headers = { 'a2a-version': version }
      const response = await runtime.post(modern({ parts: [{ text: 'hi' }] }), headers)
      expect(await response.json()).toMatchObject({
        result: { message: { parts: [{ text: 'hi' }] } },
      })
    },
  )

  it('refuses a version it does not speak', async () => {
    const headers = { 'a2a-version': '2.0' }
    expect(await errorOf(legacy({ parts: [] }), headers)).toEqual([200, -32009, 7])
  })

  it.each([
    ['text/plain', -32005],
    ['application/xml', -32005],
  ])('refuses the content type %s', async (type, code) => {
    expect(await errorOf(legacy({ content: 'hi' }), { 'content-type': type })).toEqual([
      200,
      code,
      7,
    ])
  })

  it.each(['application/a2a+json', 'application/json; charset=utf-8'])(
    'takes the content type %s',
    async (type) => {
      const response = await runtime.post(legacy({ content: 'hi' }), { 'content-type': type })
      expect(await response.json()).toHaveProperty('result')
    },
  )

  it('refuses at once what the SDK would stumble over, and says where', async () => {
    for (const [method, field] of [
      ['tasks/pushNotificationConfig/set', 'params.taskId'],
      ['GetTask', 'params.id'],
      ['tasks/cancel', 'params.id'],
    ] as const) {
      const { error } = await runtime.call(method, {})
      expect([method, error?.code]).toEqual([method, -32602])
      expect(JSON.stringify(error?.data)).toContain(field)
    }
    const list = await runtime.call('ListTasks', { pageSize: 'many' })
    expect(list.error?.code).toBe(-32602)
  })

  it('takes what home-made clients send', async () => {
    for (const [method, params] of [
      ['message/send', { message: { role: 'ROLE_USER', content: 'old' } }],
      ['message/send', { parts: ['old'] }],
      ['SendMessage', { message: { message_id: 'm', content: [{ kind: 'text', text: 'old' }] } }],
    ] as const) {
      const { result, error } = await runtime.call(method, params)
      expect([method, error]).toEqual([method, undefined])
      expect(JSON.stringify(result)).toContain('"old"')
    }
  })

  it('answers anything in the place of anything without a slip', async () => {
    const calls: [string, unknown][] = [
      ['message/send', { ...userMessage('x'), configuration: { blocking: true }, metadata: {} }],
      ['message/stream', userMessage('x', [{ uri: '/workspace/a', name: 'a', mimeType: 'b' }])],
      [
        'message/send',
        userMessage('', [{ bytes: 'YQ==' }], { taskId: 't', referenceTaskIds: ['t'] }),
      ],
      [
        'SendMessage',
        {
          message: { messageId: 'm', role: 'ROLE_USER', contextId: 'c', parts: [{ text: 'x' }] },
          configuration: { returnImmediately: true, taskPushNotificationConfig: { url: 'x' } },
        },
      ],
      ['tasks/get', { id: 'x', historyLength: 1 }],
      ['tasks/resubscribe', { id: 'x' }],
      ['CancelTask', { id: 'x', metadata: {} }],
      ['ListTasks', { status: 'TASK_STATE_WORKING', pageSize: 5, includeArtifacts: true }],
    ]
    for (const [method, params] of calls) {
      for (const hostile of mutations(params)) {
        const response = await runtime.post(envelope(method, hostile))
        const text = await response.text()
        expect(
          [response.status, text.includes('-32603'), text.includes('internal error')],
          text,
        ).toEqual([200, false, false])
      }
    }
  })

  it('refuses to resume an unknown task, to 0.3 clients in a stream', async () => {
    const old = runtime.stream('tasks/resubscribe', { id: 'nobody' })
    expect((await old.next()).value).toMatchObject({ id: 's-1', error: { code: -32001 } })
    expect((await old.next()).done).toBe(true)
    const current = await runtime.call('SubscribeToTask', { id: 'nobody' })
    expect(current.error?.code).toBe(-32001)
  })

  it('answers 413 in JSON-RPC to a body that is too long, declared or not', async () => {
    const long = legacy({ content: 'x'.repeat(16 * 1024 * 1024) })
    const declared = await runtime.post(long)
    expect([declared.status, await declared.json()]).toMatchObject([
      413,
      { error: { code: -32600 } },
    ])
    const chunked = await sendChunked(runtime, long)
    expect(chunked).toMatch(/^HTTP\/1\.1 413 /)
  })

  it('takes a long file that is within the limit', async () => {
    const bytes = Buffer.alloc(11 * 1024 * 1024, 7).toString('base64')
    const { result } = await runtime.call('message/send', userMessage('', [{ bytes, name: 'a' }]))
    // The echo agent has it, and has no uri to give it back by.
    expect(JSON.stringify(result?.['parts'])).toContain('upload it and refer to it by its uri')
  })

  it('takes a long message that is within the limit', async () => {
    const text = 'x'.repeat(8 * 1024 * 1024)
    const { result } = await runtime.call('message/send', userMessage(text))
    expect(JSON.stringify(result?.['parts'])).toContain(text)
  })

  it('answers other methods of HTTP with 405', async () => {
    const headers = { authorization: `Bearer ${runtime.inboundSecret}` }
    const response = await fetch(runtime.url, { method: 'PUT', headers })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
  })
})

/** The value with something else in the place of each of its members, one at a time, or without it. */
function* mutations(value: unknown): Generator<unknown> {
  yield* [null, 5, 'x', [5], {}]
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      for (const other of mutations(item)) yield value.with(index, other)
    }
    return
  }
  for (const [name, item] of Object.entries(value)) {
    const rest = Object.fromEntries(Object.entries(value).filter(([key]) => key !== name))
    yield rest
    for (const other of mutations(item)) yield { ...rest, [name]: other }
  }
}

/** Chunked, so that nothing says beforehand how long it is; resolves with the head of the answer. */
function sendChunked(runtime: AgentRuntime, body: string): Promise<string> {
  const { port } = new URL(runtime.url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1')
    let answer = ''
    socket.on('error', reject)
    socket.on('data', (piece) => {
      answer += piece.toString('latin1')
      if (!answer.includes('\r\n\r\n')) return
      resolve(answer)
      socket.destroy()
    })
    const head = [
      'POST / HTTP/1.1',
      'Host: agent',
      `Authorization: Bearer ${runtime.inboundSecret}`,
      'Content-Type: application/json',
      'Transfer-Encoding: chunked',
    ]
    socket.write(`${head.join('\r\n')}\r\n\r\n`)
    socket.write(`${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n0\r\n\r\n`)
  })
}
