/** Callers' webhooks, called by the platform in the agents' place. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { PassThrough } from 'node:stream'
import { type Clock, systemClock } from '@atrium/http-kit/clock'
import pino from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import { claimPushes } from '../../../apps/platform/src/db/push-outbox-store.ts'
import type { WorkspaceId } from '../../../apps/platform/src/domain/ids.ts'
import {
  MAX_PUSH_ATTEMPTS,
  type PushConfig,
} from '../../../apps/platform/src/domain/push-config.ts'
import { keyringOf } from '../../../apps/platform/src/domain/secret-envelope.ts'
import {
  dropPushConfig,
  keepPushConfig,
  readPushConfig,
  readPushConfigs,
} from '../../../apps/platform/src/services/push/push-configs.ts'
import { PushRelay } from '../../../apps/platform/src/services/push/push-relay.ts'
import {
  type AddressPolicy,
  systemResolve,
} from '../../../apps/platform/src/upstream/agent-address.ts'
import { AgentClient } from '../../../apps/platform/src/upstream/agent-client.ts'
import { openDatabaseGate } from '../../support/database-gate.ts'
import { eventually } from '../../support/eventually.ts'
import {
  newWorkspace,
  PlayedAgent,
  readFlow,
  type StreamReplica,
  startStreamReplica,
} from '../../support/streaming-agent.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'
import { startWorkspaceServer, type WorkspaceServer } from '../../support/workspace-server.ts'

const AT_HOME: AddressPolicy = { allowLoopback: true, allowPrivate: false }
const OUTSIDE: AddressPolicy = { allowLoopback: false, allowPrivate: false }
const keyring = keyringOf(randomBytes(32))

let database: TestDatabase
let replica: StreamReplica
let webhook: WorkspaceServer
let workspaceId: WorkspaceId
let agent: PlayedAgent
const ends: (() => Promise<unknown>)[] = []

/** How many loops of relays are asleep. */
let resting = 0
const clock: Clock = {
  ...systemClock,
  sleep: async (ms, signal) => {
    resting += 1
    await systemClock.sleep(ms, signal).finally(() => {
      resting -= 1
    })
  },
}

beforeAll(async () => {
  database = await createTestDatabase()
  replica = startStreamReplica(database.url)
  webhook = await startWorkspaceServer()
  ends.push(() => database.drop())
  ends.push(() => Promise.all([replica.stop(), webhook.close()]))
})
afterAll(async () => {
  for (const end of ends.toReversed()) await end()
})
beforeEach(async () => {
  agent = new PlayedAgent()
  workspaceId = await newWorkspace(replica)
  webhook.requests.length = 0
  webhook.answer = (_, response) => response.writeHead(200).end()
})

async function withRelay(
  policy: AddressPolicy,
  work: () => Promise<void>,
  client: DatabaseClient = replica.client,
): Promise<void> {
  const { db, sql } = client
  const timeouts = { connectTimeoutMs: 2_000, headersTimeoutMs: 2_000, idleTimeoutMs: 2_000 }
  const agentClient = new AgentClient({ ...timeouts, policy })
  const relay = new PushRelay({
    ...{ db, sql, clock, keyring, agentClient, replicaId: randomUUID() },
    listen: (...on) => client.listen(...on),
    eventOfEnd: () => undefined,
    log: pino({ level: 'silent' }),
  })
  relay.start()
  try {
    await work()
  } finally {
    await relay.stop()
    await agentClient.close()
  }
}

const configDeps = (policy = AT_HOME) => ({
  ...{ db: replica.client.db, clock: systemClock, keyring, addressPolicy: policy },
  resolve: systemResolve,
})

function config(fields: Partial<PushConfig> = {}): PushConfig {
  return {
    key: { workspaceId, taskId: agent.taskId },
    ...{ configId: 'one', sender: 'admin', dialect: '1.0', url: `${webhook.url}/hook` },
    ...{ token: 'known-by-this', scheme: 'Bearer', credentials: 'let-me-in' },
    ...fields,
  }
}

/** An agent's stream from its first event to its end, until all that is to be told is written. */
async function streamOnce(...frames: string[]): Promise<void> {
  const body = new PassThrough()
  const reader = readFlow(
    replica.streams.adopt({
      ...{ workspaceId, sender: 'admin', dialect: '0.3', body, agentOf: () => agent },
    }),
  )
  body.end(frames.join(''))
  await eventually(() => reader.isOver())
  const key = { workspaceId, taskId: agent.taskId }
  await eventually(async () => (await replica.streams.find(key))?.isEnded)
}

const waiting = async (): Promise<number> => {
  const rows = await database.sql`
    SELECT id FROM a2a_push_outbox WHERE workspace_id = ${workspaceId}`
  return rows.length
}

/** Waits for the webhook, and is not due. */
const leaveBehind = (events: number, bytes: number) => database.sql`
  INSERT INTO a2a_push_outbox
    (workspace_id, task_id, config_id, event, dialect, next_attempt_at, created_at)
  SELECT ${workspaceId}, ${agent.taskId}, 'one', convert_to(repeat('x', ${bytes}), 'utf8'),
         '1.0', now() + interval '1 day', now()
    FROM generate_series(1, ${events})`

/** Each with one event that is due. */
async function manyWebhooks(of: WorkspaceId, count: number, path: string): Promise<void> {
  const task = { id: 't', contextId: 'c', status: { state: 'TASK_STATE_WORKING' } }
  const event = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { task } })
  await database.sql`
    INSERT INTO a2a_push_configs (workspace_id, task_id, config_id, sender, dialect, url, created_at)
    SELECT ${of}, 't' || n, 'one', 'admin', '1.0', ${`${webhook.url}/${path}`}, now()
      FROM generate_series(1, ${count}) n`
  await database.sql`
    INSERT INTO a2a_push_outbox
      (workspace_id, task_id, config_id, event, dialect, next_attempt_at, created_at)
    SELECT ${of}, 't' || n, 'one', convert_to(${event}, 'utf8'), '1.0', now(), now()
      FROM generate_series(1, ${count}) n`
}

const lease = () => ({ replicaId: randomUUID(), leaseMs: 60_000 })

const dueNow = () => database.sql`
  WITH due AS (
    UPDATE a2a_push_outbox SET next_attempt_at = now() WHERE workspace_id = ${workspaceId}
    RETURNING id)
  SELECT pg_notify('atrium_push', '') FROM due`

describe('a webhook', () => {
  it('is called for every event, in order, in the dialect and with the credentials it has', async () => {
    await keepPushConfig(configDeps(), config())
    await withRelay(AT_HOME, async () => {
      await streamOnce(agent.begin(), agent.artifact('a'), agent.status('completed', true))
      await eventually(() => webhook.requests.length === 3)
    })
    const bodies = webhook.requests.map(({ body }) => JSON.parse(body.toString()) as object)
    expect(bodies.map((body) => Object.keys(body))).toEqual([
      ...[['task'], ['artifactUpdate'], ['statusUpdate']],
    ])
    expect(bodies[2]).toMatchObject({ statusUpdate: { status: { state: 'TASK_STATE_COMPLETED' } } })
    expect(webhook.requests[0]).toMatchObject({
      url: '/hook',
      headers: {
        'content-type': 'application/a2a+json',
        'a2a-version': '1.0',
        authorization: 'Bearer let-me-in',
        'x-a2a-notification-token': 'known-by-this',
      },
    })
    expect(await waiting()).toBe(0)
  })

  it('of a 0.3 caller gets the event as 0.3 writes it', async () => {
    await keepPushConfig(configDeps(), config({ dialect: '0.3', scheme: undefined }))
    await withRelay(AT_HOME, async () => {
      await streamOnce(agent.begin(), agent.status('completed', true))
      await eventually(() => webhook.requests.length === 2)
    })
    const [first] = webhook.requests
    expect(first?.headers['content-type']).toBe('application/json')
    expect(first?.headers.authorization).toBeUndefined()
    expect(JSON.parse(String(first?.body))).toMatchObject({ kind: 'task', id: agent.taskId })
  })

  it('that fails is called again, with nothing overtaking, until it has taken it', async () => {
    await keepPushConfig(configDeps(), config())
    let fails = 2
    webhook.answer = (_, response) => {
      fails -= 1
      response.writeHead(fails >= 0 ? 503 : 200).end()
    }
    await withRelay(AT_HOME, async () => {
      await streamOnce(agent.begin(), agent.status('completed', true))
      await eventually(async () => {
        await dueNow()
        return webhook.requests.length === 4
      })
    })
    const kinds = webhook.requests.map(({ body }) => Object.keys(JSON.parse(String(body)))[0])
    expect(kinds).toEqual(['task', 'task', 'task', 'statusUpdate'])
  })

  it.each([
    ['says that it does not want it', 410],
    ['points somewhere else', 302],
  ])('that %s is not called again', async (_case, status) => {
    await keepPushConfig(configDeps(), config())
    webhook.answer = (_, response) =>
      response.writeHead(status, { location: `${webhook.url}/elsewhere` }).end()
    await withRelay(AT_HOME, async () => {
      await streamOnce(agent.status('completed', true))
      await eventually(async () => webhook.requests.length > 0 && (await waiting()) === 0)
    })
    expect(webhook.requests.map(({ url }) => url)).toEqual(['/hook'])
  })

  it('that always fails is given up', async () => {
    await keepPushConfig(configDeps(), config())
    webhook.answer = (_, response) => response.writeHead(500).end()
    await withRelay(AT_HOME, async () => {
      await streamOnce(agent.status('completed', true))
      await database.sql`
        UPDATE a2a_push_outbox SET attempts = ${MAX_PUSH_ATTEMPTS - 2}
         WHERE workspace_id = ${workspaceId}`
      await eventually(async () => {
        await dueNow()
        return (await waiting()) === 0
      })
    })
    expect(webhook.requests.length).toBeLessThanOrEqual(3)
    expect(webhook.requests.length).toBeGreaterThanOrEqual(2)
  })

  it('that hangs holds up no other', async () => {
    await keepPushConfig(configDeps(), config({ configId: 'hangs', url: `${webhook.url}/hangs` }))
    await keepPushConfig(configDeps(), config())
    const hanging: ServerResponse[] = []
    webhook.answer = ({ url }, response) => {
      if (url === '/hangs') hanging.push(response)
      else response.writeHead(200).end()
    }
    await withRelay(AT_HOME, async () => {
      await streamOnce(agent.begin(), agent.artifact('a'), agent.status('completed', true))
      await eventually(
        () => webhook.requests.filter(({ url }) => url === '/hook').length === 3,
        8_000,
      )
      expect(hanging).toHaveLength(1)
      await dropPushConfig(configDeps(), config({ configId: 'hangs' }), undefined)
      hanging[0]?.end()
    })
  })

  it.each([
    ['events', 1_000, 1],
    ['bytes', 1, 16 * 1024 * 1024],
  ])(
    'that takes nothing is told of the end only, until it has caught up: %s',
    async (_case, events, bytes) => {
      await keepPushConfig(configDeps(), config())
      await leaveBehind(events, bytes)
      await streamOnce(agent.begin(), agent.artifact('a'), agent.status('completed', true))
      // The end, and nothing before it.
      expect(await waiting()).toBe(events + 1)
      const [last] = await database.sql<{ event: string }[]>`
      SELECT convert_from(event, 'utf8') AS event FROM a2a_push_outbox
       WHERE workspace_id = ${workspaceId} ORDER BY id DESC LIMIT 1`
      expect(last?.event).toContain('"final":true')
      await database.sql`
      DELETE FROM a2a_push_outbox WHERE id IN (
        SELECT id FROM a2a_push_outbox WHERE workspace_id = ${workspaceId} ORDER BY id LIMIT 2)`
      await streamOnce(agent.artifact('b'), agent.status('completed', true))
      expect(await waiting()).toBe(events + 1)
      await dropPushConfig(configDeps(), config(), undefined)
    },
  )

  it('is not called again because of a database that was away when it had been told', async () => {
    await keepPushConfig(configDeps(), config())
    const gate = await openDatabaseGate(database.url)
    const client = openDatabase({ url: gate.url, maxConnections: 2 })
    let answered = 0
    webhook.answer = async (_, response) => {
      await gate.shut()
      response.writeHead(200).end(() => {
        answered += 1
      })
    }
    const outage = async (): Promise<void> => {
      await streamOnce(agent.status('completed', true))
      await eventually(() => answered === 1)
      expect(await waiting()).toBe(1)
      await gate.open()
      await eventually(async () => (await waiting()) === 0)
    }
    try {
      await withRelay(AT_HOME, outage, client)
      expect(webhook.requests).toHaveLength(1)
    } finally {
      await client.abandon()
      await gate.shut()
    }
  })

  it('that takes nothing is told of so many ends and no more', async () => {
    await keepPushConfig(configDeps(), config())
    await leaveBehind(1_099, 1)
    for (let turn = 0; turn < 2; turn += 1) await streamOnce(agent.status('completed', true))
    expect(await waiting()).toBe(1_100)
    await dropPushConfig(configDeps(), config(), undefined)
  })

  it('is claimed by one replica only, however many ask at once', async () => {
    await database.sql`
      INSERT INTO a2a_push_configs (workspace_id, task_id, config_id, sender, dialect, url, created_at)
      SELECT ${workspaceId}, 't' || n, 'one', 'admin', '1.0', ${`${webhook.url}/hook`}, now()
        FROM generate_series(1, 200) n`
    await database.sql`
      INSERT INTO a2a_push_outbox
        (workspace_id, task_id, config_id, event, dialect, next_attempt_at, created_at)
      SELECT ${workspaceId}, 't' || n, 'one', '{}', '1.0', now(), now()
        FROM generate_series(1, 200) n, generate_series(1, 2)`
    const claims = Array.from({ length: 40 }, () =>
      claimPushes(replica.client.sql, { ...lease(), limit: 32, share: 200, under: new Map() }),
    )
    const ids = (await Promise.all(claims)).flat().map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    // Of each webhook the oldest, and nothing behind it.
    expect(ids).toHaveLength(200)
    await database.sql`DELETE FROM a2a_push_configs WHERE workspace_id = ${workspaceId}`
  })

  it('of a workspace whose webhooks all hang does not hold up those of another', async () => {
    const other = await newWorkspace(replica)
    await manyWebhooks(workspaceId, 140, 'hangs')
    await manyWebhooks(other, 3, 'takes')
    const hanging: ServerResponse[] = []
    let isHanging = true
    webhook.answer = ({ url }, response) => {
      if (isHanging && url === '/hangs') hanging.push(response)
      else response.writeHead(200).end()
    }
    const toldOf = (path: string) => webhook.requests.filter(({ url }) => url === path)
    await withRelay(AT_HOME, async () => {
      await eventually(() => toldOf('/takes').length === 3 && hanging.length === 16)
      // With all that still waits it rests, and so does its hourly work.
      await eventually(() => resting === 2)
      expect(hanging).toHaveLength(16)
      isHanging = false
      for (const response of hanging) response.end()
      await eventually(async () => (await waiting()) === 0)
    })
    expect(toldOf('/hangs')).toHaveLength(140)
  })

  it('is claimed by whose workspace has the fewest under way, and as many as its share', async () => {
    const other = await newWorkspace(replica)
    await manyWebhooks(workspaceId, 40, 'hook')
    await manyWebhooks(other, 3, 'hook')
    const claimed = async (limit: number, calls: number) => {
      const under = new Map([[workspaceId, calls]])
      const pushes = await claimPushes(replica.client.sql, { ...lease(), limit, share: 16, under })
      const mine = pushes.filter((push) => push.workspaceId === workspaceId).length
      return [mine, pushes.length - mine]
    }
    expect(await claimed(3, 1)).toEqual([1, 2])
    expect(await claimed(32, 16)).toEqual([0, 1])
    expect(await claimed(32, 6)).toEqual([10, 0])
    await database.sql`DELETE FROM a2a_push_configs WHERE url = ${`${webhook.url}/hook`}`
  })

  it('is called once by however many replicas', async () => {
    await keepPushConfig(configDeps(), config())
    await withRelay(AT_HOME, () =>
      withRelay(AT_HOME, async () => {
        const artifacts = Array.from({ length: 30 }, (_, index) => agent.artifact(`a${index}`))
        await streamOnce(agent.begin(), ...artifacts, agent.status('completed', true))
        await eventually(() => webhook.requests.length >= 32)
        await eventually(async () => (await waiting()) === 0)
      }),
    )
    const told = webhook.requests.map(({ body }) => String(body))
    expect(told).toHaveLength(32)
    expect(new Set(told).size).toBe(32)
  })
})

describe('protects', () => {
  it.each(['http://127.0.0.1/', 'http://169.254.169.254/', 'file:///etc/passwd', 'http://[::1]/x'])(
    'from a webhook at %s, when it is given',
    async (url) => {
      const kept = keepPushConfig(configDeps(OUTSIDE), config({ url }))
      await expect(kept).rejects.toMatchObject({ code: 'invalid_agent_url' })
    },
  )

  it('from an address that became a forbidden one, when it is called', async () => {
    await keepPushConfig(configDeps(), config())
    await withRelay(OUTSIDE, async () => {
      await streamOnce(agent.status('completed', true))
      await eventually(async () => (await waiting()) === 0)
    })
    expect(webhook.requests).toEqual([])
  })

  it('from credentials that are more than one header', async () => {
    const kept = keepPushConfig(configDeps(), config({ credentials: 'a\r\nhost: b' }))
    await expect(kept).rejects.toMatchObject({ code: 'invalid_request_body' })
  })

  it('what the webhook knows us by, in the database and from others', async () => {
    const mine = config()
    expect(await keepPushConfig(configDeps(), mine)).toBe(true)
    const [row] = await database.sql<{ text: string }[]>`
      SELECT row_to_json(c)::text AS text FROM a2a_push_configs c
       WHERE workspace_id = ${workspaceId}`
    expect(row?.text).not.toMatch(/known-by-this|let-me-in/)
    expect(await readPushConfig(configDeps(), mine, 'admin')).toEqual(mine)
    expect(await readPushConfig(configDeps(), mine, 'org_token:x')).toBeUndefined()
    expect(await readPushConfigs(configDeps(), mine.key, 'org_token:x')).toEqual([])
    expect(await keepPushConfig(configDeps(), config({ sender: 'org_token:x' }))).toBe(false)
    expect(await dropPushConfig(configDeps(), mine, 'org_token:x')).toBe(false)
    expect(await dropPushConfig(configDeps(), mine, undefined)).toBe(true)
    expect(await readPushConfigs(configDeps(), mine.key, undefined)).toEqual([])
  })
})

describe('a task that nobody reads', () => {
  it('is followed for its webhook, by asking when its agent has no streams', async () => {
    const still = new PlayedAgent({ hasStreams: false })
    const key = { workspaceId, taskId: still.taskId }
    await keepPushConfig(configDeps(), config({ key }))
    still.asked = { kind: 'task', task: still.task('working') }
    await withRelay(AT_HOME, async () => {
      const watched = replica.streams.watch({
        ...{ key, upstreamTaskId: still.taskId, sender: 'admin', dialect: '0.3' },
        agentOf: () => still,
      })
      expect(await watched).toBe(true)
      await eventually(() => webhook.requests.length === 1)
      still.asked = { kind: 'task', task: still.task('completed', ['a']) }
      await eventually(() => webhook.requests.length === 3)
    })
    const kinds = webhook.requests.map(({ body }) => Object.keys(JSON.parse(String(body)))[0])
    expect(kinds).toEqual(['task', 'task', 'statusUpdate'])
  })
})
