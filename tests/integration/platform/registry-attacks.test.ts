/**
 * What strangers, neighbours and fallen agents try at the registry: every attempt is refused with its
 * status and code, and the database holds afterwards what it held before, byte for byte.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()

const CARD = { name: 'usurper' }
const UNKNOWN = '00000000-0000-4000-8000-000000000000'

type Agent = { readonly id: string; readonly authToken: string }

let victim: Agent
let neighbour: Agent
let removed: Agent
let revoked: Agent
/** Counts who comes. */
let inner: Server
let visits = 0

beforeAll(async () => {
  inner = createServer((_, response) => response.end('credentials'))
  inner.on('connection', () => {
    visits += 1
  })
  await new Promise<void>((resolve) => {
    inner.listen(0, '127.0.0.1', resolve)
  })
  victim = await external()
  neighbour = await external()
  removed = await external()
  revoked = await external()
  for (const agent of [victim, neighbour]) {
    await register({ id: agent.id, agent_card: {}, delivery_mode: 'poll' }, agent.authToken)
  }
  await platform.request(`/workspaces/${removed.id}`, { method: 'DELETE' })
  await platform.client.sql`
    UPDATE workspace_auth_tokens SET revoked_at = now() WHERE workspace_id = ${revoked.id}`
})
afterAll(async () => {
  await new Promise((resolve) => {
    inner.close(resolve)
  })
})

async function external(): Promise<Agent> {
  const answer = await platform.json('/workspaces', { name: 'ext', runtime: 'external' })
  const body = (await answer.json()) as { id: string; connection: { auth_token: string } }
  return { id: body.id, authToken: body.connection.auth_token }
}

const register = (body: unknown, as: string | null) => platform.json('/registry/register', body, as)

const innerUrl = (): string => `http://127.0.0.1:${(inner.address() as AddressInfo).port}/`

/** Every table but the audit trail, which is there to tell of this; uses of tokens may be noted. */
async function dump(): Promise<string> {
  const { sql } = platform.client
  const tables = await sql<{ name: string }[]>`
    SELECT relname AS name FROM pg_class
     WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
       AND relname NOT IN ('audit_events', 'replicas', 'sweep_passes')
     ORDER BY relname`
  const contents: unknown[] = []
  for (const { name } of tables) {
    const rows = await sql.unsafe(
      `SELECT to_jsonb(t) - 'last_used_at' - 'seq' AS row FROM "${name}" t`,
    )
    contents.push([name, rows.map(({ row }) => JSON.stringify(row)).toSorted()])
  }
  return JSON.stringify(contents, null, 1)
}

type Attempt = {
  readonly what: string
  readonly send: () => Promise<Response>
  readonly refusal: readonly [status: number, code: string]
}

const noBearer = [401, 'missing_workspace_token'] as const
const badBearer = [401, 'invalid_workspace_token'] as const
const badUrl = [400, 'invalid_agent_url'] as const
const tooLarge = [413, 'payload_too_large'] as const

/** The same three calls in the name of `id`, with whatever credential. */
function inTheNameOf(what: string, id: () => string, as: () => string | null): readonly Attempt[] {
  const refusal = what.startsWith('no bearer') ? noBearer : badBearer
  const calls: Record<string, () => [string, unknown]> = {
    register: () => [
      'register',
      { id: id(), agent_card: CARD, url: 'http://93.184.216.34/', delivery_mode: 'push' },
    ],
    beat: () => ['heartbeat', { workspace_id: id(), error_rate: 1, active_tasks: 99 }],
    'new card': () => ['update-card', { workspace_id: id(), agent_card: CARD }],
  }
  return Object.entries(calls).map(([call, body]) => ({
    what: `${what}: ${call}`,
    send: () => platform.json(`/registry/${body()[0]}`, body()[1], as()),
    refusal,
  }))
}

const ATTEMPTS: readonly Attempt[] = [
  ...inTheNameOf(
    'no bearer',
    () => victim.id,
    () => null,
  ),
  ...inTheNameOf(
    'an invented bearer',
    () => victim.id,
    () => 'x'.repeat(43),
  ),
  ...inTheNameOf(
    "a neighbour's bearer",
    () => victim.id,
    () => neighbour.authToken,
  ),
  ...inTheNameOf(
    'a revoked bearer',
    () => revoked.id,
    () => revoked.authToken,
  ),
  ...inTheNameOf(
    'W12: a removed workspace',
    () => removed.id,
    () => removed.authToken,
  ),
  ...inTheNameOf(
    'no bearer, W13: a workspace without tokens',
    () => revoked.id,
    () => null,
  ),
  ...inTheNameOf(
    'no bearer, W12: an unknown workspace',
    () => UNKNOWN,
    () => null,
  ),
  ...inTheNameOf(
    "an unknown workspace, a neighbour's bearer",
    () => UNKNOWN,
    () => neighbour.authToken,
  ),
  ...inTheNameOf(
    "W14: the operator's bearer",
    () => victim.id,
    () => platform.config.identity.adminToken?.reveal() ?? '',
  ),
  {
    what: 'W33: an id that is none',
    send: () => register({ id: "x' OR 1=1", agent_card: CARD }, victim.authToken),
    refusal: [400, 'invalid_request_body'],
  },
  {
    what: 'an older generation',
    send: () => register({ id: victim.id, agent_card: CARD, generation: 7 }, victim.authToken),
    refusal: [409, 'stale_generation'],
  },
  {
    what: "W15: discovery in another's name",
    send: () =>
      platform.request(`/registry/discover/${victim.id}`, {
        as: neighbour.authToken,
        headers: { 'x-workspace-id': victim.id },
      }),
    refusal: badBearer,
  },
  {
    what: "another's peers",
    send: () => platform.request(`/registry/${victim.id}/peers`, { as: neighbour.authToken }),
    refusal: badBearer,
  },
  ...[
    ...['http://169.254.169.254/latest/', 'http://2852039166/', 'http://0xa9fea9fe/'],
    ...['http://0251.0376.0251.0376/', 'http://169.254.43518/', 'http://169。254。169。254/'],
    ...['http://[::ffff:a9fe:a9fe]/', 'http://[64:ff9b::a9fe:a9fe]/', 'http://[2002:a9fe:a9fe::]/'],
    ...['http://[fd00:ec2::254]/', 'http://metadata.google.internal./', 'http://METADATA/'],
    ...['http://168.63.129.16/', 'http://100.100.100.200/', 'http://x@169.254.169.254/'],
    ...['http://localhost:5432/', 'http://127.1/', 'http://[::1]/', 'http://0/', 'gopher://a/'],
  ].map(
    (url): Attempt => ({
      what: `the address ${url}`,
      send: () =>
        register({ id: victim.id, agent_card: CARD, url, delivery_mode: 'push' }, victim.authToken),
      refusal: badUrl,
    }),
  ),
  ...['register', 'update-card', 'heartbeat'].map(
    (call): Attempt => ({
      what: `W30: a body that is too large to ${call}`,
      send: () => {
        const names = { id: victim.id, workspace_id: victim.id }
        const card = { agent_card: { name: 'x'.repeat(1024 ** 2) } }
        return platform.json(`/registry/${call}`, { ...names, ...card }, victim.authToken)
      },
      refusal: tooLarge,
    }),
  ),
  {
    what: 'W23: an external creation at a metadata address',
    send: () =>
      platform.json('/workspaces', { name: 'x', external: true, url: 'http://169.254.169.254/' }),
    refusal: badUrl,
  },
]

describe('of the registry', () => {
  it.each(ATTEMPTS.map((attempt) => [attempt.what, attempt] as const))(
    '%s: refused, and nothing changes',
    async (_, { send, refusal }) => {
      const before = await dump()
      expect(before).toContain(victim.id)
      const answer = await send()
      const body = (await answer.json()) as { code: string }
      expect([answer.status, body.code]).toEqual(refusal)
      expect(JSON.stringify(body)).not.toMatch(/select|insert|workspaces\b.*where|169\.254/i)
      expect(await dump()).toBe(before)
    },
  )

  it("a neighbour's bearer is in the audit trail as often as it was tried", async () => {
    const { refusedUses } = platform.deps
    const ofNeighbour = ATTEMPTS.filter(({ what }) => /neighbour|W15|another's/.test(what))
    // What is counted is written at its latest when nothing more is to come.
    await refusedUses.stop()
    await platform.client.sql`
      DELETE FROM audit_events WHERE action = 'workspace_token.foreign_use'`
    for (const { send } of ofNeighbour) await send()
    await refusedUses.stop()
    const rows = await platform.client.sql`
      SELECT sum(count)::int AS uses FROM audit_events
       WHERE action = 'workspace_token.foreign_use' AND workspace_id = ${neighbour.id}`
    expect(rows[0]).toEqual({ uses: ofNeighbour.length })
  })

  it('an address that was let in once is judged again when it is called (W28)', async () => {
    const pushed = await external()
    const body = {
      id: pushed.id,
      agent_card: {},
      url: 'http://93.184.216.34/',
      delivery_mode: 'push',
    }
    expect((await register(body, pushed.authToken)).status).toBe(200)
    // As a name would that has changed its mind since.
    await platform.client
      .sql`UPDATE workspaces SET agent_url = ${innerUrl()} WHERE id = ${pushed.id}`
    const message = { jsonrpc: '2.0', id: 1, method: 'tasks/get', params: { id: 'x' } }
    const answer = await platform.json(`/workspaces/${pushed.id}/a2a`, message)
    const problem = (await answer.json()) as { error: { data: { code: string } } }
    expect([answer.status, problem.error.data.code]).toEqual([502, 'agent_url_not_routable'])
    const file = await platform.request(`/workspaces/${pushed.id}/chat/download?path=/workspace/a`)
    expect(await file.json()).toMatchObject({ code: 'agent_url_not_routable' })
    expect(visits).toBe(0)
  })

  it('a paused workspace is woken by nobody who registers or beats (W12)', async () => {
    for (const status of ['paused', 'hibernated', 'hibernating']) {
      await platform.client.sql`
        UPDATE workspaces SET status = ${status}::workspace_status WHERE id = ${neighbour.id}`
      const card = { id: neighbour.id, agent_card: {} }
      expect((await register(card, neighbour.authToken)).status).toBe(200)
      const beat = { workspace_id: neighbour.id }
      await platform.json('/registry/heartbeat', beat, neighbour.authToken)
      const rows = await platform.client.sql`
        SELECT status FROM workspaces WHERE id = ${neighbour.id}`
      expect(rows[0]?.['status']).toBe(status)
    }
  })

  it('of two that mint an inbound secret at once both learn the one that counts (W26)', async () => {
    const agent = await external()
    const body = { id: agent.id, agent_card: {}, delivery_mode: 'poll' }
    await platform.client.sql`
      UPDATE workspaces SET inbound_secret_current = NULL WHERE id = ${agent.id}`
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => register(body, agent.authToken)),
    )
    const secrets = await Promise.all(
      answers.map(async (answer) => {
        const told = (await answer.json()) as { platform_inbound_secret: string }
        return told.platform_inbound_secret
      }),
    )
    expect(new Set(secrets).size).toBe(1)
    await eventually(async () => {
      const last = (await (await register(body, agent.authToken)).json()) as {
        platform_inbound_secret: string
      }
      return last.platform_inbound_secret === secrets[0]
    })
  })
})
