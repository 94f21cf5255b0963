import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  type ExternalWorkspace,
  externalWorkspace,
  feed,
} from '../../support/external-workspace.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()

let poller: ExternalWorkspace
let sender: ExternalWorkspace
beforeEach(async () => {
  poller = await externalWorkspace()
  sender = await externalWorkspace()
})

type Json = Record<string, unknown>
const json = async (answer: Response): Promise<Json> => (await answer.json()) as Json

async function send(
  to: ExternalWorkspace,
  as: string,
  {
    method = 'message/send',
    params = {},
    message = {},
  }: Record<string, unknown> & {
    readonly method?: string
    readonly params?: object
    readonly message?: object
  } = {},
): Promise<Json> {
  const said = { role: 'user', messageId: randomUUID(), parts: [{ kind: 'text', text: 'hi' }] }
  const body = {
    ...{ jsonrpc: '2.0', id: 7, method },
    params: { message: { ...said, ...message }, ...params },
  }
  return await json(await platform.json(`/workspaces/${to.id}/a2a`, body, as))
}

const entryPath = (queueId: unknown, of = poller): string =>
  `/workspaces/${of.id}/a2a/queue/${queueId}`
const entry = async (queueId: unknown, as?: string): Promise<Json> =>
  await json(await platform.request(entryPath(queueId), as === undefined ? {} : { as }))
const reply = (queueId: unknown, body: unknown, as = poller.authToken): Promise<Response> =>
  platform.json(`${entryPath(queueId)}/reply`, body, as)

describe('GET /workspaces/:id/a2a/queue/:queue_id', () => {
  it('tells sender, receiver and operators where the message is', async () => {
    await send(poller, sender.authToken)
    const { queue_id: id } = await send(poller, sender.authToken, {
      params: { expires_in_seconds: 60 },
    })
    for (const as of [sender.authToken, poller.authToken, undefined]) {
      expect(await entry(id, as)).toMatchObject({
        ...{ queue_id: id, workspace_id: poller.id, status: 'queued', delivery_mode: 'poll' },
        ...{ position: 2, queue_depth: 2, attempts: 0, completed_at: null, last_error: null },
        ...{ expires_at: expect.any(String), enqueued_at: expect.any(String) },
      })
    }
  })

  it('tells everybody else the same as of one that is not there', async () => {
    const { queue_id: id } = await send(poller, sender.authToken)
    const stranger = await externalWorkspace()
    const asked: [string, string][] = [
      [entryPath(id), stranger.authToken],
      [entryPath(randomUUID()), sender.authToken],
      [entryPath('none'), sender.authToken],
      [entryPath(id, sender), sender.authToken],
    ]
    const bodies = new Set<string>()
    for (const [path, as] of asked) {
      for (const method of ['GET', 'DELETE']) {
        const answer = await platform.request(path, { method, as })
        expect(answer.status).toBe(404)
        bodies.add(JSON.stringify({ ...(await json(answer)), request_id: '' }))
      }
    }
    expect(bodies.size).toBe(1)
    expect(await entry(id)).toMatchObject({ status: 'queued' })
  })
})

describe('DELETE /workspaces/:id/a2a/queue/:queue_id', () => {
  it('takes back what nobody has begun with, once', async () => {
    const { queue_id: id } = await send(poller, sender.authToken)
    const remove = () => platform.request(entryPath(id), { method: 'DELETE', as: sender.authToken })
    expect(await json(await remove())).toEqual({ status: 'dropped', queue_id: id })
    expect(await entry(id)).toMatchObject({ status: 'dropped', reason: 'canceled by its sender' })
    const again = await remove()
    expect([again.status, await json(again)]).toMatchObject([
      409,
      { code: 'delivery_not_cancelable', state: 'dropped' },
    ])
    expect((await reply(id, { text: 'late' })).status).toBe(409)
  })

  it('says who has taken it out: its receiver, or an operator', async () => {
    const { queue_id: received } = await send(poller, sender.authToken)
    await platform.request(entryPath(received), { method: 'DELETE', as: poller.authToken })
    expect(await entry(received)).toMatchObject({ reason: 'canceled by its receiver' })
    const { queue_id: operated } = await send(poller, sender.authToken)
    await platform.request(entryPath(operated), { method: 'DELETE' })
    expect(await entry(operated)).toMatchObject({ reason: 'canceled by an operator' })
  })
})

describe('POST /workspaces/:id/a2a/queue/:queue_id/reply', () => {
  it('ends the message, whose sender reads the answer under its own id (wart W2)', async () => {
    const messageId = randomUUID()
    const message = { messageId }
    const { queue_id: id } = await send(poller, sender.authToken, { message })
    const [row] = await feed(poller)
    expect(row?.['queue_id']).toBe(id)
    expect(await json(await reply(id, { text: 'done' }))).toEqual({
      ...{ status: 'completed', queue_id: id },
    })
    expect(await entry(id, sender.authToken)).toMatchObject({
      status: 'completed',
      response_body: { result: { kind: 'message', role: 'agent', parts: [{ text: 'done' }] } },
    })
    expect(await send(poller, sender.authToken, { message })).toMatchObject({
      ...{ id: 7, result: { kind: 'message', parts: [{ kind: 'text', text: 'done' }] } },
    })
    expect(await feed(poller)).toMatchObject([{ response_body: { jsonrpc: '2.0' } }])
    const [kept] = await platform.client.sql`
      SELECT length(request) AS bytes FROM a2a_deliveries WHERE id = ${String(id)}`
    expect(kept).toEqual({ bytes: 0 })
  })

  it('speaks to each sender in its own dialect, and changes no number', async () => {
    const { queue_id: id } = await send(poller, sender.authToken, {
      method: 'SendMessage',
      message: { role: 'ROLE_USER', parts: [{ text: 'hi' }] },
    })
    const text = `{"jsonrpc":"2.0","id":1,"result":{"kind":"task","id":"t1","contextId":"c",
      "status":{"state":"completed"},"metadata":{"big":12345678901234567890}}}`
    const answer = await platform.request(`${entryPath(id)}/reply`, {
      ...{ method: 'POST', body: text, as: poller.authToken },
    })
    expect(answer.status).toBe(200)
    const stored = await platform.request(entryPath(id))
    expect(await stored.text()).toContain('"big":12345678901234567890')
    expect(await entry(id)).toMatchObject({
      task_id: 't1',
      response_body: { result: { task: { id: 't1', status: { state: 'TASK_STATE_COMPLETED' } } } },
    })
  })

  it('gives a message without an id one, in the context of what it answers', async () => {
    const { queue_id: id } = await send(poller, sender.authToken, {
      method: 'SendMessage',
      message: { role: 'ROLE_USER', parts: [{ text: 'hi' }], contextId: 'c9' },
    })
    await reply(id, { text: 'done' })
    expect(await entry(id)).toMatchObject({
      response_body: { result: { message: { messageId: `${id}-reply`, contextId: 'c9' } } },
    })
  })

  it('is kept for its sender also when the log cannot hold it, nor anybody ask for its task', async () => {
    const bytes = async (id: unknown) => {
      const [row] = await platform.client.sql`
        SELECT body_bytes FROM activity_logs WHERE queue_id = ${String(id)}`
      return Number(row?.['body_bytes'])
    }
    const task = (id: string) => ({
      result: { kind: 'task', id, contextId: 'c', status: { state: 'completed' } },
    })
    const { queue_id: odd } = await send(poller, sender.authToken)
    const before = await bytes(odd)
    expect((await reply(odd, task('a\u0000b'))).status).toBe(200)
    expect(await entry(odd)).toMatchObject({ status: 'completed', response_body: task('a\u0000b') })
    expect(await entry(odd)).not.toHaveProperty('task_id')
    expect((await feed(poller))[0]).not.toHaveProperty('response_body')
    expect(await bytes(odd)).toBe(before)
    const { queue_id: plain } = await send(poller, sender.authToken)
    const shorter = await bytes(plain)
    await reply(plain, task('ab'))
    expect(await bytes(plain)).toBeGreaterThan(shorter + 50)
  })

  it('is no task because it is said to belong to one', async () => {
    const { queue_id: id } = await send(poller, sender.authToken)
    const said = { kind: 'message', role: 'agent', messageId: 'm', taskId: 't9' }
    await reply(id, { result: { ...said, parts: [{ kind: 'text', text: 'x' }] } })
    expect(await entry(id)).not.toHaveProperty('task_id')
  })

  it('has no more than a megabyte', async () => {
    const { queue_id: id } = await send(poller, sender.authToken)
    expect((await reply(id, { text: 'x'.repeat(1024 * 1024) })).status).toBe(413)
    expect(await entry(id)).toMatchObject({ status: 'queued' })
  })

  it('takes the same answer twice, and no other one', async () => {
    const { queue_id: id } = await send(poller, sender.authToken)
    const error = { code: -32000, message: 'no' }
    expect((await reply(id, { error })).status).toBe(200)
    expect(await json(await reply(id, { error }))).toMatchObject({ duplicate: true })
    const other = await reply(id, { text: 'yes' })
    expect([other.status, await json(other)]).toMatchObject([409, { code: 'delivery_over' }])
    expect(await entry(id)).toMatchObject({ response_body: { error } })
  })

  it('keeps one of many that come at once', async () => {
    const { queue_id: id } = await send(poller, sender.authToken)
    const replies = Array.from({ length: 6 }, (_, n) => reply(id, { text: `answer ${n}` }))
    const statuses = (await Promise.all(replies)).map(({ status }) => status)
    expect(statuses.toSorted()).toEqual([200, 409, 409, 409, 409, 409])
  })

  it.each([
    [{}],
    [{ text: 'x', error: { code: 1, message: 'x' } }],
    [{ result: { kind: 'task', id: 't', contextId: 'c', status: { state: 'working' } } }],
    [{ result: 5 }],
    [{ error: 'no' }],
    [[]],
  ])('refuses what is no end: %j', async (body) => {
    const { queue_id: id } = await send(poller, sender.authToken)
    expect((await reply(id, body)).status).toBe(400)
    expect(await entry(id)).toMatchObject({ status: 'queued' })
  })

  it('is for the agent that got the message, and for none that is called', async () => {
    const { queue_id: id } = await send(poller, sender.authToken)
    const other = await platform.json(
      `/workspaces/${sender.id}/a2a/queue/${id}/reply`,
      { text: 'mine' },
      sender.authToken,
    )
    expect(other.status).toBe(404)
    await platform.client.sql`
      UPDATE a2a_deliveries SET delivery_mode = 'push' WHERE id = ${String(id)}`
    expect((await reply(id, { text: 'called' })).status).toBe(404)
    expect(await entry(id)).toMatchObject({ status: 'queued' })
  })

  it('is spared by a message of the agent that says what it answers', async () => {
    const { queue_id: id } = await send(poller, sender.authToken)
    const message = { parts: [{ kind: 'text', text: 'done' }], metadata: { in_reply_to: id } }
    const stranger = await externalWorkspace()
    await send(sender, stranger.authToken, { message: { ...message, messageId: 'm1' } })
    await send(stranger, poller.authToken, { message: { ...message, messageId: 'm2' } })
    expect(await entry(id)).toMatchObject({ status: 'queued' })
    await send(sender, poller.authToken, { message: { ...message, messageId: 'm3' } })
    expect(await entry(id)).toMatchObject({
      status: 'completed',
      response_body: { result: { role: 'agent', messageId: 'm3', parts: [{ text: 'done' }] } },
    })
  })
})

describe('a message that says what it answers', () => {
  const answering = async (id: unknown, how = 'in_reply_to'): Promise<Json> => {
    const metadata = { [how]: id }
    const message = { parts: [{ kind: 'text', text: 'done' }], metadata }
    return await send(sender, poller.authToken, { message })
  }

  it('may name it as what it is in the queue', async () => {
    const { queue_id: id } = await send(poller, sender.authToken)
    await answering(id, 'queue_id')
    expect(await entry(id)).toMatchObject({ status: 'completed' })
  })

  it('is a message like any other when that is over', async () => {
    const { queue_id: id } = await send(poller, sender.authToken)
    await platform.request(entryPath(id), { method: 'DELETE', as: sender.authToken })
    expect(await answering(id)).toMatchObject({ status: 'queued' })
    expect(await feed(sender)).toHaveLength(1)
    expect(await entry(id)).toMatchObject({ status: 'dropped' })
  })

  it('is a message like any other when that is still to be brought to its agent', async () => {
    const { queue_id: id } = await send(poller, sender.authToken)
    await platform.client.sql`
      UPDATE a2a_deliveries SET delivery_mode = 'push' WHERE id = ${String(id)}`
    expect(await answering(id)).toMatchObject({ status: 'queued' })
    expect(await feed(sender)).toHaveLength(1)
    expect(await entry(id)).toMatchObject({ status: 'queued' })
  })
})

describe('/admin/a2a-queue', () => {
  it('counts what there is, and drops what has waited too long', async () => {
    const { queue_id: old } = await send(poller, sender.authToken)
    await send(poller, sender.authToken)
    await platform.client.sql`
      UPDATE a2a_deliveries SET enqueued_at = now() - interval '3 hours' WHERE id = ${String(old)}`
    const drop = (query: string) =>
      platform.request(`/admin/a2a-queue/drop-stale?${query}`, { method: 'POST' })
    expect(await json(await drop(`max_age_minutes=200&workspace_id=${poller.id}`))).toEqual({
      dropped: 0,
    })
    expect(await json(await drop(`workspace_id=${poller.id}`))).toEqual({ dropped: 1 })
    expect(await entry(old)).toMatchObject({ status: 'dropped', reason: /more than 60 minutes/ })
    const counts = await platform.request(`/admin/a2a-queue?workspace_id=${poller.id}`)
    expect(await json(counts)).toMatchObject({
      queues: [
        { status: 'queued', delivery_mode: 'poll', count: 1 },
        { status: 'dropped', delivery_mode: 'poll', count: 1 },
      ],
    })
  })

  it.each(['0', '-1', 'x', '1.5'])(
    'refuses an age of %j in the words of the contract',
    async (age) => {
      const answer = await platform.request(`/admin/a2a-queue/drop-stale?max_age_minutes=${age}`, {
        method: 'POST',
      })
      expect([answer.status, await json(answer)]).toMatchObject([
        400,
        { error: 'max_age_minutes must be a positive integer' },
      ])
    },
  )
})
