import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { eventually } from '../../support/eventually.ts'
import {
  type ExternalWorkspace,
  externalWorkspace,
  feed,
} from '../../support/external-workspace.ts'
import { platform } from '../../support/shared-platform.ts'

provideBoxedWorkspace({ ATRIUM_AGENT_TIMEOUT_MS: '5000' })

type Json = Record<string, unknown>
let source: ExternalWorkspace
let asked: { readonly message: Json; readonly configuration: Json }[] = []
let answer: (id: unknown) => { readonly status: number; readonly body: unknown }

const saying = (text: string) => (id: unknown) => ({
  status: 200,
  body: {
    ...{ jsonrpc: '2.0', id },
    result: { kind: 'message', role: 'agent', messageId: 'r', parts: [{ kind: 'text', text }] },
  },
})

beforeEach(async () => {
  source = await externalWorkspace()
  asked = []
  answer = saying('done')
  box.answer = (seen, response) => {
    const { id, params } = JSON.parse(seen.body.toString())
    asked.push(params)
    const { status, body } = answer(id)
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  }
})

const delegate = async (fields: Json = {}): Promise<[number, Json]> => {
  const body = { target_id: workspace.id, task: 'count the stars', ...fields }
  const path = `/workspaces/${source.id}/delegate`
  const response = await platform.json(path, body, source.authToken)
  return [response.status, (await response.json()) as Json]
}

const list = async (of = source): Promise<Json[]> => {
  const path = `/workspaces/${of.id}/delegations`
  return (await (await platform.request(path, { as: of.authToken })).json()) as Json[]
}

const ended = (id: unknown): Promise<Json> =>
  eventually(async () => {
    const found = (await list()).find((each) => each['delegation_id'] === id)
    return /completed|failed/.test(String(found?.['status'])) ? found : undefined
  })

describe('POST /workspaces/:id/delegate', () => {
  it('has the target asked, and tells of the end in the list, the log and the events', async () => {
    const [status, body] = await delegate()
    expect([status, body]).toEqual([
      202,
      { delegation_id: expect.any(String), status: 'delegated', target_id: workspace.id },
    ])
    const id = body['delegation_id']
    expect(await ended(id)).toMatchObject({
      ...{ source_id: source.id, target_id: workspace.id, status: 'completed', error: null },
      ...{ response_preview: 'done', summary: 'count the stars' },
    })
    expect(asked).toMatchObject([
      { message: { messageId: id, metadata: { delegation_id: id } }, configuration: {} },
    ])
    const rows = (await feed(source)).filter((row) => row.activity_type === 'delegation')
    expect(rows.map(({ method, status: now }) => [method, now]).toSorted()).toEqual([
      ['delegate', 'pending'],
      ['delegate_result', 'completed'],
    ])
    expect(rows.find(({ method }) => method === 'delegate_result')?.response_body).toEqual({
      ...{ text: 'done', delegation_id: id },
    })
    const events = (await (await platform.request(`/events/${source.id}`)).json()) as Json[]
    expect(events.map((event) => event['event'])).toEqual(
      expect.arrayContaining(['DELEGATION_SENT', 'DELEGATION_COMPLETE']),
    )
  })

  it.each([
    [{ target_id: 'x' }, 'target_id must be a valid UUID'],
    [{ task: '' }, 'invalid delegation request'],
    [{ task: undefined }, 'invalid delegation request'],
    [{ idempotency_key: 5 }, 'invalid delegation request'],
    [{ target_id: 'itself' }, 'self-delegation not permitted'],
  ])('refuses %j in the words of the contract', async (fields, error) => {
    const isItself = 'target_id' in fields && fields.target_id === 'itself'
    const given = isItself ? { target_id: source.id } : fields
    expect(await delegate(given)).toMatchObject([400, { error }])
    expect(await list()).toEqual([])
  })

  it('answers a key that is known with what has it, also to many at once', async () => {
    const many = Array.from({ length: 5 }, () => delegate({ idempotency_key: 'k' }))
    const answers = await Promise.all(many)
    expect(answers.map(([status]) => status).toSorted()).toEqual([200, 200, 200, 200, 202])
    const ids = new Set(answers.map(([, body]) => body['delegation_id']))
    expect(ids.size).toBe(1)
    const [id] = ids
    await ended(id)
    expect(await delegate({ idempotency_key: 'k' })).toEqual([
      200,
      ...[
        { delegation_id: id, status: 'completed', target_id: workspace.id, idempotent_hit: true },
      ],
    ])
    expect(asked).toHaveLength(1)
  })

  it('frees the key of one that has failed', async () => {
    answer = (id) => ({
      status: 200,
      body: { jsonrpc: '2.0', id, error: { code: -32000, message: 'no stars today' } },
    })
    const [, first] = await delegate({ idempotency_key: 'k' })
    expect(await ended(first['delegation_id'])).toMatchObject({
      ...{ status: 'failed', error: 'no stars today', response_preview: null },
    })
    answer = saying('seven')
    const [status, second] = await delegate({ idempotency_key: 'k' })
    expect(status).toBe(202)
    expect(await ended(second['delegation_id'])).toMatchObject({ response_preview: 'seven' })
  })

  it('fails with the reason when the two may not talk, or nobody is there', async () => {
    const [, body] = await delegate({ target_id: randomUUID() })
    expect(await ended(body['delegation_id'])).toMatchObject({
      ...{ status: 'failed', error: expect.stringContaining('access denied') },
    })
  })

  it('takes an acknowledgement for no answer: what a poller is asked is queued (wart W11)', async () => {
    const poller = await externalWorkspace()
    const [, { delegation_id: id }] = await delegate({ target_id: poller.id })
    const row = await eventually(async () => (await feed(poller))[0])
    await eventually(async () => (await list())[0]?.['status'] === 'queued')
    const path = `/workspaces/${poller.id}/a2a/queue/${row['queue_id']}/reply`
    await platform.json(path, { text: 'by hand' }, poller.authToken)
    expect(await ended(id)).toMatchObject({ status: 'completed', response_preview: 'by hand' })
  })

  it('ends as the task does that its agent goes on with after its answer', async () => {
    const task = (state: string) => (id: unknown) => ({
      status: 200,
      body: {
        ...{ jsonrpc: '2.0', id },
        result: {
          ...{ kind: 'task', id: 'stars', contextId: 'c', status: { state } },
          artifacts: [{ artifactId: 'a', parts: [{ kind: 'text', text: 'nine' }] }],
        },
      },
    })
    answer = task('working')
    const [, { delegation_id: id }] = await delegate()
    await eventually(async () => (await list())[0]?.['status'] === 'in_progress')
    answer = task('completed')
    expect(await ended(id)).toMatchObject({ status: 'completed', response_preview: 'nine' })
    expect(asked.at(-1)).toEqual({ id: 'stars' })
  })

  it('ends when a busy agent has been given it from the queue', async () => {
    let refusals = 1
    const finish = answer
    answer = (id) => {
      refusals -= 1
      return refusals < 0 ? finish(id) : { status: 503, body: { code: 'agent_busy', error: 'b' } }
    }
    const [, { delegation_id: id }] = await delegate()
    expect(await ended(id)).toMatchObject({ status: 'completed', response_preview: 'done' })
    expect(asked).toHaveLength(2)
  })
})

describe('delegations that an agent sends by itself', () => {
  const post = async (path: string, body: Json, of = source): Promise<[number, Json]> => {
    const response = await platform.json(`/workspaces/${of.id}${path}`, body, of.authToken)
    return [response.status, (await response.json()) as Json]
  }
  const record = (id: string, of = source) =>
    post('/delegations/record', { target_id: workspace.id, task: 'x', delegation_id: id }, of)
  const update = (id: string, body: Json, of = source) =>
    post(`/delegations/${id}/update`, body, of)

  it('are written down once and end once', async () => {
    const id = randomUUID()
    const recorded = [202, { delegation_id: id, status: 'recorded' }]
    expect(await record(id)).toEqual(recorded)
    expect(await record(id)).toEqual(recorded)
    expect(await list()).toMatchObject([{ delegation_id: id, status: 'pending' }])
    const done = { status: 'completed', response_preview: 'ok' }
    expect(await update(id, done)).toEqual([200, { delegation_id: id, status: 'completed' }])
    expect(await update(id, done)).toEqual([200, { delegation_id: id, status: 'completed' }])
    expect(await update(id, { status: 'failed', error: 'no' })).toMatchObject([
      409,
      { code: 'delegation_over' },
    ])
    expect(await list()).toMatchObject([{ status: 'completed', response_preview: 'ok' }])
    const results = (await feed(source)).filter(({ method }) => method === 'delegate_result')
    expect(results).toHaveLength(1)
    expect(asked).toEqual([])
  })

  it('are nobody else’s, and end in no other way', async () => {
    const id = randomUUID()
    await record(id)
    const other = await externalWorkspace()
    expect(await record(id, other)).toMatchObject([409, { code: 'delegation_conflict' }])
    expect(await update(id, { status: 'completed' }, other)).toMatchObject([404, {}])
    expect(await update('none', { status: 'completed' })).toMatchObject([404, {}])
    expect(await update(id, { status: 'queued' })).toMatchObject([400, {}])
    expect(await list(other)).toEqual([])
    expect(await list()).toMatchObject([{ status: 'pending' }])
  })
})
