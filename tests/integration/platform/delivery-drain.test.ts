import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { message, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { eventually } from '../../support/eventually.ts'
import { platform } from '../../support/shared-platform.ts'

provideBoxedWorkspace({ ATRIUM_AGENT_TIMEOUT_MS: '5000' })

/** The failure body of our runtime when it has as much to do as it takes on. */
const BUSY = JSON.stringify({ error: 'busy', code: 'agent_busy' })
const say = (messageId: string) => request({ params: { message: { ...message, messageId } } })

type Manner = 'answers' | 'is busy' | 'breaks off' | 502 | 500 | 400

/** The agent refuses everything as too much until it is told otherwise. */
function agent(): { readonly seen: string[]; manner: Manner } {
  const state = { seen: [] as string[], manner: 'is busy' as Manner }
  box.answer = (seen, response) => {
    const { params } = JSON.parse(seen.body.toString()) as {
      params: { message: { messageId: string } }
    }
    const { manner } = state
    if (manner !== 'is busy') state.seen.push(params.message.messageId)
    if (manner === 'breaks off') {
      response.destroy()
      return
    }
    const { status, type, body } = answerOf(manner)
    response.writeHead(status, { 'content-type': type, 'retry-after': '300' }).end(body)
  }
  return state
}

function answerOf(manner: Manner) {
  const type = 'application/json'
  if (typeof manner === 'number') return { status: manner, type: 'text/html', body: '<html>' }
  return manner === 'is busy'
    ? { status: 503, type, body: BUSY }
    : { status: 200, type, body: ANSWER }
}

const ANSWER = JSON.stringify({
  ...{ jsonrpc: '2.0', id: 7 },
  result: { kind: 'message', role: 'agent', messageId: 'r', parts: [{ kind: 'text', text: 'a' }] },
})

/** Sends one that has to wait; its id in the queue. */
async function queued(messageId = randomUUID()): Promise<string> {
  const answer = await send(say(messageId))
  expect(answer.status).toBe(202)
  return ((await answer.json()) as { queue_id: string }).queue_id
}

const entry = async (queueId: string): Promise<Record<string, unknown>> => {
  const answer = await platform.request(`/workspaces/${workspace.id}/a2a/queue/${queueId}`)
  return (await answer.json()) as Record<string, unknown>
}

const beat = (activeTasks: number) =>
  platform.json(
    '/registry/heartbeat',
    { workspace_id: workspace.id, active_tasks: activeTasks },
    workspace.authToken,
  )

describe('messages to an agent that is busy', () => {
  it('are sent as soon as it is online again', async () => {
    const state = agent()
    await queued()
    state.manner = 'answers'
    await platform.client.sql`
      UPDATE workspaces SET status = 'offline' WHERE id = ${workspace.id}`
    await platform.client.sql`
      UPDATE a2a_deliveries SET next_attempt_at = now() WHERE workspace_id = ${workspace.id}`
    await platform.json(
      '/registry/register',
      { id: workspace.id, url: box.url, agent_card: { name: 'agent' } },
      workspace.authToken,
    )
    await eventually(() => state.seen.length === 1, 6_000)
  })

  it('wait, and are sent in their order as soon as a beat says that there is room', async () => {
    const state = agent()
    const ids = Array.from({ length: 4 }, () => randomUUID())
    for (const id of ids) {
      const answer = await send(say(id))
      expect(answer.status).toBe(202)
      expect(await answer.json()).toMatchObject({ queued: true, queue_id: expect.any(String) })
    }
    state.manner = 'answers'
    await beat(1)
    expect(state.seen).toEqual([])
    await beat(0)
    await eventually(() => state.seen.length === ids.length, 12_000)
    expect(state.seen).toEqual(ids)
  })

  it.each([
    ['insufficient_storage', 'the workspace has insufficient storage to begin a message'],
    ['storage_failed', 'the workspace cannot store that it begins a message'],
    ['<b>', 'workspace agent busy — retry after a short backoff'],
    [7, 'workspace agent busy — retry after a short backoff'],
  ])('are told what it lacks when it says %j', async (reason, lastError) => {
    box.answer = (_, response) => {
      response.writeHead(503, { 'retry-after': '300' })
      response.end(JSON.stringify({ error: 'busy', code: 'agent_busy', reason }))
    }
    const id = await queued()
    expect(await entry(id)).toMatchObject({ status: 'queued', last_error: lastError })
  })

  it('go back when it is busy still, and are delivered once in the end (wart W1)', async () => {
    const state = agent()
    const messageId = randomUUID()
    const id = await queued(messageId)
    const tries = box.requests.length
    await beat(0)
    await eventually(() => box.requests.length > tries)
    await eventually(async () => (await entry(id))['reason'] === 'agent_busy')
    expect(await entry(id)).toMatchObject({ status: 'queued', attempts: 0, position: 1 })
    expect(await (await send(say(messageId))).json()).toMatchObject({ queue_id: id })
    state.manner = 'answers'
    await beat(0)
    await eventually(async () => (await entry(id))['status'] === 'completed')
    expect(state.seen).toEqual([messageId])
    expect(await entry(id)).toMatchObject({
      response_body: { result: { parts: [{ kind: 'text', text: 'a' }] } },
    })
  })

  it.each<[Manner, object]>([
    ['breaks off', { status: 'failed', reason: 'outcome_unknown' }],
    [502, { status: 'failed', reason: 'outcome_unknown' }],
    [400, { status: 'failed', reason: 'agent_error' }],
  ])('are sent once when it %s: it may have begun (wart W9)', async (manner, end) => {
    const state = agent()
    const messageId = randomUUID()
    const id = await queued(messageId)
    state.manner = manner
    await beat(0)
    await eventually(async () => (await entry(id))['status'] === 'failed')
    expect(await entry(id)).toMatchObject(end)
    state.manner = 'answers'
    await beat(0)
    await queuedNothing()
    expect(state.seen).toEqual([messageId])
    // Whoever repeats it is told the same, and does not set it off again.
    const again = await send(say(messageId))
    expect(again.status).toBe(502)
    expect(state.seen).toEqual([messageId])
  })
})

describe('a message that is sent at once', () => {
  it('is answered as before when it is repeated, and refused when it says something else', async () => {
    const state = agent()
    state.manner = 'answers'
    const [messageId, other] = [randomUUID(), randomUUID()]
    const first = (await (await send(say(messageId))).json()) as object
    const again = await send(say(messageId).replace('"id":7', '"id":"again"'))
    expect([again.status, await again.json()]).toEqual([200, { ...first, id: 'again' }])
    const key = { 'idempotency-key': 'once' }
    expect((await send(say(other), key)).status).toBe(200)
    expect((await send(say(other), key)).status).toBe(200)
    const refused = [
      await send(say(messageId).replace('"hi"', '"ho"')),
      await send(say(messageId).replace('message/send', 'tasks/send')),
      await send(say(randomUUID()), key),
    ]
    for (const answer of refused) {
      expect([answer.status, await answer.json()]).toMatchObject([
        409,
        { id: 7, error: { data: { code: 'idempotency_conflict', queue_id: expect.any(String) } } },
      ])
    }
    expect(state.seen).toEqual([messageId, other])
  })

  it.each(['', 'k'.repeat(201)])('is not taken under a key that is none: %j', async (key) => {
    const state = agent()
    const answer = await send(say(randomUUID()), { 'idempotency-key': key })
    expect(answer.status).toBe(400)
    expect(state.seen).toEqual([])
  })

  it.each<Manner>(['breaks off', 502, 500])(
    'is not queued when its agent %s (wart W9)',
    async (manner) => {
      const state = agent()
      state.manner = manner
      const messageId = randomUUID()
      expect((await send(say(messageId))).status).toBeGreaterThanOrEqual(500)
      state.manner = 'answers'
      await beat(0)
      await queuedNothing()
      expect((await send(say(messageId))).status).toBeGreaterThanOrEqual(500)
      expect(state.seen).toEqual([messageId])
    },
  )
})

/** Nothing waits for the workspace, so that nothing can be sent later. */
async function queuedNothing(): Promise<void> {
  const rows = await platform.client.sql`
    SELECT state FROM a2a_deliveries
     WHERE workspace_id = ${workspace.id} AND state IN ('queued', 'leased', 'dispatched')`
  expect(rows).toEqual([])
}
