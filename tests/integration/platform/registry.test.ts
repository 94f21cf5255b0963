import { credentialId } from '@atrium/http-kit/bearer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { type PlatformHarness, startPlatformHarness } from '../../support/platform-harness.ts'

let platform: PlatformHarness
let development: PlatformHarness

beforeAll(async () => {
  platform = await startPlatformHarness()
  development = await startPlatformHarness({ ATRIUM_MODE: 'development', ADMIN_TOKEN: '' })
})
afterAll(async () => {
  await Promise.all([platform.stop(), development.stop()])
})

const CARD = { name: 'agent' }
const BOX = 'http://127.0.0.1:9'
const UNKNOWN = '00000000-0000-4000-8000-000000000000'

async function statusOf(on: PlatformHarness, id: string): Promise<string> {
  const answer = await on.request(`/workspaces/${id}`)
  return ((await answer.json()) as { status: string }).status
}

async function setStatus(id: string, status: string): Promise<void> {
  await platform.client.sql`
    UPDATE workspaces SET status = ${status}::workspace_status WHERE id = ${id}`
}

async function externalWorkspace(on = platform, fields: Record<string, unknown> = {}) {
  const answer = await on.json('/workspaces', { name: 'ext', runtime: 'external', ...fields })
  const body = (await answer.json()) as { id: string; connection: { auth_token: string } }
  return { id: body.id, authToken: body.connection.auth_token }
}

describe('POST /registry/register', () => {
  it('refuses a body that is not JSON, and one without id or card', async () => {
    for (const body of [
      '{',
      '[]',
      '{"id":"x"}',
      JSON.stringify({ id: UNKNOWN, agent_card: null }),
    ]) {
      const answer = await platform.request('/registry/register', { method: 'POST', body })
      expect(answer.status).toBe(400)
      expect(await answer.json()).toMatchObject({ error: 'invalid request body' })
    }
  })

  it('refuses an id that is not a UUID before anything else', async () => {
    const answer = await platform.json('/registry/register', { id: 'x', agent_card: CARD })
    expect(answer.status).toBe(400)
  })

  it('refuses an unknown delivery mode', async () => {
    const { id, authToken } = await externalWorkspace()
    const body = { id, agent_card: CARD, delivery_mode: 'pigeon' }
    const answer = await platform.json('/registry/register', body, authToken)
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({
      error: "delivery_mode must be 'push' or 'poll'",
      code: 'invalid_delivery_mode',
    })
  })

  it('defaults an external agent to poll and everything else to push', async () => {
    const external = await externalWorkspace()
    const answer = await platform.json(
      '/registry/register',
      { id: external.id, agent_card: CARD },
      external.authToken,
    )
    expect(await answer.json()).toMatchObject({ status: 'registered', delivery_mode: 'poll' })
    const own = await platform.onlineWorkspace(BOX)
    const again = await platform.json(
      '/registry/register',
      { id: own.id, agent_card: CARD },
      own.authToken,
    )
    expect(await again.json()).toMatchObject({ delivery_mode: 'push' })
  })

  it('keeps the stored mode over the default, and the payload over the stored one', async () => {
    const { id, authToken } = await externalWorkspace(platform, { delivery_mode: 'push' })
    const bare = await platform.json('/registry/register', { id, agent_card: CARD }, authToken)
    expect(bare.status).toBe(400)
    expect(await bare.json()).toMatchObject({ code: 'agent_url_required' })
    const poll = { id, agent_card: CARD, delivery_mode: 'poll' }
    const answer = await platform.json('/registry/register', poll, authToken)
    expect(await answer.json()).toMatchObject({ delivery_mode: 'poll' })
  })

  it('brings the workspace online and hands out the inbound secret every time', async () => {
    const { id, authToken } = await externalWorkspace()
    const secrets: string[] = []
    for (let round = 0; round < 2; round += 1) {
      const answer = await platform.json('/registry/register', { id, agent_card: CARD }, authToken)
      const body = (await answer.json()) as Record<string, string>
      expect(body['auth_token']).toBeUndefined()
      secrets.push(body['platform_inbound_secret'] ?? '')
    }
    expect(secrets[0]).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(secrets[1]).toBe(secrets[0])
    expect(await statusOf(platform, id)).toBe('online')
  })

  it('omits the secret and still succeeds when it cannot be read', async () => {
    const { id, authToken } = await externalWorkspace()
    await platform.client.sql`
      UPDATE workspaces SET inbound_secret_current = 'v1.ffffffff.AAAA' WHERE id = ${id}`
    const answer = await platform.json('/registry/register', { id, agent_card: CARD }, authToken)
    expect(answer.status).toBe(200)
    expect(await answer.json()).not.toHaveProperty('platform_inbound_secret')
  })

  it('answers an opaque 500 when the database refuses the write', async () => {
    const { id, authToken } = await externalWorkspace()
    await platform.client.sql.unsafe(`
      CREATE FUNCTION refuse_card() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'internal detail'; END $$;
      CREATE TRIGGER refuse_card BEFORE UPDATE OF agent_card ON workspaces
        FOR EACH ROW EXECUTE FUNCTION refuse_card();`)
    try {
      const answer = await platform.json('/registry/register', { id, agent_card: CARD }, authToken)
      expect(answer.status).toBe(500)
      const text = await answer.text()
      expect(JSON.parse(text)).toMatchObject({ error: 'registration failed' })
      expect(text).not.toContain('internal detail')
    } finally {
      await platform.client.sql.unsafe(
        'DROP TRIGGER refuse_card ON workspaces; DROP FUNCTION refuse_card();',
      )
    }
  })

  it('lets nobody but the workspace itself move its URL', async () => {
    const victim = await externalWorkspace()
    const other = await externalWorkspace()
    const hijack = { id: victim.id, agent_card: CARD, url: 'http://93.184.216.34/' }
    const attempts = [
      [null, 'missing workspace auth token'],
      [other.authToken, 'invalid workspace auth token'],
      ['nonsense', 'invalid workspace auth token'],
    ] as const
    for (const [as, error] of attempts) {
      const answer = await platform.json('/registry/register', hijack, as)
      expect(answer.status).toBe(401)
      expect(await answer.json()).toMatchObject({ error })
    }
    expect(await statusOf(platform, victim.id)).toBe('awaiting_agent')
  })

  it('creates no workspace for an unknown id, and answers it like a foreign one', async () => {
    const answer = await platform.json(
      '/registry/register',
      { id: UNKNOWN, agent_card: CARD, delivery_mode: 'poll' },
      null,
    )
    expect(answer.status).toBe(401)
    expect(await answer.json()).toMatchObject({ error: 'missing workspace auth token' })
    expect((await platform.request(`/workspaces/${UNKNOWN}`)).status).toBe(404)
  })

  it('does not resurrect a removed workspace', async () => {
    const { id, authToken } = await externalWorkspace()
    await platform.request(`/workspaces/${id}`, { method: 'DELETE' })
    const answer = await platform.json('/registry/register', { id, agent_card: CARD }, authToken)
    expect(answer.status).toBe(401)
    expect((await platform.request(`/workspaces/${id}`)).status).toBe(404)
  })

  it.each(['paused', 'hibernated', 'hibernating'])(
    'does not wake a %s workspace',
    async (status) => {
      const { id, authToken } = await externalWorkspace()
      await setStatus(id, status)
      const answer = await platform.json('/registry/register', { id, agent_card: CARD }, authToken)
      expect(answer.status).toBe(200)
      expect(await statusOf(platform, id)).toBe(status)
    },
  )

  it('ignores what a provisioned workspace says about its own address', async () => {
    const own = await platform.onlineWorkspace(BOX)
    const body = { id: own.id, agent_card: CARD, url: 'http://169.254.169.254/' }
    const answer = await platform.json('/registry/register', body, own.authToken)
    expect(answer.status).toBe(200)
    const row = (await (await platform.request(`/workspaces/${own.id}`)).json()) as { url: string }
    expect(row.url).toBe(BOX)
  })

  it.each([
    'ftp://93.184.216.34/',
    'http://user:pw@93.184.216.34/',
    'http://127.0.0.1:8000/',
    'http://0x7f.1/',
    'http://2130706433/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::127.0.0.1]/',
    'http://169.254.169.254/latest/meta-data',
    'http://168.63.129.16/',
    'http://100.64.0.1/',
    'http://10.0.0.1/',
    'http://192.168.1.1/',
    'http://0.0.0.0/',
    'http://224.0.0.1/',
    'http://240.0.0.1/',
    'http://198.18.0.1/',
    'http://[fe80::1]/',
    'http://[fd00:ec2::254]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[2002:7f00:1::]/',
    'http://localhost/',
    'not a url',
  ])('refuses the agent URL %s and stores nothing', async (url) => {
    const { id, authToken } = await externalWorkspace()
    const body = { id, agent_card: CARD, url, delivery_mode: 'push' }
    const answer = await platform.json('/registry/register', body, authToken)
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ code: 'invalid_agent_url' })
    expect(await statusOf(platform, id)).toBe('awaiting_agent')
  })
})

describe("POST /registry/register in development: the contract's open bootstrap", () => {
  it('creates an unknown workspace and mints its first token once', async () => {
    const body = { id: UNKNOWN, agent_card: CARD, url: 'http://127.0.0.1:8000/' }
    const first = await development.json('/registry/register', body, null)
    expect(first.status).toBe(200)
    const { auth_token: authToken } = (await first.json()) as { auth_token: string }
    expect(authToken).toMatch(/^[A-Za-z0-9_-]{43}$/)
    const second = await development.json('/registry/register', body, null)
    expect(second.status).toBe(401)
    expect(await second.json()).toMatchObject({ error: 'missing workspace auth token' })
    const third = await development.json('/registry/register', body, authToken)
    expect(await third.json()).not.toHaveProperty('auth_token')
  })
})

describe('of many that claim a zero-token workspace at once', () => {
  const claimants = Array.from({ length: 8 }, (_, index) => `http://127.0.0.1:${8001 + index}/`)

  async function claim(id: string): Promise<Response[]> {
    return Promise.all(
      claimants.map((url) =>
        development.json('/registry/register', { id, agent_card: CARD, url }, null),
      ),
    )
  }

  it.each(['an unknown one', 'one whose tokens were revoked'])(
    'exactly one gets %s, and its address stays',
    async (which) => {
      let id: string = crypto.randomUUID()
      if (which !== 'an unknown one') {
        id = (await externalWorkspace(development)).id
        await development.client.sql`
          UPDATE workspace_auth_tokens SET revoked_at = now() WHERE workspace_id = ${id}`
      }
      const answers = await claim(id)
      const winner = answers.findIndex(({ status }) => status === 200)
      expect(answers.filter(({ status }) => status === 401)).toHaveLength(claimants.length - 1)
      const rows = await development.client.sql`SELECT agent_url FROM workspaces WHERE id = ${id}`
      expect(rows[0]?.['agent_url']).toBe(claimants[winner])
    },
  )
})

describe('POST /registry/heartbeat', () => {
  const beat = (id: string, authToken: string | null, fields: Record<string, unknown> = {}) =>
    platform.json('/registry/heartbeat', { workspace_id: id, ...fields }, authToken)

  it('stores the beat', async () => {
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    const answer = await beat(id, authToken, {
      active_tasks: 2,
      uptime_seconds: 77,
      current_task: 'reading',
      error_rate: 0.25,
    })
    expect(await answer.json()).toMatchObject({ status: 'ok' })
    const rows = (await (await platform.request('/workspaces')).json()) as { id: string }[]
    expect(rows.find((row) => row.id === id)).toMatchObject({
      active_tasks: 2,
      uptime_seconds: 77,
      current_task: 'reading',
      last_error_rate: 0.25,
    })
  })

  it('survives text that PostgreSQL cannot store', async () => {
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    const answer = await beat(id, authToken, { sample_error: 'a\u0000b', current_task: '\ud800' })
    expect(answer.status).toBe(200)
  })

  it('takes null for absent, as it does in a registration', async () => {
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    const fields = ['error_rate', 'sample_error', 'active_tasks', 'uptime_seconds', 'current_task']
    const more = ['monthly_spend', 'runtime_state', 'runtime_metadata', 'inbound_secret_id']
    const nothing = Object.fromEntries([...fields, ...more].map((field) => [field, null]))
    expect((await beat(id, authToken, nothing)).status).toBe(200)
    const external = await externalWorkspace()
    const body = { id: external.id, agent_card: CARD, url: null, delivery_mode: null }
    const answer = await platform.json('/registry/register', body, external.authToken)
    expect(await answer.json()).toMatchObject({ status: 'registered', delivery_mode: 'poll' })
  })

  it('clamps a monthly spend and writes none that is not positive', async () => {
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    const spend = async () => {
      const rows = await platform.client.sql`SELECT monthly_spend FROM workspaces WHERE id = ${id}`
      return Number(rows[0]?.['monthly_spend'])
    }
    await beat(id, authToken, { monthly_spend: 500 })
    expect(await spend()).toBe(500)
    await beat(id, authToken, { monthly_spend: -5 })
    await beat(id, authToken, { monthly_spend: 0 })
    expect(await spend()).toBe(500)
    await beat(id, authToken, { monthly_spend: 1e15 })
    expect(await spend()).toBe(1e12)
  })

  it('delivers the inbound secret unless the beat proves that it is held', async () => {
    const { id, authToken, inboundSecret } = await platform.onlineWorkspace(BOX)
    const bare = await beat(id, authToken)
    expect(await bare.json()).toMatchObject({ platform_inbound_secret: inboundSecret })
    const stale = await beat(id, authToken, { inbound_secret_id: credentialId('another') })
    expect(await stale.json()).toMatchObject({ platform_inbound_secret: inboundSecret })
    const held = await beat(id, authToken, { inbound_secret_id: credentialId(inboundSecret) })
    expect(await held.json()).toEqual({ status: 'ok' })
  })

  it('refuses beats without, with a wrong and with a foreign token, and changes nothing', async () => {
    const { id } = await platform.onlineWorkspace(BOX)
    const other = await platform.onlineWorkspace(BOX)
    for (const as of [null, 'nonsense', other.authToken]) {
      expect((await beat(id, as, { active_tasks: 9 })).status).toBe(401)
    }
    const row = (await (await platform.request(`/workspaces/${id}`)).json()) as object
    expect(row).toMatchObject({ active_tasks: 0 })
  })

  const transitions: readonly [string, Record<string, unknown>, string][] = [
    ['online', { runtime_state: 'wedged' }, 'degraded'],
    ['online', { error_rate: 0.5 }, 'degraded'],
    ['online', { error_rate: 0.49 }, 'online'],
    [
      'online',
      { error_rate: 0.9, runtime_metadata: { capabilities: { status_mgmt: true } } },
      'online',
    ],
    ['degraded', { error_rate: 0.09 }, 'online'],
    ['degraded', { error_rate: 0.1 }, 'degraded'],
    ['degraded', { error_rate: 0, runtime_state: 'wedged' }, 'degraded'],
    ['offline', {}, 'online'],
    ['provisioning', {}, 'online'],
    ['awaiting_agent', {}, 'online'],
    ['failed', {}, 'failed'],
    ['paused', {}, 'paused'],
    ['hibernated', {}, 'hibernated'],
    ['hibernating', {}, 'hibernating'],
  ]
  it.each(transitions)('moves %s with %j to %s', async (from, fields, to) => {
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    await setStatus(id, from)
    expect((await beat(id, authToken, fields)).status).toBe(200)
    expect(await statusOf(platform, id)).toBe(to)
  })
})

describe('a provisioned workspace', () => {
  it('is online only when both its agent and its provisioner have spoken', async () => {
    const { promise, resolve } = Promise.withResolvers<string>()
    platform.provisioner.endpoint = () => promise
    const created = await platform.json('/workspaces', { name: 'slow', runtime: 'echo' })
    const { id } = (await created.json()) as { id: string }
    const start = await eventually(() =>
      platform.provisioner.starts.find((each) => each.workspaceId === id),
    )
    const authToken = start.credentials.authToken.reveal()
    const answer = await platform.json('/registry/register', { id, agent_card: CARD }, authToken)
    expect(answer.status).toBe(200)
    expect(await statusOf(platform, id)).toBe('provisioning')
    resolve(BOX)
    await eventually(async () => (await statusOf(platform, id)) === 'online')
  })
})
