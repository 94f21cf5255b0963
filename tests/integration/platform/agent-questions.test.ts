/** What is asked about tasks and cards: of the agent, of the ledger in its place, or of nobody. */
import { expect, it } from 'vitest'
import { answerWith, message, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { eventually } from '../../support/eventually.ts'
import { externalWorkspace } from '../../support/external-workspace.ts'
import { platform } from '../../support/shared-platform.ts'

provideBoxedWorkspace({ ATRIUM_AGENT_TIMEOUT_MS: '300', ATRIUM_SWEEP_INTERVAL_MS: '600000' })

type Answer = {
  readonly result?: Record<string, unknown>
  readonly error?: { readonly code: number }
  readonly queue_id?: string
}
const ask = async (method: string, params: object, to = workspace): Promise<Answer> => {
  const body = { jsonrpc: '2.0', id: 1, method, params }
  return (await (await platform.json(`/a2a/${to.id}`, body, to.authToken)).json()) as Answer
}

it('an agent that fetches its messages is asked nothing', async () => {
  const poller = await externalWorkspace()
  const to = { ...workspace, ...poller }
  const codes = {
    'vendor.thing/verb': [{}, -32601],
    'tasks/get': [{ id: 't' }, -32001],
    'tasks/cancel': [{ id: crypto.randomUUID() }, -32001],
    'agent/getAuthenticatedExtendedCard': [{}, -32007],
    'tasks/list': [{}, -32004],
  } as const
  for (const [method, [params, code]] of Object.entries(codes)) {
    expect([method, (await ask(method, params, to)).error?.code]).toEqual([method, code])
  }
})

it('the extended card of an agent tells no address of its own, in the words of who asks', async () => {
  const card = { name: 'agent', url: box.url, version: '1', capabilities: {}, skills: [] }
  const all = { ...card, additionalInterfaces: [{ url: box.url, transport: 'JSONRPC' }] }
  answerWith(200, 'application/json', JSON.stringify({ jsonrpc: '2.0', id: 1, result: all }))
  const old = (await ask('agent/getAuthenticatedExtendedCard', {})).result
  expect(old).toMatchObject({ name: 'agent', url: expect.stringContaining(`/a2a/${workspace.id}`) })
  const current = (await ask('GetExtendedAgentCard', {})).result
  expect(current).toMatchObject({
    supportedInterfaces: expect.arrayContaining([
      expect.objectContaining({ url: expect.stringContaining(`/a2a/${workspace.id}`) }),
    ]),
  })
  expect(current).not.toHaveProperty('url')
  expect(JSON.stringify([old, current])).not.toContain(box.url)
  const none = { code: -32007, message: 'none' }
  answerWith(200, 'application/json', JSON.stringify({ jsonrpc: '2.0', id: 1, error: none }))
  expect(await ask('GetExtendedAgentCard', {})).toMatchObject({ error: none })
})

/** One that had to wait, and was done then: its sender knows it by the id of its delivery. */
async function waited(): Promise<string> {
  box.answer = (_, response) =>
    response
      .writeHead(503, { 'content-type': 'application/json', 'retry-after': '300' })
      .end('{"code":"agent_busy"}')
  const { queue_id: id = '' } = (await (await send(request())).json()) as Answer
  return id
}

async function done(id: string, task: object): Promise<void> {
  answerWith(200, 'application/json', JSON.stringify({ jsonrpc: '2.0', id: 7, result: task }))
  await platform.client.sql`UPDATE a2a_deliveries SET next_attempt_at = now() WHERE id = ${id}`
  await platform.client.sql`SELECT pg_notify('atrium_delivery', ${workspace.id})`
  await eventually(async () => {
    const [row] = await platform.client.sql`SELECT state FROM a2a_deliveries WHERE id = ${id}`
    return row?.['state'] === 'completed'
  })
}

it('a task whose agent says nothing of it is told as it was answered', async () => {
  const id = await waited()
  await done(id, { kind: 'task', id: 'agent-7', contextId: 'c', status: { state: 'working' } })
  const kept = { id, status: { state: 'working' } }
  answerWith(
    200,
    'application/json',
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":""}}',
  )
  expect((await ask('tasks/get', { id })).result).toMatchObject(kept)
  answerWith(500, 'text/html', '')
  expect((await ask('tasks/get', { id })).result).toMatchObject(kept)
  const now = { kind: 'task', id: 'agent-7', contextId: 'c', status: { state: 'completed' } }
  answerWith(200, 'application/json', JSON.stringify({ jsonrpc: '2.0', id: 1, result: now }))
  expect((await ask('tasks/get', { id })).result).toEqual({ ...now, id })
  await ask('tasks/cancel', { id })
  expect(JSON.parse(String(box.requests.at(-1)?.body))).toMatchObject({
    ...{ method: 'tasks/cancel', params: { id: 'agent-7' } },
  })
})

it('a task is no business of another sender, nor of another workspace', async () => {
  const id = await waited()
  const asked = box.requests.length
  await platform.client.sql`UPDATE a2a_deliveries SET sender = 'internal:x' WHERE id = ${id}`
  answerWith(
    200,
    'application/json',
    '{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":""}}',
  )
  expect((await ask('tasks/get', { id })).error?.code).toBe(-32001)
  // As for any other id, the agent was asked.
  expect(box.requests).toHaveLength(asked + 1)
  const other = { ...workspace, ...(await externalWorkspace()) }
  await platform.client.sql`
    UPDATE a2a_deliveries SET sender = ${`workspace:${other.id}`} WHERE id = ${id}`
  expect((await ask('tasks/get', { id }, other)).error?.code).toBe(-32001)
  const body = { jsonrpc: '2.0', id: 1, method: 'tasks/get', params: { id } }
  const seen = (await (await platform.json(`/a2a/${workspace.id}`, body)).json()) as Answer
  expect(seen.result).toMatchObject({ id, status: { state: 'submitted' } })
})

it('a task that the agent has begun and not named cannot be cancelled', async () => {
  box.answer = () => undefined
  const sent = send(request({ params: { message } }))
  await eventually(() => box.requests.length === 1)
  const [row] = await platform.client.sql`
    SELECT id FROM a2a_deliveries WHERE workspace_id = ${workspace.id}`
  expect((await ask('tasks/cancel', { id: row?.['id'] })).error?.code).toBe(-32002)
  expect(box.requests).toHaveLength(1)
  expect((await sent).status).toBe(504)
})
