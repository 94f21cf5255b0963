import { afterAll, describe, expect, it } from 'vitest'
import {
  ADMIN_TOKEN,
  type PlatformHarness,
  startPlatformHarness,
} from '../../support/platform-harness.ts'

const running: PlatformHarness[] = []
async function start(env: Record<string, string>): Promise<PlatformHarness> {
  const platform = await startPlatformHarness(env)
  running.push(platform)
  return platform
}
afterAll(async () => {
  for (const platform of running) await platform.stop()
})

const pathOf = (id: string) => `/admin/workspaces/${id}/test-token`
const BOX = 'http://127.0.0.1:9'

describe('GET /admin/workspaces/:id/test-token', () => {
  it('does not exist in production, unless the operator asks for it', async () => {
    const hidden = await start({})
    const { id } = await hidden.onlineWorkspace(BOX)
    const answer = await hidden.request(pathOf(id))
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ error: 'not found' })
    const shown = await start({ MOLECULE_ENABLE_TEST_TOKENS: '1' })
    const other = await shown.onlineWorkspace(BOX)
    expect((await shown.request(pathOf(other.id))).status).toBe(200)
  })

  it('asks for exactly the admin token where one is set', async () => {
    const platform = await start({ ATRIUM_MODE: 'development' })
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    for (const as of [null, 'wrong', authToken]) {
      const answer = await platform.request(pathOf(id), { as })
      expect(answer.status).toBe(401)
      expect(await answer.json()).toMatchObject({ error: 'admin auth required' })
    }
    const raw = await platform.request(pathOf(id), {
      as: null,
      headers: { authorization: ADMIN_TOKEN },
    })
    expect(raw.status).toBe(200)
    const answer = await platform.request(pathOf(id))
    expect(await answer.json()).toMatchObject({ workspace_id: id })
  })

  it('is open in development without an admin token, and its token opens that workspace only', async () => {
    const platform = await start({ ATRIUM_MODE: 'development', ADMIN_TOKEN: '' })
    const { id } = await platform.onlineWorkspace(BOX)
    const other = await platform.onlineWorkspace(BOX)
    for (const as of [null, 'anything']) {
      const answer = await platform.request(pathOf(id), { as })
      expect(answer.status).toBe(200)
    }
    const minted = (await (await platform.request(pathOf(id), { as: null })).json()) as {
      auth_token: string
    }
    const reach = (target: string) =>
      platform.request(`/workspaces/${target}/chat/download?path=/workspace`, {
        as: minted.auth_token,
      })
    expect((await reach(id)).status).toBe(400)
    expect((await reach(other.id)).status).toBe(401)
    expect((await platform.request(pathOf('00000000-0000-4000-8000-000000000000'))).status).toBe(
      404,
    )
  })

  it('keeps the newest twenty and never revokes the runtime’s own token', async () => {
    const platform = await start({ ATRIUM_MODE: 'development', ADMIN_TOKEN: '' })
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    const minted: string[] = []
    for (let round = 0; round < 22; round += 1) {
      const answer = await platform.request(pathOf(id), { as: null })
      minted.push(((await answer.json()) as { auth_token: string }).auth_token)
    }
    const statusWith = async (as: string | undefined) =>
      (
        await platform.request(`/workspaces/${id}/chat/download?path=/workspace`, {
          as: as ?? null,
        })
      ).status
    expect(await statusWith(minted[0])).toBe(401)
    expect(await statusWith(minted.at(-1))).toBe(400)
    expect(await statusWith(authToken)).toBe(400)
  })
})

describe('open development mode', () => {
  it('does not answer to foreign Host or Origin headers', async () => {
    const platform = await start({ ATRIUM_MODE: 'development', ADMIN_TOKEN: '' })
    const { request } = await import('node:http')
    const status = (headers: Record<string, string>) =>
      new Promise<number>((resolve, reject) => {
        request(`${platform.url}/workspaces`, { headers }, (response) => {
          response.resume()
          resolve(response.statusCode ?? 0)
        })
          .on('error', reject)
          .end()
      })
    const port = new URL(platform.url).port
    expect(await status({})).toBe(200)
    expect(await status({ host: `localhost:${port}` })).toBe(200)
    expect(await status({ host: 'evil.example' })).toBe(403)
    expect(await status({ origin: 'https://evil.example' })).toBe(403)
    expect(await status({ origin: `http://127.0.0.1:${port}` })).toBe(200)
  })
})
