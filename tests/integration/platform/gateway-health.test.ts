/** What a message meets: an agent that is dead, one that lives, one that is busy (contract/platform 4.5). */
import { beforeEach, describe, expect, it } from 'vitest'
import { answerWith, message, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { eventually } from '../../support/eventually.ts'
import { platform } from '../../support/shared-platform.ts'

// No sweep looks before the test is over.
provideBoxedWorkspace({ ATRIUM_AGENT_TIMEOUT_MS: '3000', ATRIUM_SWEEP_INTERVAL_MS: '600000' })

const DEAD_CLASS = [502, 503, 504, 521, 522, 523, 524]
const OTHERS = [400, 403, 404, 408, 409, 429, 500, 501, 505, 520, 525]
const messageOf = (messageId: string) => request({ params: { message: { ...message, messageId } } })
const rows = () => platform.client.sql`
  SELECT status, summary, error_detail FROM activity_logs WHERE workspace_id = ${workspace.id}`

describe('a status of the dead class', () => {
  it.each(DEAD_CLASS)(
    '%i of a dead workspace is a 503, and its restart has begun',
    async (status) => {
      answerWith(status, 'text/html', '<h1>no upstream</h1>')
      platform.provisioner.running.delete(workspace.id)
      const answer = await send(request())
      expect(answer.status).toBe(503)
      expect(answer.headers.get('retry-after')).toBe('15')
      expect(await answer.json()).toMatchObject({
        id: 7,
        error: { code: -32603, data: { code: 'agent_restarting', restarting: true } },
        restarting: true,
      })
      await eventually(() =>
        platform.provisioner.starts.some(
          (s) => s.workspaceId === workspace.id && s.generation === 2,
        ),
      )
      await platform.deps.tracker.drain()
      expect(await rows()).toMatchObject([
        {
          status: 'error',
          summary: expect.stringContaining('failed'),
          error_detail: expect.any(String),
        },
      ])
    },
  )

  it.each(DEAD_CLASS)(
    '%i of a living one goes through, with a body that can be read',
    async (status) => {
      answerWith(status, 'text/html', '<h1>no upstream</h1>')
      const answer = await send(request())
      const body = await answer.text()
      expect([answer.status, JSON.parse(body)]).toMatchObject([
        status,
        { id: 7, error: { code: -32603 } },
      ])
      expect(body).not.toContain('no upstream')
    },
  )
})

it.each(OTHERS)("%i is nobody's death", async (status) => {
  answerWith(status, 'text/html', '<h1>no</h1>')
  platform.provisioner.running.delete(workspace.id)
  const answer = await send(request())
  expect([answer.status, await answer.json()]).toMatchObject([status, { id: 7, error: {} }])
  const row = await (await platform.request(`/workspaces/${workspace.id}`)).json()
  expect(row).toMatchObject({ status: 'online' })
})

it('asks once for all that fail together', async () => {
  answerWith(502, 'text/html', '')
  platform.provisioner.running.delete(workspace.id)
  const answers = await Promise.all(['a', 'b', 'c', 'd'].map((id) => send(messageOf(id))))
  expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503])
  const [deaths] = await platform.client.sql`
    SELECT cardinality(deaths) AS count FROM workspaces WHERE id = ${workspace.id}`
  expect(Number(deaths?.['count'])).toBe(1)
})

describe('a message to an agent that is busy', () => {
  const ask = async (method: string, params: object) =>
    (await (await send(JSON.stringify({ jsonrpc: '2.0', id: 8, method, params }))).json()) as {
      result?: { id: string; status: { state: string } }
      error?: { code: number }
    }
  let queueId: string

  beforeEach(async () => {
    box.answer = (_, response) =>
      response
        .writeHead(503, { 'content-type': 'application/json', 'retry-after': '60' })
        .end('{"code":"agent_busy","error":"busy"}')
    const answer = await send(request())
    expect(answer.status).toBe(202)
    queueId = ((await answer.json()) as { queue_id: string }).queue_id
  })

  it('waits under the id of its delivery, and can be taken back', async () => {
    const waiting = await ask('tasks/get', { id: queueId })
    expect(waiting.result).toMatchObject({ id: queueId, status: { state: 'submitted' } })
    const canceled = await ask('tasks/cancel', { id: queueId })
    expect(canceled.result).toMatchObject({ id: queueId, status: { state: 'canceled' } })
    expect((await ask('tasks/get', { id: queueId })).result?.status.state).toBe('canceled')
    expect((await ask('tasks/cancel', { id: queueId })).error?.code).toBe(-32002)
  })

  it("is the agent's task afterwards, under the name that its sender knows", async () => {
    box.answer = (asked, response) => {
      const { id, method, params } = JSON.parse(asked.body.toString())
      const known = method === 'message/send' || params.id === 'agent-7'
      const task = { kind: 'task', id: 'agent-7', contextId: 'c', status: { state: 'completed' } }
      const reply = known ? { result: task } : { error: { code: -32001, message: 'no' } }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, ...reply }))
    }
    await platform.client
      .sql`UPDATE a2a_deliveries SET next_attempt_at = now() WHERE id = ${queueId}`
    await platform.client.sql`SELECT pg_notify('atrium_delivery', ${workspace.id})`
    const task = await eventually(async () => {
      const { result } = await ask('tasks/get', { id: queueId })
      return result?.status.state === 'completed' && result
    })
    expect(task.id).toBe(queueId)
    const again = await send(request())
    expect(await again.json()).toMatchObject({ id: 7, result: { id: queueId } })
  })

  it('goes on waiting when its turn comes and its workspace is dead', async () => {
    // As a machine that is gone looks: nobody takes the connection.
    await platform.client.sql`
      UPDATE workspaces SET endpoint_url = 'http://127.0.0.1:9' WHERE id = ${workspace.id}`
    platform.provisioner.running.delete(workspace.id)
    await platform.client
      .sql`UPDATE a2a_deliveries SET next_attempt_at = now() WHERE id = ${queueId}`
    await platform.client.sql`SELECT pg_notify('atrium_delivery', ${workspace.id})`
    await eventually(() =>
      platform.provisioner.starts.some((s) => s.workspaceId === workspace.id && s.generation === 2),
    )
    const row = await eventually(async () => {
      const [found] = await platform.client.sql`
        SELECT state, attempts FROM a2a_deliveries
         WHERE id = ${queueId} AND last_error LIKE '%restart%'`
      return found
    })
    expect(row).toMatchObject({ state: 'queued', attempts: 0 })
  })

  it('tells who asked for events that it waits, and then how it ended', async () => {
    const body = request({
      method: 'message/stream',
      params: { message: { ...message, messageId: 's' } },
    })
    const answer = await send(body, { accept: 'text/event-stream' })
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    const [row] = await platform.client.sql`
      SELECT id FROM a2a_deliveries WHERE workspace_id = ${workspace.id} AND message_id = 's'`
    await ask('tasks/cancel', { id: row?.['id'] })
    const events = (await answer.text()).split('\n\n').filter((each) => each.startsWith('data: '))
    expect(events.map((each) => JSON.parse(each.slice(6)))).toMatchObject([
      { id: 7, result: { kind: 'task', status: { state: 'submitted' } }, queued: true },
      { id: 7, result: { kind: 'task', status: { state: 'canceled' } } },
    ])
  })
})

it('W21: waits as long as its sender says, and answers when it is sent again', async () => {
  const gate = Promise.withResolvers<void>()
  box.answer = async (_, response) => {
    await gate.promise
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end('{"jsonrpc":"2.0","id":7,"result":{"kind":"message"}}')
  }
  for (const id of [7, 6]) {
    const impatient = await send(request({ id }), { 'x-timeout': '1' })
    expect([impatient.status, await impatient.json()]).toMatchObject([
      504,
      { id, error: { data: { code: 'workspace_timeout', queue_id: expect.any(String) } } },
    ])
  }
  const again = send(request({ id: 8 }))
  gate.resolve()
  expect(await (await again).json()).toEqual({ jsonrpc: '2.0', id: 8, result: { kind: 'message' } })
  expect(box.requests).toHaveLength(1)
})
