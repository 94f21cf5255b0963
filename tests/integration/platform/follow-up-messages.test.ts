/** Messages to tasks that their sender knows by the id of a message which had to wait (contract/a2a 2.8). */
import type { ServerResponse } from 'node:http'
import { beforeEach, describe, expect, it } from 'vitest'
import { rescueStranded } from '../../../apps/platform/src/services/gateway/rescue-stranded.ts'
import { message, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { eventually } from '../../support/eventually.ts'
import { LegacyAgent, type LegacyTask } from '../../support/legacy-agent.ts'
import { platform } from '../../support/shared-platform.ts'

provideBoxedWorkspace({ ATRIUM_ALLOW_LOOPBACK_AGENTS: '1' })

let agent: LegacyAgent
beforeEach(() => {
  agent = new LegacyAgent()
  becomesBusy()
})

function becomesBusy(): void {
  const headers = { 'content-type': 'application/json', 'retry-after': '60' }
  box.answer = (_, response) =>
    response.writeHead(503, headers).end('{"code":"agent_busy","error":"busy"}')
}

/** What waits is due, and is looked at. */
async function look(): Promise<void> {
  await platform.client.sql`
    UPDATE a2a_deliveries SET next_attempt_at = now() WHERE workspace_id = ${workspace.id}`
  await platform.client.sql`SELECT pg_notify('atrium_delivery', ${workspace.id})`
}

type Reply = {
  result?: { id: string; status: { state: string; message?: object } }
  error?: { code: number; message: string; data?: object }
  queue_id?: string
}

const ask = async (method: string, params: object) =>
  (await (await send(JSON.stringify({ jsonrpc: '2.0', id: 8, method, params }))).json()) as Reply

const say = (fields: object) => ask('message/send', { message: { ...message, ...fields } })

/** The id by which the sender knows what it has just sent. */
const queued = async (fields: object): Promise<string> => {
  const { result, queue_id: queueId } = await say(fields)
  expect(result).toMatchObject({ id: queueId, status: { state: 'submitted' } })
  return String(queueId)
}

const streamed = (fields: object) =>
  send(request({ method: 'message/stream', params: { message: { ...message, ...fields } } }), {
    accept: 'text/event-stream',
  })

const stateOf = async (id: string) => (await ask('tasks/get', { id })).result?.status.state

const rowOf = async (messageId: string) => {
  const [row] = await platform.client.sql`
    SELECT id, state, reason, finished_at FROM a2a_deliveries
     WHERE workspace_id = ${workspace.id} AND message_id = ${messageId}`
  return row
}

/** Of which task the agent was told that a message is. */
const toldOf = (messageId: string) =>
  agent.asked
    .map(({ params }) => params['message'] as { messageId?: string; taskId?: string } | undefined)
    .find((each) => each?.messageId === messageId)?.taskId

/** The agent has room for three; of this message the answer comes when it is told to. */
async function hold(
  messageId: string,
  task: LegacyTask,
): Promise<{ answer: () => void; isAsked: () => boolean }> {
  await platform.client.sql`
    UPDATE workspaces SET max_concurrent_tasks = 3 WHERE id = ${workspace.id}`
  agent.next = () => task
  await agent.play()
  const answerAll = box.answer
  let held: { id: unknown; response: ServerResponse } | undefined
  box.answer = (incoming, response) => {
    const text = incoming.body.toString()
    if (!text.includes(`"${messageId}"`)) return answerAll(incoming, response)
    held = { id: (JSON.parse(text) as { id: unknown }).id, response }
  }
  return {
    isAsked: () => held !== undefined,
    answer: () =>
      held?.response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ jsonrpc: '2.0', id: held.id, result: task })),
  }
}

describe('a message to a task that waits itself', () => {
  it('reaches the agent under its own name for the task, and is answered under the known one', async () => {
    const first = await queued({ messageId: 'f1' })
    const second = await queued({ messageId: 'f2', taskId: first })
    const task = agent.newTask('input-required')
    agent.next = () => task
    await agent.play()
    await look()
    await eventually(async () => (await rowOf('f2'))?.['state'] === 'completed')
    expect([toldOf('f1'), toldOf('f2')]).toEqual([undefined, task.id])
    // What is kept for who repeats it.
    expect((await say({ messageId: 'f2', taskId: first })).result?.id).toBe(first)
    for (const id of [first, second]) {
      expect((await ask('tasks/get', { id })).result).toMatchObject({
        ...{ id, status: { state: 'input-required' } },
      })
    }
    // The agent is gone, and what is kept is told under the name that was asked for.
    box.answer = (_, response) => response.destroy()
    expect((await ask('tasks/get', { id: second })).result).toMatchObject({ id: second })
  })

  it('is not sent before its agent has named the task, and holds up nothing else', async () => {
    const first = await queued({ messageId: 'h1' })
    await queued({ messageId: 'h2', taskId: first })
    await queued({ messageId: 'h3' })
    const task = agent.newTask('input-required')
    const held = await hold('h1', task)
    await look()
    await eventually(() => held.isAsked() && agent.asked.length > 0)
    expect(agent.asked.map(({ params }) => params['message'])).toMatchObject([{ messageId: 'h3' }])
    expect((await rowOf('h2'))?.['state']).toBe('leased')
    held.answer()
    await eventually(() => toldOf('h2') === task.id)
  })

  it('waits too when nothing else does and the task is with its agent', async () => {
    const first = await queued({ messageId: 'd1' })
    const task = agent.newTask('input-required')
    const held = await hold('d1', task)
    await look()
    await eventually(() => held.isAsked())
    await queued({ messageId: 'd2', taskId: first })
    held.answer()
    await eventually(() => toldOf('d2') === task.id)
    // From now on nothing has to be waited for.
    expect((await say({ messageId: 'd3', taskId: first })).result?.id).toBe(first)
    expect(toldOf('d3')).toBe(task.id)
  })

  it('is told in events under the name that its sender knows', async () => {
    const first = await queued({ messageId: 's1' })
    const answer = await streamed({ messageId: 's2', taskId: first })
    const second = String((await rowOf('s2'))?.['id'])
    const follower = await send(request({ method: 'tasks/resubscribe', params: { id: second } }), {
      accept: 'text/event-stream',
    })
    const task = agent.newTask('input-required')
    agent.next = () => task
    await agent.play()
    await look()
    const upstream = await eventually(() => agent.streams[0])
    upstream.end(agent.status(task, 'working') + agent.status(task, 'completed', true))
    for (const text of [await answer.text(), await follower.text()]) {
      expect(text).toContain(`id: ${first}:2\n`)
      expect(text).not.toContain(task.id)
    }
    expect(toldOf('s2')).toBe(task.id)
  })

  it('ends when that has failed, and its sender is told why', async () => {
    const first = await queued({ messageId: 'e1' })
    const second = await queued({ messageId: 'e2', taskId: first })
    await agent.play()
    const answerAll = box.answer
    box.answer = (incoming, response) =>
      incoming.body.toString().includes('"e1"')
        ? response.writeHead(418).end('no')
        : answerAll(incoming, response)
    await look()
    await eventually(async () => (await stateOf(second)) === 'failed')
    const { result } = await ask('tasks/get', { id: second })
    expect(JSON.stringify(result)).toMatch(/the task .* has failed: .*418/)
    expect(await rowOf('e2')).toMatchObject({ state: 'failed', reason: 'task_over' })
    const third = await say({ messageId: 'e3', taskId: first })
    expect(third.error).toMatchObject({ code: -32004, data: { taskId: first } })
    expect(third.error?.message).toMatch(/has failed: .*418/)
    expect([toldOf('e2'), toldOf('e3'), await rowOf('e3')]).toEqual([
      ...[undefined, undefined, undefined],
    ])
  })

  it('ends when its sender has canceled that', async () => {
    const first = await queued({ messageId: 'c1' })
    const second = await queued({ messageId: 'c2', taskId: first })
    expect((await ask('tasks/cancel', { id: first })).result?.status.state).toBe('canceled')
    await agent.play()
    await look()
    await eventually(async () => (await stateOf(second)) === 'failed')
    expect(agent.asked.filter(({ method }) => method === 'message/send')).toEqual([])
  })

  it('of somebody else is not found', async () => {
    const first = await queued({ messageId: 'o1' })
    const other = await platform.onlineWorkspace(box.url)
    const task = agent.newTask('input-required')
    agent.next = () => task
    const body = { message: { ...message, messageId: 'o2', taskId: first } }
    const theirs = await platform.json(
      `/a2a/${workspace.id}`,
      { jsonrpc: '2.0', id: 8, method: 'message/send', params: body },
      other.authToken,
    )
    expect(theirs.status).toBe(202)
    await agent.play()
    await look()
    await eventually(() => toldOf('o2') !== undefined)
    expect(toldOf('o2')).toBe(first)
  })
})

describe('a message that waits and belongs to a task that did', () => {
  let first: string
  let task: LegacyTask
  beforeEach(async () => {
    first = await queued({ messageId: 'n1' })
    task = agent.newTask('input-required')
    agent.next = () => task
    await agent.play()
    await look()
    await eventually(async () => (await stateOf(first)) === 'input-required')
    becomesBusy()
  })

  it('is answered under the name that its sender knows', async () => {
    await queued({ messageId: 'n2', taskId: first })
    await agent.play()
    await look()
    await eventually(async () => (await rowOf('n2'))?.['state'] === 'completed')
    expect(toldOf('n2')).toBe(task.id)
    expect((await say({ messageId: 'n2', taskId: first })).result?.id).toBe(first)
  })

  it('is told in events under that name, and again to who repeats it', async () => {
    const answer = await streamed({ messageId: 'n3', taskId: first })
    await agent.play()
    await look()
    const upstream = await eventually(() => agent.streams[0])
    upstream.end(agent.status(task, 'working') + agent.status(task, 'completed', true))
    const text = await answer.text()
    expect(text).toContain(`id: ${first}:2\n`)
    expect(text).not.toContain(task.id)
    const repeated = await streamed({ messageId: 'n3', taskId: first })
    expect(await repeated.text()).toContain(`id: ${first}:1\n`)
    const asked = await say({ messageId: 'n3', taskId: first })
    expect(asked.result).toMatchObject({ id: first, status: { state: 'completed' } })
    expect(toldOf('n3')).toBe(task.id)
  })

  it('names the task as its agent does when that fetches its messages by now', async () => {
    const id = await queued({ messageId: 'n4', taskId: first })
    await platform.client.sql`
      UPDATE workspaces SET delivery_mode = 'poll' WHERE id = ${workspace.id}`
    await rescueStranded(platform.deps)
    const [row] = await platform.client.sql`
      SELECT request_body #>> '{params,message,taskId}' AS task FROM activity_logs
       WHERE queue_id = ${id}`
    expect(row).toEqual({ task: task.id })
  })
})
