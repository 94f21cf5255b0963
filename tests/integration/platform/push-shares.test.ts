/** What webhooks that hang or take nothing leave to others, and to the disk. */
import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { describe, expect, it } from 'vitest'
import { claimPushes } from '../../../apps/platform/src/db/push-outbox-store.ts'
import type { WorkspaceId } from '../../../apps/platform/src/domain/ids.ts'
import {
  dropPushConfig,
  keepPushConfig,
} from '../../../apps/platform/src/services/push/push-configs.ts'
import { eventually } from '../../support/eventually.ts'
import {
  AT_HOME,
  agent,
  config,
  configDeps,
  database,
  providePushScene,
  replica,
  resting,
  streamOnce,
  waiting,
  webhook,
  withRelay,
  workspaceId,
} from '../../support/push-scene.ts'
import { newWorkspace } from '../../support/streaming-agent.ts'

providePushScene()

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

describe('a webhook', () => {
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
})
