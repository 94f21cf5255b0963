/** Streams of agents, followed on every replica and kept for those who come back. */
import { randomUUID } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { appendTaskEvents, openStream } from '../../../apps/platform/src/db/task-event-store.ts'
import type { WorkspaceId } from '../../../apps/platform/src/domain/ids.ts'
import { eventually } from '../../support/eventually.ts'
import { HeldClock } from '../../support/held-clock.ts'
import {
  newWorkspace,
  PlayedAgent,
  readFlow,
  type StreamReplica,
  startStreamReplica,
} from '../../support/streaming-agent.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'

let database: TestDatabase
let first: StreamReplica
let second: StreamReplica
let workspaceId: WorkspaceId
let agent: PlayedAgent
let body: PassThrough

beforeAll(async () => {
  database = await createTestDatabase()
  first = startStreamReplica(database.url)
  second = startStreamReplica(database.url)
})
afterAll(async () => {
  await first.stop()
  await second.stop()
  await database.drop()
})
beforeEach(async () => {
  agent = new PlayedAgent()
  workspaceId = await newWorkspace(first)
  body = new PassThrough()
})

const key = () => ({ workspaceId, taskId: agent.taskId })

type Options = {
  readonly alias?: string
  readonly body?: PassThrough
  readonly on?: StreamReplica
}

function adopt(options: Options = {}) {
  const { streams } = options.on ?? first
  return readFlow(
    streams.adopt({
      ...{ workspaceId, sender: 'admin', dialect: '0.3', agentOf: () => agent },
      body: options.body ?? body,
      alias: options.alias,
    }),
  )
}

async function keptSeqs(): Promise<number[]> {
  const rows = await database.sql<{ seq: string }[]>`
    SELECT seq FROM a2a_task_events WHERE task_id = ${agent.taskId} ORDER BY seq`
  return rows.map(({ seq }) => Number(seq))
}

/** Readers are told before it is. */
async function written(): Promise<void> {
  await eventually(() => first.streams.lastSeqHere(key()) === undefined)
}

describe('a stream', () => {
  it('is told in its order, in the bytes of the agent, each event with its place', async () => {
    const reader = adopt()
    body.write(agent.begin() + agent.status('working'))
    await eventually(() => reader.events.length === 2)
    body.end(agent.artifact('a', 'ä€') + agent.status('completed', true))
    await eventually(() => reader.isOver())
    expect(reader.failure()).toBeUndefined()
    expect(reader.seqs()).toEqual([1, 2, 3, 4])
    expect(`data: ${reader.events[2]?.data.toString()}\n\n`).toBe(agent.artifact('a', 'ä€'))
  })

  it('is read on another replica, from before and as it goes on, to its end', async () => {
    const reader = adopt()
    body.write(agent.begin())
    await eventually(() => reader.events.length === 1)
    const far = readFlow(second.streams.follow(key(), 0))
    await eventually(() => far.events.length === 1)
    for (let index = 0; index < 250; index += 1) body.write(agent.artifact(`a${index}`))
    body.write(agent.status('completed', true))
    await eventually(() => far.isOver())
    await eventually(() => reader.isOver())
    expect(far.said()).toEqual(reader.said())
    expect(far.seqs()).toEqual(Array.from({ length: 252 }, (_, index) => index + 1))
    const late = readFlow(second.streams.follow(key(), 250))
    await eventually(() => late.isOver())
    expect(late.said()).toEqual(['artifact:a249', 'status-update:completed'])
  })

  it('goes on without any reader, so that nobody cancels a task by leaving', async () => {
    const reader = adopt()
    body.write(agent.begin())
    await eventually(() => reader.events.length === 1)
    reader.close()
    body.write(agent.status('working') + agent.status('completed', true))
    await eventually(async () => (await first.streams.find(key()))?.isEnded)
    expect(body.destroyed).toBe(true)
    expect(await keptSeqs()).toEqual([1, 2, 3])
  })

  it('is known by another name to who has waited for it', async () => {
    const reader = adopt({ alias: 'queue-1' })
    body.end(agent.begin() + agent.status('completed', true))
    await eventually(() => reader.isOver())
    const far = readFlow(second.streams.follow({ workspaceId, taskId: 'queue-1' }, 0))
    await eventually(() => far.isOver())
    const results = [...reader.events, ...far.events].map(
      ({ data }) => JSON.parse(data.toString()).result as { id?: string; taskId?: string },
    )
    expect(results.map(({ id, taskId }) => id ?? taskId)).toEqual(new Array(4).fill('queue-1'))
  })

  it('begins for who waits for it on another replica before it is there', async () => {
    const far = readFlow(second.streams.follow(key(), 0))
    adopt()
    body.end(agent.begin() + agent.status('completed', true))
    await eventually(() => far.isOver())
    expect(far.said()).toEqual(['task:submitted', 'status-update:completed'])
  })

  it('of a task whose stream is read already is passed on and not kept twice', async () => {
    const reader = adopt()
    body.write(agent.begin())
    await eventually(() => reader.events.length === 1)
    const other = new PassThrough()
    const repeated = adopt({ body: other })
    other.end(agent.begin() + agent.status('completed', true))
    await eventually(() => repeated.isOver())
    expect(repeated.seqs()).toEqual([undefined, undefined])
    body.end(agent.status('completed', true))
    await eventually(() => reader.isOver())
    await written()
    expect(await keptSeqs()).toEqual([1, 2])
  })

  it('goes on counting when the task is taken up again', async () => {
    const reader = adopt()
    body.end(agent.begin() + agent.status('input-required', true))
    await eventually(() => reader.isOver())
    await eventually(async () => (await first.streams.find(key()))?.isEnded)
    const again = new PassThrough()
    const next = adopt({ body: again })
    again.end(agent.status('working') + agent.status('completed', true))
    await eventually(() => next.isOver())
    expect(next.seqs()).toEqual([3, 4])
  })

  it('keeps a bounded past', async () => {
    const reader = adopt()
    body.write(agent.begin())
    for (let index = 0; index < 1_100; index += 1) {
      if (!body.write(agent.artifact(`a${index}`)))
        await eventually(() => body.writableLength < 1_000)
    }
    body.end(agent.status('completed', true))
    await eventually(() => reader.isOver())
    await eventually(async () => (await first.streams.find(key()))?.isEnded)
    const seqs = await keptSeqs()
    expect(seqs.length).toBeLessThanOrEqual(1_200)
    expect(seqs.at(-1)).toBe(1_102)
    expect(await second.streams.isResumable(key(), 5)).toBe(false)
    expect(await second.streams.isResumable(key(), 1_000)).toBe(true)
    const late = readFlow(second.streams.follow(key(), 5))
    await eventually(() => late.isOver())
    expect(late.failure()).toMatchObject({ code: 'stream_overflow' })
  })
})

describe('a stream that ends without an end', () => {
  it('ends as the task has ended meanwhile', async () => {
    const reader = adopt()
    agent.asked = { kind: 'task', task: agent.task('completed', ['a', 'lost']) }
    body.end(agent.begin() + agent.artifact('a'))
    await eventually(() => reader.isOver())
    expect(reader.said()).toEqual([
      ...['task:submitted', 'artifact:a', 'task:completed', 'status-update:completed'],
    ])
    expect(reader.failure()).toBeUndefined()
  })

  it('goes on where the agent lets itself be followed again, and tells nothing twice', async () => {
    const reader = adopt()
    agent.asked = { kind: 'task', task: agent.task('working', ['a']) }
    body.end(agent.begin() + agent.artifact('a') + agent.status('working'))
    const again = await eventually(() => agent.resubscribed[0])
    again.write(
      `data: ${JSON.stringify({ jsonrpc: '2.0', id: 9, result: agent.task('working', ['a']) })}\n\n`,
    )
    again.end(agent.artifact('b') + agent.status('completed', true))
    await eventually(() => reader.isOver())
    expect(reader.said()).toEqual([
      ...['task:submitted', 'artifact:a', 'status-update:working'],
      ...['artifact:b', 'status-update:completed'],
    ])
  })

  it('ends with an error where nobody knows, for whoever reads it later as well', async () => {
    agent.asked = { kind: 'absent' }
    const reader = adopt()
    body.write(agent.begin())
    await eventually(() => reader.events.length === 1)
    body.destroy(new Error('reset'))
    await eventually(() => reader.isOver())
    expect(reader.said()).toEqual(['task:submitted', 'error:stream_interrupted'])
    const far = readFlow(second.streams.follow(key(), 0))
    await eventually(() => far.isOver())
    expect(far.said()).toEqual(reader.said())
  })

  it('is no success when nothing has come at all', async () => {
    const reader = adopt()
    body.end()
    await eventually(() => reader.isOver())
    expect(reader.failure()).toMatchObject({ code: 'stream_interrupted' })
  })

  it('is asked for no task when the answer was a message, or waits for its sender', async () => {
    agent.asked = { kind: 'absent' }
    const reader = adopt()
    body.end(agent.begin() + agent.status('input-required'))
    await eventually(() => reader.isOver())
    expect(reader.said()).toEqual(['task:submitted', 'status-update:input-required'])
    const message = { kind: 'message', messageId: 'm', role: 'agent', parts: [] }
    const other = new PassThrough()
    const messages = adopt({ body: other })
    other.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id: 1, result: message })}\n\n`)
    await eventually(() => messages.isOver())
    expect(messages.failure()).toBeUndefined()
    expect(messages.seqs()).toEqual([undefined])
  })
})

describe('a reader', () => {
  it('that does not keep up is told so, and holds up nobody', async () => {
    const reader = adopt()
    const idle = first.streams.follow(key(), 0)
    const iterator = idle[Symbol.asyncIterator]()
    body.write(agent.begin())
    await eventually(() => reader.events.length === 1)
    await iterator.next()
    for (let index = 0; index < 400; index += 1) body.write(agent.artifact(`a${index}`))
    body.end(agent.status('completed', true))
    await eventually(() => reader.isOver())
    expect(reader.events).toHaveLength(402)
    const rest = (async () => {
      for (;;) if ((await iterator.next()).done === true) return
    })()
    await expect(rest).rejects.toMatchObject({ code: 'stream_overflow' })
    idle.close()
  })

  it('that is alone holds the agent back instead', async () => {
    const flow = first.streams.adopt({
      ...{ workspaceId, sender: 'admin', dialect: '0.3', agentOf: () => agent, body },
    })
    body.write(agent.begin())
    const text = 'x'.repeat(50_000)
    const written: boolean[] = []
    for (let index = 0; index < 200; index += 1)
      written.push(body.write(agent.artifact(`a${index}`, text)))
    body.end(agent.status('completed', true))
    await eventually(async () => (await keptSeqs()).length > 5)
    const reader = readFlow(flow)
    await eventually(() => reader.isOver())
    expect(reader.failure()).toBeUndefined()
    expect(reader.events).toHaveLength(202)
  })
})

describe('the lease of a stream', () => {
  it('is renewed by its events when half of it is over, and not before', async () => {
    const leaseMs = 60_000
    const upstreamTaskId = agent.taskId
    const stream = { ...key(), upstreamTaskId, sender: 'admin', dialect: '0.3' } as const
    const owner = { replicaId: randomUUID(), leaseMs }
    const claim = await openStream(first.client.db, { ...stream, ...owner })
    const keep = async (seq: number): Promise<string> => {
      const events = [{ seq, data: Buffer.from('{}') }]
      const item = { key: key(), fence: claim?.fence ?? '', dialect: stream.dialect, events }
      const place = { lastSeq: seq, floor: 0, isEnd: false, hasEnd: false }
      await appendTaskEvents(first.client.sql, [{ ...item, ...place }], leaseMs)
      return await leaseUntil()
    }
    const leaseUntil = async (): Promise<string> => {
      const [row] = await database.sql`
        SELECT lease_until::text AS until FROM a2a_streams WHERE task_id = ${agent.taskId}`
      return String(row?.['until'])
    }
    const before = await leaseUntil()
    expect(await keep(1)).toBe(before)
    await database.sql`UPDATE a2a_streams SET lease_until = now() + interval '29 seconds'
      WHERE task_id = ${agent.taskId}`
    await keep(2)
    const [row] = await database.sql`
      SELECT lease_until > now() + interval '50 seconds' AS is_new FROM a2a_streams
       WHERE task_id = ${agent.taskId}`
    expect(row?.['is_new']).toBe(true)
    expect(await keptSeqs()).toEqual([1, 2])
  })
})

describe('a replica that is gone', () => {
  it('leaves its streams to another, which finds out how they go on', async () => {
    const clock = new HeldClock()
    const third = startStreamReplica(database.url, agent, clock)
    const ended = startStreamReplica(database.url)
    const reader = adopt({ on: ended })
    body.write(agent.begin() + agent.status('working'))
    await eventually(async () => (await keptSeqs()).length === 2)
    const far = readFlow(third.streams.follow(key(), 0))
    await eventually(() => far.events.length === 2)
    agent.asked = { kind: 'task', task: agent.task('working') }
    await ended.stop()
    await eventually(() => reader.isOver())
    expect(reader.failure()).toMatchObject({ code: 'shutting_down' })
    await eventually(() => {
      clock.advance(5_000)
      return agent.resubscribed.length > 0
    })
    agent.resubscribed[0]?.end(agent.artifact('b') + agent.status('completed', true))
    await eventually(() => far.isOver())
    expect(far.said()).toEqual([
      ...['task:submitted', 'status-update:working', 'task:working'],
      ...['artifact:b', 'status-update:completed'],
    ])
    await third.stop()
  })

  it('writes nothing any more once it was taken over', async () => {
    const reader = adopt()
    body.write(agent.begin())
    await eventually(async () => (await keptSeqs()).length === 1)
    await database.sql`UPDATE a2a_streams SET fence = nextval('a2a_fence')
      WHERE task_id = ${agent.taskId}`
    body.end(agent.status('completed', true))
    await eventually(() => reader.isOver())
    expect(reader.said()).toEqual(['task:submitted', 'status-update:completed'])
    await written()
    expect(await keptSeqs()).toEqual([1])
    expect((await first.streams.find(key()))?.isEnded).toBe(false)
  })
})
