/** Session cookies: the control plane's word, remembered for a while (contract/platform 3.7). */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { SessionCheck } from '../../../apps/platform/src/services/session-check.ts'
import { SessionAuthority } from '../../../apps/platform/src/upstream/session-authority.ts'
import { HeldClock } from '../../support/held-clock.ts'
import { type PlatformHarness, startPlatformHarness } from '../../support/platform-harness.ts'
import { type SessionServer, startSessionServer } from '../../support/session-server.ts'

const UNVERIFIED = { code: 'session_unverified' }

let server: SessionServer
beforeAll(async () => {
  server = await startSessionServer()
})
afterAll(() => server.close())
beforeEach(() => {
  server.members.clear()
  server.asked.length = 0
  server.answer = undefined
})

describe('the check of a session', () => {
  let clock: HeldClock
  let authority: SessionAuthority
  let check: SessionCheck

  beforeEach(() => {
    clock = new HeldClock()
    authority = new SessionAuthority({ controlPlaneUrl: server.url, orgSlug: 'a & b' })
    check = new SessionCheck({ clock, authority })
  })
  afterEach(() => authority.close())

  const member = (userId: string) => ({ kind: 'operator', via: 'session', userId })

  it('asks for the tenant with the cookie as it came, and remembers a yes for 30 s', async () => {
    server.members.set('sid=1; theme=dark', 'u1')
    expect(await check.operatorOf('sid=1; theme=dark')).toEqual(member('u1'))
    expect(server.asked).toEqual([
      { path: '/cp/auth/tenant-member?slug=a+%26+b', cookie: 'sid=1; theme=dark' },
    ])
    server.members.clear()
    clock.advance(29_999)
    expect(await check.operatorOf('sid=1; theme=dark')).toEqual(member('u1'))
    clock.advance(1)
    expect(await check.operatorOf('sid=1; theme=dark')).toBeUndefined()
    expect(server.asked).toHaveLength(2)
  })

  it('remembers a no for 5 s', async () => {
    expect(await check.operatorOf('sid=2')).toBeUndefined()
    server.members.set('sid=2', 'u2')
    clock.advance(4_999)
    expect(await check.operatorOf('sid=2')).toBeUndefined()
    clock.advance(1)
    expect(await check.operatorOf('sid=2')).toEqual(member('u2'))
  })

  it('takes nobody’s cookie for another’s, and asks once for many at once', async () => {
    server.members.set('sid=a', 'a')
    server.members.set('sid=b', 'b')
    const asked = Array.from({ length: 20 }, () => ['sid=a', 'sid=b', 'sid=c']).flat()
    const operators = await Promise.all(asked.map((cookie) => check.operatorOf(cookie)))
    for (const [index, operator] of operators.entries()) {
      expect(operator).toEqual([member('a'), member('b'), undefined][index % 3])
    }
    expect(server.asked).toHaveLength(3)
  })

  it.each([
    ['a member that is none', { member: 'true', user_id: 'u' }],
    ['a member without a name', { member: true, user_id: '' }],
    ['a name that is no text', { member: true, user_id: 7 }],
    ['a name with a line break', { member: true, user_id: 'u\nadmin' }],
    ['nothing', null],
  ])('is nobody’s for %s', async (_, body) => {
    server.answer = (_request, response) => response.end(JSON.stringify(body))
    expect(await check.operatorOf('sid=3')).toBeUndefined()
  })

  it.each([201, 302, 401, 403, 404])(
    'is nobody’s for a %d, whatever the body says',
    async (status) => {
      server.answer = (_request, response) =>
        response
          .writeHead(status, { location: `${server.url}/elsewhere` })
          .end('{"member":true,"user_id":"u"}')
      expect(await check.operatorOf('sid=4')).toBeUndefined()
      expect(server.asked).toHaveLength(1)
    },
  )

  it('makes no verdict of a failure, and does not remember one', async () => {
    const failures: NonNullable<SessionServer['answer']>[] = [
      (_request, response) => response.writeHead(503).end(),
      (_request, response) => response.destroy(),
      (_request, response) => response.end(' '.repeat(100_000)),
    ]
    for (const answer of failures) {
      server.answer = answer
      await expect(check.operatorOf('sid=5')).rejects.toMatchObject(UNVERIFIED)
    }
    server.answer = undefined
    server.members.set('sid=5', 'u5')
    expect(await check.operatorOf('sid=5')).toEqual(member('u5'))
  })

  it('waits three seconds and no longer', async () => {
    server.answer = () => undefined
    const startedAt = performance.now()
    await expect(check.operatorOf('sid=6')).rejects.toMatchObject(UNVERIFIED)
    const tookMs = performance.now() - startedAt
    expect(tookMs).toBeGreaterThan(2_900)
    expect(tookMs).toBeLessThan(10_000)
  })

  it('remembers ten thousand at most, and forgets what is over', async () => {
    const whose = async (cookie: string) => ({ userId: cookie })
    const bounded = new SessionCheck({ clock, authority: { orgSlug: 'x', whose } })
    for (let each = 0; each < 10_001; each += 1) await bounded.operatorOf(`c${each}`)
    expect(bounded.size).toBe(10_001 - 128)
    clock.advance(121_000)
    await bounded.operatorOf('later')
    expect(bounded.size).toBe(1)
    expect(await bounded.operatorOf('x'.repeat(17 * 1024))).toBeUndefined()
  })
})

describe('a platform with sessions', () => {
  let platform: PlatformHarness
  beforeAll(async () => {
    platform = await startPlatformHarness({
      CP_UPSTREAM_URL: `${server.url}/`,
      MOLECULE_ORG_SLUG: 'acme',
      CORS_ORIGINS: 'https://canvas.example',
    })
  })
  afterAll(() => platform.stop())

  const ask = (headers: Record<string, string>, init: RequestInit = {}) =>
    platform.request('/org/tokens', { as: null, headers, ...init })

  it('lets a member administer, and says so of what the member makes', async () => {
    server.members.set('sid=m', 'user-7')
    const minted = await ask({ cookie: 'sid=m' }, { method: 'POST' })
    expect(minted.status).toBe(200)
    const { id } = (await minted.json()) as { id: string }
    const list = (await (await ask({ cookie: 'sid=m' })).json()) as {
      tokens: { id: string; created_by: string }[]
    }
    expect(list.tokens.find((token) => token.id === id)?.created_by).toBe('session')
    const trail = await platform.request('/admin/audit?action=org_token.mint&limit=1')
    expect(await trail.json()).toMatchObject({
      events: [{ actor: { kind: 'session', id: 'user-7' }, subject: id }],
    })
  })

  it('falls through to the bearer, and needs one', async () => {
    expect((await ask({ cookie: 'sid=nobody' })).status).toBe(401)
    const withBearer = await platform.request('/org/tokens', { headers: { cookie: 'sid=nobody' } })
    expect(withBearer.status).toBe(200)
  })

  it('W17: says that it cannot tell when the control plane does not, unless a bearer decides', async () => {
    server.answer = (_request, response) => response.destroy()
    const answer = await ask({ cookie: 'sid=away' })
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ code: 'session_unverified', retryable: true })
    const withBearer = await platform.request('/org/tokens', { headers: { cookie: 'sid=away' } })
    expect(withBearer.status).toBe(200)
  })

  it('W16: believes no page that makes its reader’s browser ask, and admits none for its origin', async () => {
    server.members.set('sid=v', 'victim')
    const foreign: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
    ]
    for (const headers of foreign) {
      expect((await ask({ cookie: 'sid=v', ...headers }, { method: 'POST' })).status).toBe(401)
    }
    for (const origin of [platform.url, 'https://canvas.example']) {
      expect((await ask({ cookie: 'sid=v', origin })).status).toBe(200)
      const claimed = { origin, referer: `${platform.url}/` }
      expect((await ask(claimed)).status).toBe(401)
    }
  })

  it('tells no log about the cookie', () => {
    expect(platform.logLines().join()).not.toMatch(/sid=/)
  })
})
