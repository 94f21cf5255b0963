import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { activity, answerWith, message, RESULT, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { openEventStream } from '../../support/event-stream-client.ts'
import { eventually } from '../../support/eventually.ts'
import { begin, readAnswer } from '../../support/raw-client.ts'
import { platform } from '../../support/shared-platform.ts'

const NO_TASK = '{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"Task not found"}}'

provideBoxedWorkspace({
  ATRIUM_AGENT_TIMEOUT_MS: '3000',
  ATRIUM_IDLE_TIMEOUT_MS: '1000',
})

describe('POST /workspaces/:id/a2a', () => {
  it("forwards the original bytes with the inbound secret and brings the agent's answer back", async () => {
    answerWith(200, 'application/json', RESULT)
    const original = request({ vendor: { big: 1 } }).replace(
      '"big":1',
      '"big":12345678901234567890',
    )
    const answer = await send(original, { 'a2a-version': '0.3', cookie: 'a=b' })
    expect(answer.status).toBe(200)
    expect(await answer.text()).toBe(RESULT)
    const [seen] = box.requests
    expect(seen?.url).toBe('/')
    expect(seen?.body.toString()).toBe(original)
    expect(seen?.headers).toMatchObject({
      authorization: `Bearer ${workspace.inboundSecret}`,
      'a2a-version': '0.3',
    })
    expect(seen?.headers['cookie']).toBeUndefined()
  })

  it('completes the envelope of a bare sender and the id of its message', async () => {
    answerWith(200, 'application/json', RESULT)
    await send('{"method":"message/send","params":{"message":{"role":"user","content":"hi"}}}')
    const seen = JSON.parse(box.requests[0]?.body.toString() ?? '')
    expect(seen).toMatchObject({
      jsonrpc: '2.0',
      method: 'message/send',
      params: { message: { parts: [{ kind: 'text', text: 'hi' }] } },
    })
    expect(seen.params.message.messageId).toMatch(/^[0-9a-f-]{36}$/)
    expect(seen.params.message).not.toHaveProperty('content')
  })

  it.each([
    ['', -32700],
    ['{"jsonrpc"', -32700],
    ['[]', -32600],
    ['{"jsonrpc":"1.0","id":7,"method":"message/send"}', -32600],
    [
      '{"jsonrpc":"2.0","id":7,"method":"message/send","params":{"message":{"role":"user"}}}',
      -32602,
    ],
    ['{"jsonrpc":"2.0","id":7,"method":"message/send","params":{"message":{"content":5}}}', -32602],
  ])('refuses %j with %i and never bothers the agent', async (body, code) => {
    const answer = await send(body)
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({
      jsonrpc: '2.0',
      error: {
        code,
        data: { hop: 'platform', retryable: false, request_id: answer.headers.get('x-request-id') },
      },
    })
    expect(box.requests).toHaveLength(0)
  })

  it('refuses a request over 1 MiB instead of cutting it', async () => {
    const answer = await send(request({ padding: 'x'.repeat(1024 * 1024) }))
    expect(answer.status).toBe(413)
    expect(await answer.json()).toMatchObject({ error: { data: { code: 'payload_too_large' } } })
  })

  it('says so to a client that looks up only when it has sent everything', async () => {
    const sent = begin(new URL(`/workspaces/${workspace.id}/a2a`, platform.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${workspace.authToken}` },
    })
    const response = once(sent, 'response')
    const piece = Buffer.alloc(1024 * 1024)
    for (let index = 0; index < 24; index += 1) {
      // Rejects when the connection is cut under the client.
      await new Promise<void>((resolve, reject) => {
        sent.write(piece, (error) => (error ? reject(error) : resolve()))
      })
      await delay(50)
    }
    sent.end()
    const answer = await readAnswer((await response)[0])
    expect(answer.status).toBe(413)
  })

  it('streams events as they come, byte for byte', async () => {
    const frames = ['data: {"a": 1.0}\n\n', ': ping\n\n', 'data: {"b":2}\n\n']
    const gate = Promise.withResolvers<void>()
    box.answer = async (_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(frames[0])
      await gate.promise
      response.end(`${frames[1]}${frames[2]}`)
    }
    const answer = await send(request({ method: 'message/stream' }))
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    expect(answer.headers.get('x-accel-buffering')).toBe('no')
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader()
    const first = await reader.read()
    expect(Buffer.from(first.value ?? []).toString()).toBe(frames[0])
    gate.resolve()
    answerWith(200, 'application/json', NO_TASK)
    let rest = ''
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      rest += Buffer.from(piece.value).toString()
    }
    expect(rest).toContain(frames[2])
    // A stream that ends without an end is no success.
    expect(rest).toContain('"code":"stream_interrupted"')
  })

  it('ends the stream with an error when the agent dies in the middle', async () => {
    const status = { state: 'working' }
    const event = {
      jsonrpc: '2.0',
      id: 7,
      result: { kind: 'task', id: 't', contextId: 'c', status },
    }
    box.answer = (_, response) => {
      answerWith(200, 'application/json', NO_TASK)
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write(`data: ${JSON.stringify(event)}\n\n`, () => response.destroy())
    }
    const answer = await send(request({ method: 'message/stream' }))
    const text = await answer.text()
    expect(text).toContain(`id: t:1\ndata: ${JSON.stringify(event)}\n\n`)
    expect(text).toMatch(/data: \{"jsonrpc":"2.0","id":7,"error":.*"code":"stream_interrupted"/)
  })

  const failures = [
    [401, 'application/json', '{"error":"unauthorized"}', 502, 'workspace_auth_mismatch'],
    [302, 'text/html', '', 502, 'workspace_redirected'],
    [200, 'text/html', '<h1>hi</h1>', 502, 'workspace_invalid_response'],
    [200, 'application/json', '"text"', 502, 'workspace_invalid_response'],
    [500, 'text/html', '<h1>stack trace</h1>', 500, 'agent_error'],
  ] as const
  it.each(failures)(
    'turns %i %s into a JSON-RPC error',
    async (status, type, body, expected, code) => {
      answerWith(status, type, body)
      const answer = await send(request())
      expect(answer.status).toBe(expected)
      const text = await answer.text()
      expect(JSON.parse(text)).toMatchObject({ jsonrpc: '2.0', id: 7, error: { data: { code } } })
      expect(text).not.toContain('stack trace')
    },
  )

  it("passes the agent's own JSON-RPC error through", async () => {
    const body = '{"jsonrpc":"2.0","id":7,"error":{"code":-32001,"message":"Task not found"}}'
    answerWith(404, 'application/json', body)
    const answer = await send(request())
    expect([answer.status, await answer.text()]).toEqual([404, body])
  })

  it('queues what nobody took, and says 504 when the agent is silent', async () => {
    box.answer = () => undefined
    const silent = await send(request())
    expect(silent.status).toBe(504)
    await box.close()
    const another = { message: { ...message, messageId: 'm2' } }
    const dead = await send(request({ params: another }))
    expect(dead.status).toBe(202)
    const queued = (await dead.json()) as { queue_id: string }
    expect(queued).toMatchObject({
      id: 7,
      result: { kind: 'task', id: queued.queue_id, status: { state: 'submitted' } },
      ...{ queued: true, queue_depth: 1 },
    })
  })

  it('leaves in the log why an agent could not be reached', async () => {
    await box.close()
    const requestId = 'why-was-it-not-reached'
    await send(request(), { 'x-request-id': requestId })
    const lines = platform.logLines().filter((line) => line.includes(requestId))
    const failure = lines
      .map((line) => JSON.parse(line))
      .find((each) => each.msg === 'delivery.not_taken')
    expect(failure).toMatchObject({ level: 30, code: 'agent_unreachable' })
    expect(failure.err.message).toContain('ECONNREFUSED')
  })

  it('logs of an answer that is no HTTP what is wrong with it, and none of its bytes', async () => {
    const noise = 'noise of an agent '.repeat(10_000)
    box.server.removeAllListeners('request')
    box.server.on('connection', (socket) => socket.on('error', () => undefined).end(noise))
    const before = platform.logLines().length
    const answer = await send(request())
    expect(await answer.json()).toMatchObject({
      error: { data: { code: 'workspace_invalid_response' } },
    })
    await platform.request(`/workspaces/${workspace.id}/chat/download?path=/workspace/a.txt`)
    const lines = platform.logLines().slice(before)
    expect(lines.filter((line) => line.includes('"http.failure"'))).toHaveLength(2)
    expect(lines.filter((line) => line.length > 4_000 || line.includes('noise'))).toEqual([])
  })

  it('does not keep more than 10 MiB of an answer', async () => {
    box.answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const more = (): void => {
        if (!response.destroyed) response.write('x'.repeat(1024 * 1024), more)
      }
      more()
    }
    const answer = await send(request())
    expect(answer.status).toBe(502)
  })

  it('tells the truth about a workspace without a URL', async () => {
    await platform.client.sql`UPDATE workspaces SET endpoint_url = NULL WHERE id = ${workspace.id}`
    const nowhere = await send(request())
    expect(nowhere.status).toBe(503)
    expect(await nowhere.json()).toMatchObject({
      error: { message: 'workspace has no URL', data: { status: 'online' } },
    })
  })

  it('never connects to an address that an agent may not have', async () => {
    await platform.client.sql`
      UPDATE workspaces SET generation = 0, agent_url = ${box.url} WHERE id = ${workspace.id}`
    const answer = await send(request())
    expect(answer.status).toBe(502)
    expect(await answer.json()).toMatchObject({
      error: { data: { code: 'agent_url_not_routable' } },
    })
    expect(box.requests).toHaveLength(0)
  })

  it.each([
    ['a lone surrogate', '"\\ud800"'],
    ['U+0000', '"a\\u0000b"'],
    ['a nesting beyond reason', `${'['.repeat(100_000)}${']'.repeat(100_000)}`],
  ])('notes an exchange whose answer PostgreSQL cannot store: %s', async (_, result) => {
    const answer = `{"jsonrpc":"2.0","id":7,"result":${result}}`
    answerWith(200, 'application/json', answer)
    expect(await (await send(request())).text()).toBe(answer)
    await platform.deps.tracker.drain()
    expect(await activity()).toMatchObject([
      {
        status: 'ok',
        request_body: { id: 7, params: { message } },
        response_body: { omitted: 'cannot be stored' },
      },
    ])
  })

  it('keeps an escaped backslash before what only looks like U+0000', async () => {
    const answer = '{"jsonrpc":"2.0","id":7,"result":"a\\\\u0000b"}'
    answerWith(200, 'application/json', answer)
    await send(request())
    await platform.deps.tracker.drain()
    expect(await activity()).toMatchObject([{ response_body: JSON.parse(answer) }])
  })

  it('keeps which tools the agent says it has used, and tells who follows', async () => {
    const follower = await openEventStream({
      url: `${platform.url}/workspaces/${workspace.id}/events/stream`,
      bearer: workspace.authToken,
    })
    await eventually(() => follower.frames.length >= 2)
    const trace = [{ tool: 'search', ms: 12 }]
    const result = (tool_trace: unknown) =>
      JSON.stringify({ jsonrpc: '2.0', id: 7, result: { metadata: { tool_trace } } })
    answerWith(200, 'application/json', result(trace))
    await send(request())
    answerWith(200, 'application/json', result('x'.repeat(5_000)))
    await send(request({ params: { message: { ...message, messageId: 'm2' } } }))
    await platform.deps.tracker.drain()
    const rows = await platform.request(`/workspaces/${workspace.id}/activity?from=start`)
    expect(await rows.json()).toMatchObject([
      { tool_trace: trace },
      { tool_trace: expect.stringMatching(/^x+$/) },
    ])
    const told = await eventually(() => {
      const logged = follower.frames.filter(({ data }) =>
        JSON.stringify(data ?? '').includes('ACTIVITY_LOGGED'),
      )
      return logged.length >= 2 && logged.map(({ data }) => data)
    })
    expect(told).toMatchObject([{ data: { tool_trace: trace } }, { data: { status: 'ok' } }])
    expect(JSON.stringify(told)).not.toContain('xxx')
    follower.close()
  })

  it('logs the exchange with a sequence per workspace', async () => {
    answerWith(200, 'application/json', RESULT)
    const each = ['m1', 'm2', 'm3', 'm4', 'm5']
    await Promise.all(
      each.map((messageId) => send(request({ params: { message: { ...message, messageId } } }))),
    )
    await platform.deps.tracker.drain()
    const rows = await activity()
    expect(rows.map((row) => Number(row['seq']))).toEqual([1, 2, 3, 4, 5])
    expect(rows[0]).toMatchObject({
      activity_type: 'a2a_receive',
      method: 'message/send',
      status: 'ok',
      source_id: null,
      response_body: JSON.parse(RESULT),
    })
  })
})
