import { describe, expect, it } from 'vitest'
import { openDatabase } from '../../../apps/platform/src/db/client.ts'
import { MAX_PUSH_ATTEMPTS } from '../../../apps/platform/src/domain/push-config.ts'
import {
  dropPushConfig,
  keepPushConfig,
  readPushConfig,
  readPushConfigs,
} from '../../../apps/platform/src/services/push/push-configs.ts'
import { openDatabaseGate } from '../../support/database-gate.ts'
import { eventually } from '../../support/eventually.ts'
import {
  AT_HOME,
  agent,
  config,
  configDeps,
  database,
  OUTSIDE,
  providePushScene,
  replica,
  streamOnce,
  waiting,
  webhook,
  withRelay,
  workspaceId,
} from '../../support/push-scene.ts'
import { PlayedAgent } from '../../support/streaming-agent.ts'

providePushScene()

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
