/** Messages that had to wait: what their senders are told once the agent has them (contract/a2a 2.8). */
import { beforeEach, describe, expect, it } from 'vitest'
import { message, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { eventually } from '../../support/eventually.ts'
import { LegacyAgent } from '../../support/legacy-agent.ts'
import { platform } from '../../support/shared-platform.ts'
import { startWorkspaceServer } from '../../support/workspace-server.ts'

provideBoxedWorkspace({ ATRIUM_ALLOW_LOOPBACK_AGENTS: '1' })

let agent: LegacyAgent
beforeEach(() => {
  agent = new LegacyAgent()
  box.answer = (_, response) =>
    response
      .writeHead(503, { 'content-type': 'application/json', 'retry-after': '60' })
      .end('{"code":"agent_busy","error":"busy"}')
})

/** The agent has room again, and what waits is looked at. */
async function becomesFree(): Promise<void> {
  await agent.play()
  await platform.client.sql`
    UPDATE a2a_deliveries SET next_attempt_at = now() WHERE workspace_id = ${workspace.id}`
  await platform.client.sql`SELECT pg_notify('atrium_delivery', ${workspace.id})`
}

const ask = async (method: string, params: object) =>
  (await (await send(JSON.stringify({ jsonrpc: '2.0', id: 8, method, params }))).json()) as {
    result?: { id: string; status: { state: string } }
  }

const queueIdOf = async (messageId: string): Promise<string> => {
  const [row] = await platform.client.sql`
    SELECT id FROM a2a_deliveries
     WHERE workspace_id = ${workspace.id} AND message_id = ${messageId}`
  return String(row?.['id'])
}

const streamed = (fields: object) =>
  send(request({ method: 'message/stream', params: { message: { ...message, ...fields } } }), {
    accept: 'text/event-stream',
  })

describe('a message with events that has waited', () => {
  it('is followed under its own name, and its task is what its agent says', async () => {
    const answer = await streamed({ messageId: 's1' })
    const id = await queueIdOf('s1')
    await becomesFree()
    const upstream = await eventually(() => agent.streams[0])
    const task = agent.newTask('working')
    upstream.write(agent.status(task, 'working'))
    await eventually(
      async () => (await ask('tasks/get', { id })).result?.status.state === 'working',
    )
    upstream.end(agent.status(task, 'completed', true))
    const text = await answer.text()
    expect(text).toContain(`id: ${id}:2\n`)
    expect(text).not.toContain(task.id)
    expect(await ask('tasks/get', { id })).toMatchObject({
      result: { id, status: { state: 'completed' } },
    })
  })

  it('of a task that goes on is told the events of that task, and only what is new', async () => {
    await agent.play()
    const task = agent.newTask('working')
    const before = await streamed({ messageId: 's2' })
    const first = await eventually(() => agent.streams[0])
    first.end(agent.status(task, 'working') + agent.status(task, 'input-required', true))
    await before.text()
    await eventually(async () => {
      const [row] = await platform.client.sql`
        SELECT ended_at FROM a2a_streams WHERE task_id = ${task.id}`
      return row?.['ended_at']
    })
    box.answer = (_, response) =>
      response
        .writeHead(503, { 'content-type': 'application/json', 'retry-after': '60' })
        .end('{"code":"agent_busy","error":"busy"}')
    const answer = await streamed({ messageId: 's3', taskId: task.id })
    const id = await queueIdOf('s3')
    await platform.client.sql.begin(async (tx) => {
      // The message is settled, and its events cannot be followed yet.
      await tx`SELECT 1 FROM a2a_streams WHERE task_id = ${task.id} FOR UPDATE`
      await becomesFree()
      const second = await eventually(() => agent.streams[1])
      second.end(agent.status(task, 'working') + agent.status(task, 'completed', true))
      await eventually(async () => {
        const [row] = await platform.client.sql`
          SELECT finished_at FROM a2a_deliveries WHERE id = ${id}`
        return row?.['finished_at']
      })
      for (let look = 0; look < 5; look += 1) await ask('tasks/get', { id })
    })
    const events = (await answer.text()).split('\n\n').filter((each) => each.includes('data: '))
    expect(events.map((each) => each.split('\n')[0]?.replace(/^data: .*/, ''))).toEqual([
      ...['', `id: ${task.id}:3`, `id: ${task.id}:4`],
    ])
  })
})

describe('a message without events that has waited, with a webhook', () => {
  it('has it called for what becomes of its task', async () => {
    const hook = await startWorkspaceServer()
    try {
      await agent.play()
      const busy = JSON.stringify({ code: 'agent_busy', error: 'busy' })
      box.answer = (_, response) =>
        response.writeHead(503, { 'content-type': 'application/json' }).end(busy)
      const answer = await ask('SendMessage', {
        message: { messageId: 'p1', role: 'ROLE_USER', parts: [{ text: 'hi' }] },
        configuration: { taskPushNotificationConfig: { url: `${hook.url}/h`, token: 'tok' } },
      })
      const id = await queueIdOf('p1')
      expect(JSON.stringify(answer)).toContain(id)
      const task = agent.newTask('working')
      agent.next = () => task
      await becomesFree()
      const upstream = await eventually(() => agent.streams[0])
      upstream.end(agent.status(task, 'completed', true))
      await eventually(() => hook.requests.at(-1)?.body.includes('TASK_STATE_COMPLETED'))
      expect(agent.asked[0]).toMatchObject({ method: 'message/send' })
      expect(JSON.stringify(agent.asked[0])).not.toContain(hook.url)
      const told = hook.requests.map(({ body }) => body.toString())
      expect(told.filter((each) => each.includes('TASK_STATE_COMPLETED'))).toHaveLength(1)
      for (const each of told) {
        expect(each).toContain(id)
        expect(each).not.toContain(task.id)
      }
      expect(hook.requests[0]?.headers['x-a2a-notification-token']).toBe('tok')
    } finally {
      await hook.close()
    }
  })
})
