/** Beats that arrive together: grouped on their way, each with an answer of its own. */
import { sha256 } from '@atrium/http-kit/bearer'
import { heartbeatRequest } from '@atrium/runtime-contract/registration'
import { beforeAll, describe, expect, it } from 'vitest'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { recordHeartbeat } from '../../../apps/platform/src/services/record-heartbeat.ts'
import { openEventStream } from '../../support/event-stream-client.ts'
import { eventually } from '../../support/eventually.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()

type Agent = { readonly id: string; readonly authToken: string }

async function agent(): Promise<Agent> {
  const answer = await platform.json('/workspaces', { name: 'ext', runtime: 'external' })
  const body = (await answer.json()) as { id: string; connection: { auth_token: string } }
  const authToken = body.connection.auth_token
  await platform.json('/registry/register', { id: body.id, agent_card: {} }, authToken)
  return { id: body.id, authToken }
}

const beat = (id: string, as: string | null, fields: Record<string, unknown> = {}) =>
  platform.json('/registry/heartbeat', { workspace_id: id, ...fields }, as)

async function read(id: string): Promise<Record<string, unknown>> {
  return (await (await platform.request(`/workspaces/${id}`)).json()) as Record<string, unknown>
}

/** Runs `during` while nobody else can write the row. */
async function whileLocked(id: string, during: () => Promise<void>): Promise<void> {
  await platform.database.sql.begin(async (tx) => {
    await tx`SELECT 1 FROM workspaces WHERE id = ${id} FOR UPDATE`
    await during()
  })
}

let agents: readonly Agent[]

beforeAll(async () => {
  agents = await Promise.all(Array.from({ length: 12 }, agent))
})

describe('many beats at once', () => {
  it('are answered each by itself: good, without, with a wrong and with a foreign token', async () => {
    const answers = await Promise.all(
      agents.flatMap(({ id, authToken }, index) => [
        beat(id, authToken, { uptime_seconds: index + 1 }),
        beat(id, null, { uptime_seconds: 9_000 }),
        beat(id, 'nonsense', { uptime_seconds: 9_001 }),
        beat(id, agents[(index + 1) % agents.length]?.authToken ?? '', { uptime_seconds: 9_002 }),
      ]),
    )
    const errors = await Promise.all(
      answers.map(async (answer) => [answer.status, (await answer.json()) as { error?: string }]),
    )
    for (const [index, [status, body]] of errors.entries()) {
      const expected = [
        [200, undefined],
        [401, 'missing workspace auth token'],
        [401, 'invalid workspace auth token'],
        [401, 'invalid workspace auth token'],
      ][index % 4]
      expect([status, Reflect.get(new Object(body), 'error')]).toEqual(expected)
    }
    for (const [index, { id }] of agents.entries()) {
      expect(await read(id)).toMatchObject({ uptime_seconds: index + 1 })
    }
  })

  it('move only the statuses that have to move', async () => {
    const rates = await Promise.all(
      agents.map(({ id, authToken }, index) =>
        beat(id, authToken, { error_rate: index % 2 === 0 ? 0.8 : 0 }),
      ),
    )
    expect(rates.every(({ status }) => status === 200)).toBe(true)
    const statuses = await Promise.all(agents.map(async ({ id }) => (await read(id))['status']))
    expect(statuses).toEqual(agents.map((_, index) => (index % 2 === 0 ? 'degraded' : 'online')))
    await Promise.all(agents.map(({ id, authToken }) => beat(id, authToken)))
  })

  it('cost far fewer statements than there are beats', async () => {
    // Rows that one transaction wrote carry the same xmin.
    await Promise.all(agents.map(({ id, authToken }) => beat(id, authToken, { active_tasks: 1 })))
    const ids = agents.map(({ id }) => id)
    const rows = await platform.database.sql`
      SELECT count(DISTINCT xmin::text)::int AS transactions FROM workspaces WHERE id = ANY (${ids})`
    expect(Number(rows[0]?.['transactions'])).toBeLessThan(agents.length)
  })
})

describe('a beat whose row is locked', () => {
  it('waits alone, and is stored when the row is free', async () => {
    const [locked, ...others] = agents
    if (locked === undefined) throw new Error('no agents')
    let late: Promise<Response> | undefined
    await whileLocked(locked.id, async () => {
      late = beat(locked.id, locked.authToken, { uptime_seconds: 4_242 })
      const answers = await Promise.all(
        others.map(({ id, authToken }) => beat(id, authToken, { uptime_seconds: 4_243 })),
      )
      expect(answers.map(({ status }) => status)).toEqual(others.map(() => 200))
    })
    expect((await late)?.status).toBe(200)
    expect(await read(locked.id)).toMatchObject({ uptime_seconds: 4_242 })
  })
})

describe('a beat that the database refuses', () => {
  it('fails alone, and the answer says nothing of the database (wart W38)', async () => {
    const [bad, ...others] = agents
    if (bad === undefined) throw new Error('no agents')
    await platform.database.sql.unsafe(`
      CREATE FUNCTION refuse_beat() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.current_task = 'poison' THEN RAISE EXCEPTION 'internal detail'; END IF;
        RETURN NEW; END $$;
      CREATE TRIGGER refuse_beat BEFORE UPDATE ON workspaces
        FOR EACH ROW EXECUTE FUNCTION refuse_beat();`)
    try {
      const answers = await Promise.all([
        beat(bad.id, bad.authToken, { current_task: 'poison' }),
        ...others.map(({ id, authToken }) => beat(id, authToken, { current_task: 'fine' })),
      ])
      expect(answers.map(({ status }) => status)).toEqual([500, ...others.map(() => 200)])
      const text = await answers[0]?.text()
      expect(JSON.parse(text ?? '')).toMatchObject({ error: 'failed to update' })
      expect(text).not.toContain('internal detail')
      for (const { id } of others) expect(await read(id)).toMatchObject({ status: 'online' })
    } finally {
      await platform.database.sql.unsafe(
        'DROP TRIGGER refuse_beat ON workspaces; DROP FUNCTION refuse_beat();',
      )
    }
  })
})

describe('a generation that is not the current one', () => {
  it('is refused at a beat and at a registration, and changes nothing', async () => {
    const own = await platform.onlineWorkspace('http://127.0.0.1:9')
    const dump = async () =>
      JSON.stringify(await platform.database.sql`SELECT * FROM workspaces WHERE id = ${own.id}`)
    const before = await dump()
    for (const generation of [0, 2]) {
      const answers = [
        await beat(own.id, own.authToken, { generation, error_rate: 1, active_tasks: 4 }),
        await platform.json(
          '/registry/register',
          { id: own.id, agent_card: { name: 'usurper' }, generation },
          own.authToken,
        ),
      ]
      for (const answer of answers) {
        expect(answer.status).toBe(409)
        expect(await answer.json()).toMatchObject({
          error: 'a newer start of this workspace has taken over',
          code: 'stale_generation',
        })
      }
    }
    expect(await dump()).toBe(before)
    expect((await beat(own.id, own.authToken, { generation: 1 })).status).toBe(200)
  })
})

describe('two beats of one workspace in one group', () => {
  async function record(own: Agent, fields: { readonly generation: number }): Promise<string> {
    const outcome = await platform.deps.beats.record({
      workspaceId: workspaceIdSchema.parse(own.id),
      tokenHash: sha256(own.authToken),
      ...fields,
      ...{ errorRate: 0, sampleError: '', activeTasks: 0, uptimeSeconds: 0, currentTask: '' },
      ...{ monthlySpend: null, runtimeMetadata: null },
    })
    return outcome.kind
  }

  it.each([[[7, 1]], [[1, 7]]])('of the generations %j are judged each by itself', async (pair) => {
    const own = await platform.onlineWorkspace('http://127.0.0.1:9')
    const send = (generation: number) => record(own, { generation })
    // The first one goes at once; what comes while it is on its way goes together.
    const [ahead, ...outcomes] = await Promise.all([send(1), ...pair.map(send)])
    expect(ahead).toBe('stored')
    expect(outcomes).toEqual(pair.map((generation) => (generation === 1 ? 'stored' : 'stale')))
  })
})

describe('between a beat and the move that it makes', () => {
  /** Sends a beat of `own`, and does `meanwhile` when it is stored and nothing has moved yet. */
  async function beatWhile(own: Agent, meanwhile: () => Promise<unknown>): Promise<unknown> {
    const beats = {
      record: async (...args: Parameters<typeof platform.deps.beats.record>) => {
        const outcome = await platform.deps.beats.record(...args)
        await meanwhile()
        return outcome
      },
    }
    await recordHeartbeat(
      { ...platform.deps, beats },
      {
        beat: heartbeatRequest.parse({ workspace_id: own.id }),
        authorization: `Bearer ${own.authToken}`,
      },
    )
    return (await read(own.id))['status']
  }
  const set = (id: string, status: string) => platform.database.sql`
    UPDATE workspaces SET status = ${status}::workspace_status WHERE id = ${id}`

  it('a new start is not brought online by the beat of the box before it', async () => {
    const own = await platform.onlineWorkspace('http://127.0.0.1:9')
    await set(own.id, 'provisioning')
    const restart = () => platform.database.sql`
      UPDATE workspaces SET generation = generation + 1 WHERE id = ${own.id}`
    expect(await beatWhile(own, restart)).toBe('provisioning')
  })

  it('another move is the last word', async () => {
    const own = await agent()
    await set(own.id, 'offline')
    expect(await beatWhile(own, () => set(own.id, 'degraded'))).toBe('degraded')
  })

  it('a workspace whose back-end has not said where it is stays where it was', async () => {
    const own = await platform.onlineWorkspace('http://127.0.0.1:9')
    await platform.database.sql`
      UPDATE workspaces SET status = 'provisioning', endpoint_url = NULL WHERE id = ${own.id}`
    expect(await beatWhile(own, async () => undefined)).toBe('provisioning')
  })
})

describe('what a beat says of its runtime', () => {
  it('is stored for every replica, and cleared when a beat is silent about it (wart W34)', async () => {
    const [own] = agents
    if (own === undefined) throw new Error('no agents')
    const metadata = async () => {
      const rows = await platform.database.sql`
        SELECT runtime_metadata FROM workspaces WHERE id = ${own.id}`
      return rows[0]?.['runtime_metadata']
    }
    await beat(own.id, own.authToken, {
      runtime_metadata: {
        capabilities: { session: true, retry: false, 'a\u0000b': true },
        idle_timeout_seconds: 900,
        junk: 'x'.repeat(10_000),
      },
    })
    expect(await metadata()).toEqual({
      capabilities: { session: true },
      idle_timeout_seconds: 900,
    })
    await beat(own.id, own.authToken)
    expect(await metadata()).toBeNull()
  })

  it('is held within what its column takes, and refused for no number', async () => {
    const [own] = agents
    if (own === undefined) throw new Error('no agents')
    const numbers = { active_tasks: -1, uptime_seconds: 2 ** 40, monthly_spend: 1e300 }
    expect((await beat(own.id, own.authToken, numbers)).status).toBe(200)
    const rows = await platform.database.sql`
      SELECT active_tasks, uptime_seconds, monthly_spend FROM workspaces WHERE id = ${own.id}`
    expect(rows[0]).toMatchObject({ active_tasks: 0, uptime_seconds: 2 ** 31 - 1 })
    expect(Number(rows[0]?.['monthly_spend'])).toBe(1e12)
  })

  it('is cut between characters where it is longer than a card shows (wart W32)', async () => {
    const [own] = agents
    if (own === undefined) throw new Error('no agents')
    const text = `${'x'.repeat(8_191)}😀 and more`
    expect((await beat(own.id, own.authToken, { sample_error: text })).status).toBe(200)
    const rows = await platform.database.sql`
      SELECT last_sample_error FROM workspaces WHERE id = ${own.id}`
    expect(rows[0]?.['last_sample_error']).toBe('x'.repeat(8_191))
  })
})

describe('a beat after a silence', () => {
  it.each(['offline', 'awaiting_agent', 'provisioning'])(
    'brings a workspace that is %s online, however long it was (wart W20)',
    async (status) => {
      const [own] = agents
      if (own === undefined) throw new Error('no agents')
      await platform.database.sql`
        UPDATE workspaces SET status = ${status}::workspace_status,
          last_heartbeat_at = now() - interval '1 day' WHERE id = ${own.id}`
      expect((await beat(own.id, own.authToken)).status).toBe(200)
      await eventually(async () => (await read(own.id))['status'] === 'online')
    },
  )
})

describe('those who follow a workspace', () => {
  it('hear of every beat, and of a task only when it is another one', async () => {
    const own = await agent()
    const stream = await openEventStream({
      url: `${platform.url}/workspaces/${own.id}/events/stream`,
      bearer: own.authToken,
      withBeats: true,
    })
    await eventually(() => stream.lastId() !== undefined)
    for (const task of ['reading', 'reading', '', '']) {
      await beat(own.id, own.authToken, { current_task: task, active_tasks: 1, uptime_seconds: 5 })
    }
    const [task, heartbeat] = ['TASK_UPDATED', 'WORKSPACE_HEARTBEAT']
    expect(await stream.until(6)).toEqual([
      ...[task, heartbeat, heartbeat],
      ...[task, heartbeat, heartbeat],
    ])
    const data = stream.frames.flatMap((frame) => (frame.data === undefined ? [] : [frame.data]))
    expect(data.slice(0, 2)).toMatchObject([
      { data: { current_task: 'reading', active_tasks: 1 } },
      { data: { active_tasks: 1, uptime_seconds: 5 } },
    ])
    stream.close()
  })
})
