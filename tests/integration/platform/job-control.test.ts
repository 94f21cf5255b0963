/** /workspaces/:id/job-control: an operator's word, whose token is sealed and never told again. */
import { randomBytes, randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { keyringOf } from '../../../apps/platform/src/domain/secret-envelope.ts'
import { findJobControl } from '../../../apps/platform/src/services/inspector/job-control.ts'
import { recordSecret } from '../../support/secret-ledger.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform({ ATRIUM_ALLOW_LOOPBACK_AGENTS: '1' })

const URL_OF_HOST = 'http://127.0.0.1:8022/below'
const TOKEN = `job-control-${randomBytes(12).toString('hex')}`
recordSecret(TOKEN)

let id: string

beforeAll(async () => {
  const answer = await platform.json('/workspaces', { name: 'far', external: true })
  id = ((await answer.json()) as { id: string }).id
})
beforeEach(async () => {
  await platform.client.sql`DELETE FROM workspace_job_control`
  await platform.client.sql`DELETE FROM audit_events`
})

const route = (of = id) => `/workspaces/${of}/job-control`
const put = (body: unknown, of = id) =>
  platform.request(route(of), { method: 'PUT', body: JSON.stringify(body) })
const remove = () => platform.request(route(), { method: 'DELETE' })
const stored = () => platform.client.sql`SELECT * FROM workspace_job_control`
const codeOf = async (answer: Response) => [
  answer.status,
  ((await answer.json()) as { code?: string }).code,
]

describe('PUT /workspaces/:id/job-control', () => {
  it('writes a host down, seals its token, and never tells it again', async () => {
    const answer = await put({ url: URL_OF_HOST, token: TOKEN })
    const told = await answer.text()
    expect([answer.status, JSON.parse(told)]).toEqual([
      200,
      {
        workspace_id: id,
        url: URL_OF_HOST,
        created_at: expect.any(String),
        updated_at: expect.any(String),
      },
    ])
    const read = await (await platform.request(route())).text()
    expect(read).toBe(told)
    const everywhere = [
      told,
      JSON.stringify(await stored()),
      await (await platform.request('/admin/audit')).text(),
      platform.logLines().join('\n'),
    ]
    for (const text of everywhere) expect(text).not.toContain(TOKEN)
    const found = await findJobControl(platform.deps, workspaceIdSchema.parse(id))
    expect([found?.url.href, found?.token.reveal()]).toEqual([URL_OF_HOST, TOKEN])
  })

  it('replaces a host whole, and leaves a line of each in the trail', async () => {
    await put({ url: 'http://127.0.0.1:1', token: 'the-former-token' })
    await put({ url: URL_OF_HOST, token: TOKEN })
    await remove()
    const { events } = (await (await platform.request('/admin/audit')).json()) as {
      events: object[]
    }
    expect(events.toReversed()).toMatchObject([
      { action: 'job_control.set', workspace_id: id, detail: { url: 'http://127.0.0.1:1/' } },
      {
        action: 'job_control.set',
        actor: { kind: 'admin_token' },
        detail: { url: URL_OF_HOST },
      },
      { action: 'job_control.remove', workspace_id: id },
    ])
  })

  it('refuses whatever the platform may not call, or could not send', async () => {
    const url = URL_OF_HOST
    const tooLong = 'x'.repeat(4_097)
    for (const [body, code] of [
      [{ url: 'ftp://127.0.0.1/', token: TOKEN }, 'invalid_job_control'],
      [{ url: 'not a url', token: TOKEN }, 'invalid_job_control'],
      [{ url: 'http://user:pass@127.0.0.1/', token: TOKEN }, 'invalid_job_control'],
      [{ url: 'http://127.0.0.1/?a=b', token: TOKEN }, 'invalid_job_control'],
      [{ url: 'http://127.0.0.1/?', token: TOKEN }, 'invalid_job_control'],
      [{ url: 'http://127.0.0.1/#a', token: TOKEN }, 'invalid_job_control'],
      [{ url: 'http://127.0.0.1:0/', token: TOKEN }, 'invalid_job_control'],
      [{ url: 'http://169.254.169.254/', token: TOKEN }, 'invalid_job_control'],
      [{ url: 'http://metadata.google.internal/', token: TOKEN }, 'invalid_job_control'],
      [{ url, token: '' }, 'invalid_job_control'],
      [{ url, token: 'a b' }, 'invalid_job_control'],
      [{ url, token: 'a\r\nX-Evil: b' }, 'invalid_job_control'],
      [{ url, token: 'ä' }, 'invalid_job_control'],
      [{ url, token: tooLong }, 'invalid_job_control'],
      [{ url: `${url}/${'x'.repeat(2_048)}`, token: TOKEN }, 'invalid_request_body'],
      [{ url }, 'invalid_request_body'],
      [{ token: TOKEN }, 'invalid_request_body'],
      [{ url, token: TOKEN, more: 1 }, 'invalid_request_body'],
    ] as const) {
      const answer = await put(body)
      const text = await answer.clone().text()
      expect([body, ...(await codeOf(answer))]).toEqual([body, 400, code])
      expect(text).not.toContain(TOKEN)
    }
    expect(await codeOf(await put({ url, token: 'x'.repeat(17_000) }))).toEqual([
      413,
      'payload_too_large',
    ])
    expect(await stored()).toHaveLength(0)
  })

  it('logs nothing of a body that it does not understand', async () => {
    for (const body of [
      `{"token":"${TOKEN}","url":x}`,
      `{"token":${TOKEN}}`,
      `${TOKEN}`,
      `{"token":["${TOKEN}"]}`,
      `{"${TOKEN}":1}`,
    ]) {
      const answer = await platform.request(route(), { method: 'PUT', body })
      expect([answer.status, (await answer.text()).includes(TOKEN)]).toEqual([400, false])
    }
    expect(platform.logLines().join('\n')).not.toContain(TOKEN.slice(0, 20))
  })

  it('knows no workspace that is not there', async () => {
    const body = { url: URL_OF_HOST, token: TOKEN }
    expect(await codeOf(await put(body, randomUUID()))).toEqual([404, 'workspace_not_found'])
    expect(await codeOf(await put(body, 'x'))).toEqual([400, 'invalid_workspace_id'])
  })
})

describe('a workspace without a job-control host', () => {
  it('says so to who reads or removes it', async () => {
    const missing = [404, 'job_control_not_found']
    expect(await codeOf(await platform.request(route()))).toEqual(missing)
    expect(await codeOf(await remove())).toEqual(missing)
    await put({ url: URL_OF_HOST, token: TOKEN })
    expect((await remove()).status).toBe(200)
    expect(await codeOf(await platform.request(route()))).toEqual(missing)
    expect(await findJobControl(platform.deps, workspaceIdSchema.parse(id))).toBeUndefined()
  })
})

describe('the sealed token', () => {
  it('opens with its own key, for its own workspace, and for nothing else', async () => {
    await put({ url: URL_OF_HOST, token: TOKEN })
    const foreign = { ...platform.deps, keyring: keyringOf(randomBytes(32)) }
    const workspaceId = workspaceIdSchema.parse(id)
    await expect(findJobControl(foreign, workspaceId)).rejects.toMatchObject({
      code: 'job_control_unreadable',
    })
    const answer = await platform.json('/workspaces', { name: 'other', external: true })
    const other = workspaceIdSchema.parse(((await answer.json()) as { id: string }).id)
    await platform.client.sql`UPDATE workspace_job_control SET workspace_id = ${other}`
    await expect(findJobControl(platform.deps, other)).rejects.toMatchObject({
      code: 'job_control_unreadable',
    })
  })

  it('is gone with the row of its workspace', async () => {
    await put({ url: URL_OF_HOST, token: TOKEN })
    await platform.client.sql`DELETE FROM workspaces WHERE id = ${id}`
    expect(await stored()).toHaveLength(0)
  })
})
