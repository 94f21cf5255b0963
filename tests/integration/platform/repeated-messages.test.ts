/** A message that is sent again, as it was or in the other way of asking (docs/guides/delivery-guarantees). */
import { beforeEach, describe, expect, it } from 'vitest'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { callWorkspace } from '../../../apps/platform/src/services/gateway/call-workspace.ts'
import { answerWith, message, RESULT, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { eventually } from '../../support/eventually.ts'
import { platform } from '../../support/shared-platform.ts'

provideBoxedWorkspace({ ATRIUM_AGENT_TIMEOUT_MS: '3000' })

const EVENTS = { accept: 'text/event-stream' }
const task = (state: string) => ({ kind: 'task', id: 't1', contextId: 'c', status: { state } })
const stream = (id: number) => request({ id, method: 'message/stream' })
const asked = () => box.requests.map(({ body }) => JSON.parse(body.toString()).method)
const isSettled = () =>
  eventually(async () => {
    const [row] = await platform.client.sql`
      SELECT state FROM a2a_deliveries WHERE workspace_id = ${workspace.id}`
    return row?.['state'] === 'completed'
  })

/** What it costs to leave is seen from inside. */
const callDirectly = (body: string, signal: AbortSignal) => {
  const workspaceId = workspaceIdSchema.parse(workspace.id)
  return callWorkspace(platform.deps, {
    ...{ workspaceId, caller: { kind: 'workspace', workspaceId, tokenId: '' } },
    ...{ body: Buffer.from(body), headers: () => undefined, requestId: 'r', signal },
  })
}

describe('a stream', () => {
  beforeEach(async () => {
    box.answer = (request, response) => {
      const { id, method } = JSON.parse(request.body.toString())
      const said = (result: object) => JSON.stringify({ jsonrpc: '2.0', id, result })
      if (method === 'tasks/get') {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.end(said(task('completed')))
        return
      }
      const ended = {
        kind: 'status-update',
        ...{ taskId: 't1', contextId: 'c', status: { state: 'completed' }, final: true },
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.end(`data: ${said(task('working'))}\n\ndata: ${said(ended)}\n\n`)
    }
    await (await send(stream(7), EVENTS)).text()
    await isSettled()
  })

  it('is told again from its beginning', async () => {
    const told = await (await send(stream(8), EVENTS)).text()
    expect(told.match(/^id: .*$/gm)).toEqual(['id: t1:1', 'id: t1:2'])
    const data = told.match(/^data: .*$/gm)?.map((line) => JSON.parse(line.slice(6)))
    expect(data).toMatchObject([
      { id: 8, result: { status: { state: 'working' } } },
      { id: 8, result: { status: { state: 'completed' } } },
    ])
    expect(asked()).toEqual(['message/stream'])
  })

  it('is the task as it stands for who asks without a stream', async () => {
    const answer = await send(request({ id: 8 }))
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { jsonrpc: '2.0', id: 8, result: task('completed') },
    ])
    expect(asked()).toEqual(['message/stream', 'tasks/get'])
  })

  it('is gone when neither its events are kept nor its agent can be asked', async () => {
    for (const table of ['a2a_task_events', 'a2a_streams']) {
      await platform.client.sql`
        DELETE FROM ${platform.client.sql(table)} WHERE workspace_id = ${workspace.id}`
    }
    box.answer = (_, response) => response.writeHead(500).end()
    for (const body of [stream(8), request({ id: 8 })]) {
      const answer = await send(body, EVENTS)
      expect([answer.status, await answer.json()]).toMatchObject([
        409,
        { id: 8, error: { data: { code: 'delivery_answer_gone', queue_id: expect.any(String) } } },
      ])
    }
  })

  it('is nothing to who has left meanwhile', async () => {
    const answer = await callDirectly(stream(8), AbortSignal.abort())
    expect(answer).toMatchObject({ kind: 'stream', body: { destroyed: true } })
  })
})

describe('a plain message', () => {
  const TASK = (state: string) => JSON.stringify({ jsonrpc: '2.0', id: 7, result: task(state) })

  it('is waited for while it is on its way, as long as somebody is there', async () => {
    const gate = Promise.withResolvers<void>()
    box.answer = async (_, response) => {
      await gate.promise
      response.writeHead(200, { 'content-type': 'application/json' }).end(TASK('completed'))
    }
    const first = send(request())
    await eventually(() => box.requests.length === 1)
    const left = new AbortController()
    const joined = callDirectly(request({ id: 8 }), left.signal)
    left.abort(new Error('client disconnected'))
    await expect(joined).rejects.toMatchObject({ id: 8, cause: { code: 'workspace_timeout' } })
    const stays = callDirectly(request({ id: 9 }), new AbortController().signal)
    gate.resolve()
    expect((await first).status).toBe(200)
    const { status, ...told } = await stays
    expect([status, JSON.parse('body' in told ? String(told.body) : '')]).toEqual([
      200,
      { jsonrpc: '2.0', id: 9, result: task('completed') },
    ])
    expect(box.requests).toHaveLength(1)
  })

  it('is one event for who asks for a stream', async () => {
    answerWith(200, 'application/json', TASK('completed'))
    await send(request())
    await isSettled()
    const again = await send(stream(8), EVENTS)
    expect(again.headers.get('content-type')).toBe('text/event-stream')
    const [data] = (await again.text()).match(/^data: .*$/gm) ?? []
    expect(JSON.parse(data?.slice(6) ?? '')).toEqual({
      ...{ jsonrpc: '2.0', id: 8, result: task('completed') },
    })
    expect(box.requests).toHaveLength(1)
  })

  it('is no stream that ends in the middle', async () => {
    answerWith(200, 'application/json', TASK('working'))
    await send(request())
    await isSettled()
    const again = await send(stream(8), EVENTS)
    expect(again.headers.get('content-type')).toBe('application/json')
    expect(await again.json()).toMatchObject({ id: 8, result: { status: { state: 'working' } } })
  })

  it('is another one in another version, in which its answer could not be read', async () => {
    answerWith(200, 'application/json', RESULT)
    const params = { message: { ...message, parts: [{ text: 'hi' }] } }
    expect((await send(request({ params }))).status).toBe(200)
    expect((await send(request({ method: 'SendMessage', params }))).status).toBe(409)
  })
})
