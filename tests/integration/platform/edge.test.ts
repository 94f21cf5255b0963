/** What every request meets before its route (contract/platform 1.0, ADR-0021). */
import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, it } from 'vitest'
import { HeldClock } from '../../support/held-clock.ts'
import {
  ADMIN_TOKEN,
  type OnlineWorkspace,
  type PlatformHarness,
  startPlatformHarness,
} from '../../support/platform-harness.ts'

const BOX = 'http://127.0.0.1:9'
const running: PlatformHarness[] = []
async function start(...given: Parameters<typeof startPlatformHarness>): Promise<PlatformHarness> {
  const platform = await startPlatformHarness(...given)
  running.push(platform)
  return platform
}
afterAll(async () => {
  for (const platform of running) await platform.stop()
})

const limitsOf = (answer: Response) => ({
  status: answer.status,
  limit: answer.headers.get('x-ratelimit-limit'),
  remaining: answer.headers.get('x-ratelimit-remaining'),
})

describe('the limiter', () => {
  it('counts an address per minute, tells so on every answer, and says when to come back', async () => {
    const clock = new HeldClock(new Date())
    const platform = await start({ RATE_LIMIT: '3' }, clock)
    expect(limitsOf(await platform.request('/workspaces'))).toEqual({
      status: 200,
      limit: '3',
      remaining: '2',
    })
    clock.advance(20_000)
    expect(limitsOf(await platform.request('/nope', { as: null }))).toEqual({
      status: 404,
      limit: '3',
      remaining: '1',
    })
    const refusedByScope = await platform.request('/workspaces', { as: null })
    expect(limitsOf(refusedByScope)).toEqual({ status: 401, limit: '3', remaining: '0' })
    expect(refusedByScope.headers.get('x-ratelimit-reset')).toBe('40')
    const answer = await platform.request('/workspaces')
    expect(limitsOf(answer)).toEqual({ status: 429, limit: '3', remaining: '0' })
    expect(answer.headers.get('retry-after')).toBe('40')
    expect(await answer.json()).toMatchObject({
      error: 'rate limit exceeded',
      code: 'rate_limit_exceeded',
      retry_after: 40,
      retryable: true,
    })
    clock.advance(40_000)
    expect((await platform.request('/workspaces')).status).toBe(200)
  })

  it('does not let traffic make an orchestrator believe that the process is ill', async () => {
    const platform = await start({ RATE_LIMIT: '2' })
    for (let round = 0; round < 4; round += 1) await platform.request('/workspaces')
    expect((await platform.request('/health', { as: null })).status).toBe(200)
    expect((await platform.request('/ready', { as: null })).status).toBe(200)
    expect((await platform.request('/health', { as: null })).status).toBe(429)
  })

  it('W35: sees through the proxies that it was told of, and through no other', async () => {
    const platform = await start({
      RATE_LIMIT: '1',
      ATRIUM_TRUSTED_PROXIES: '127.0.0.0/8,10.0.0.0/8',
    })
    const from = async (forwarded: string) =>
      (
        await platform.request('/workspaces', {
          headers: { 'x-forwarded-for': forwarded },
        })
      ).status
    expect(await from('192.0.2.1')).toBe(200)
    expect(await from('192.0.2.2')).toBe(200)
    expect(await from('192.0.2.1')).toBe(429)
    // What stands left of the first stranger was written by that stranger.
    expect(await from('203.0.113.9, 192.0.2.1, 10.1.2.3')).toBe(429)
    expect(await from('192.0.2.2:4711')).toBe(429)
    expect(await from('::ffff:192.0.2.2')).toBe(429)
    expect(await from('2001:db8:7::1')).toBe(200)
    expect(await from('[2001:db8:7:0:ffff::2]:443')).toBe(429)
    // Not an address: the last hop that is one counts, here the peer itself.
    expect(await from('<script>')).toBe(200)
    expect(await from('unknown')).toBe(429)
    const trusting = await start({ RATE_LIMIT: '1' })
    const spoof = (forwarded: string) =>
      trusting.request('/workspaces', { headers: { 'x-forwarded-for': forwarded } })
    expect((await spoof('192.0.2.1')).status).toBe(200)
    expect((await spoof('192.0.2.2')).status).toBe(429)
  })

  it('W35: lets no workspace starve behind an address that it shares', async () => {
    const platform = await start({ RATE_LIMIT: '40' })
    const fleet: OnlineWorkspace[] = []
    for (let each = 0; each < 3; each += 1) fleet.push(await platform.onlineWorkspace(BOX))
    const beat = (of: OnlineWorkspace, as = of.authToken) =>
      platform.json('/registry/heartbeat', { workspace_id: of.id }, as)
    // Live, and never seen before: what every token is to a platform that has just started.
    const unseen = await Promise.all(
      fleet.map(async ({ id }) => {
        const minted = await platform.request(`/workspaces/${id}/tokens`, { method: 'POST' })
        return ((await minted.json()) as { auth_token: string }).auth_token
      }),
    )
    const exhaust = async () => {
      for (;;) if ((await platform.request('/workspaces')).status === 429) return
    }
    await exhaust()
    for (const [index, workspace] of fleet.entries()) {
      expect((await beat(workspace, unseen[index])).status).toBe(200)
      // Many times what the address has left, which is nothing.
      for (let round = 0; round < 30; round += 1) expect((await beat(workspace)).status).toBe(200)
      const path = `/workspaces/${workspace.id}/tokens`
      expect((await platform.request(path, { as: workspace.authToken })).status).toBe(200)
    }
    expect((await platform.request('/workspaces')).status).toBe(429)
  })

  it('is exact for a lone workspace as well', async () => {
    const platform = await start({ RATE_LIMIT: '20' })
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    const statuses: number[] = []
    // Its registration was the first.
    for (let round = 0; round < 21; round += 1) {
      statuses.push((await platform.request(`/workspaces/${id}/tokens`, { as: authToken })).status)
    }
    expect(statuses.indexOf(429)).toBe(19)
  })

  it('takes the first request of a workspace out of its address’s window', async () => {
    const platform = await start({ RATE_LIMIT: '1000' })
    const { id } = await platform.onlineWorkspace(BOX)
    const minted = await platform.request(`/workspaces/${id}/tokens`, { method: 'POST' })
    const { auth_token: unseen } = (await minted.json()) as { auth_token: string }
    const left = async () => Number(limitsOf(await platform.request('/workspaces')).remaining)
    const before = await left()
    await platform.request(`/workspaces/${id}/tokens`, { as: unseen })
    expect(await left()).toBe(before - 1)
  })

  it('counts a token that has ended for its address again', async () => {
    const platform = await start({ RATE_LIMIT: '1000' })
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    const ask = () => platform.request(`/workspaces/${id}/tokens`, { as: authToken })
    const left = async () => Number(limitsOf(await platform.request('/workspaces')).remaining)
    expect((await ask()).status).toBe(200)
    await platform.client.sql`UPDATE workspace_auth_tokens SET revoked_at = now()`
    const before = await left()
    // The first shows that it has ended: in the window it had as a workspace's.
    for (let round = 0; round < 3; round += 1) expect((await ask()).status).toBe(401)
    expect(await left()).toBe(before - 1 - 2)
  })

  it('limits one workspace, and who guesses tokens, without the others', async () => {
    const platform = await start({ RATE_LIMIT: '30' })
    const [loud, calm] = [await platform.onlineWorkspace(BOX), await platform.onlineWorkspace(BOX)]
    const beat = async (of: { id: string }, as: string) =>
      (await platform.json('/registry/heartbeat', { workspace_id: of.id }, as)).status
    const guesses: number[] = []
    for (let guess = 0; guess < 35; guess += 1)
      guesses.push(await beat(calm, `${guess}`.repeat(20)))
    expect(guesses.slice(0, 30)).toEqual(Array.from({ length: 30 }, () => 401))
    expect(guesses.slice(30)).toEqual([429, 429, 429, 429, 429])
    const beats: number[] = []
    for (let round = 0; round < 35; round += 1) beats.push(await beat(loud, loud.authToken))
    expect(beats.at(0)).toBe(200)
    expect(beats.at(-1)).toBe(429)
    expect(await beat(calm, calm.authToken)).toBe(200)
  })

  it('has none in open development, and says so', async () => {
    const platform = await start({ ATRIUM_MODE: 'development', ADMIN_TOKEN: '', RATE_LIMIT: '1' })
    for (let round = 0; round < 3; round += 1) {
      const answer = await platform.request('/workspaces', { as: null })
      expect(limitsOf(answer)).toEqual({ status: 200, limit: 'unlimited', remaining: null })
    }
  })

  it('makes ten organisation tokens an hour and address', async () => {
    const clock = new HeldClock(new Date())
    const platform = await start({}, clock)
    const mint = () => platform.request('/org/tokens', { method: 'POST' })
    for (let round = 0; round < 10; round += 1) expect((await mint()).status).toBe(200)
    const answer = await mint()
    expect(answer.status).toBe(429)
    expect(answer.headers.get('retry-after')).toBe('3600')
    expect((await platform.request('/org/tokens')).status).toBe(200)
    clock.advance(3_600_000)
    expect((await mint()).status).toBe(200)
  })
})

describe('cross-origin requests', () => {
  const PAGE = 'https://canvas.example'
  const permissionOf = (answer: Response) => [
    answer.headers.get('access-control-allow-origin'),
    answer.headers.get('access-control-allow-credentials'),
  ]

  it('are for the listed origins, on every kind of answer', async () => {
    const platform = await start({ CORS_ORIGINS: `${PAGE}, https://other.example` })
    const { id } = await platform.onlineWorkspace(BOX)
    const paths = ['/workspaces', '/nope', `/workspaces/${id}/chat/download?path=/workspace/a`]
    for (const path of paths) {
      const mine = await platform.request(path, { headers: { origin: PAGE } })
      expect(permissionOf(mine)).toEqual([PAGE, 'true'])
      expect(mine.headers.get('vary')).toContain('Origin')
      for (const origin of [
        'https://evil.example',
        'null',
        `${PAGE}.evil.example`,
        'https://CANVAS.example',
      ]) {
        const foreign = await platform.request(path, { headers: { origin } })
        expect([foreign.status, ...permissionOf(foreign)]).toEqual([mine.status, null, null])
      }
    }
  })

  it('are asked for beforehand without a credential and without being counted', async () => {
    const platform = await start({ CORS_ORIGINS: PAGE, RATE_LIMIT: '1' })
    const preflight = (origin: string) =>
      platform.request('/workspaces', {
        method: 'OPTIONS',
        as: null,
        headers: { origin, 'access-control-request-method': 'POST' },
      })
    for (let round = 0; round < 3; round += 1) {
      const answer = await preflight(PAGE)
      expect(answer.status).toBe(204)
      expect(permissionOf(answer)).toEqual([PAGE, 'true'])
      expect(answer.headers.get('access-control-allow-methods')).toBe(
        'GET, POST, PUT, PATCH, DELETE, OPTIONS',
      )
      expect(answer.headers.get('access-control-allow-headers')).toBe(
        'Origin, Content-Type, X-Workspace-ID, Authorization',
      )
    }
    const foreign = await preflight('https://evil.example')
    expect([...permissionOf(foreign), foreign.headers.get('access-control-allow-methods')]).toEqual(
      [null, null, null],
    )
  })
})

describe('the headers for browsers', () => {
  it('are on every answer; what a route says itself stays', async () => {
    const platform = await start()
    for (const path of ['/health', '/nope', '/workspaces']) {
      const { headers } = await platform.request(path)
      expect(Object.fromEntries(headers)).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'strict-transport-security': 'max-age=31536000; includeSubDomains',
        'referrer-policy': 'strict-origin-when-cross-origin',
        'permissions-policy': 'camera=(), microphone=(), geolocation=()',
        'content-security-policy': "default-src 'self'",
      })
    }
  })
})

describe('the tenant guard', () => {
  const ORG = '0b9c7c1e-org'
  const OPEN = ['/health', '/metrics', '/registry/register', '/registry/heartbeat', '/cp/x']

  it('finds nothing for another tenant, with an empty body, and passes exactly its list', async () => {
    const platform = await start({ MOLECULE_ORG_ID: ORG })
    const seen = async (path: string, headers: Record<string, string> = {}) => {
      const answer = await platform.request(path, { headers })
      const body = await answer.text()
      return answer.status === 404 && body === '' ? 'nothing' : 'something'
    }
    for (const path of OPEN) expect([path, await seen(path)]).toEqual([path, 'something'])
    const closed = [
      ...['/workspaces', '/ready', '/', '/nope', '/org/tokens', `/workspaces/${randomUUID()}`],
      ...['/health/', '/healthz', '/metrics/x', '/registry/register/', '/registry', '/cp', '/cpx/'],
    ]
    for (const path of closed) expect([path, await seen(path)]).toEqual([path, 'nothing'])
    const ours: Record<string, string>[] = [
      { 'x-molecule-org-id': ORG },
      { 'fly-replay-src': `instance=abc;region=ams;t=1;state=${ORG}` },
      { 'fly-replay-src': `state=${ORG}` },
    ]
    for (const headers of ours) {
      expect([headers, await seen('/workspaces', headers)]).toEqual([headers, 'something'])
    }
    const theirs: Record<string, string>[] = [
      { 'x-molecule-org-id': 'other' },
      { 'x-molecule-org-id': ORG.toUpperCase() },
      { 'fly-replay-src': `instance=state=${ORG}` },
      { 'fly-replay-src': `state=${ORG}x` },
      { 'fly-replay-src': `xstate=${ORG}` },
      { origin: platform.url, referer: `${platform.url}/` },
    ]
    for (const headers of theirs) {
      expect([headers, await seen('/workspaces', headers)]).toEqual([headers, 'nothing'])
    }
  })

  it('is not there without an organisation', async () => {
    const platform = await start()
    expect((await platform.request('/workspaces', { as: ADMIN_TOKEN })).status).toBe(200)
  })
})
