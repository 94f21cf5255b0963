import { describe, expect, it } from 'vitest'
import { box, workspace } from '../../support/boxed-workspace.ts'
import { download, provideChatFiles, UNKNOWN, upload } from '../../support/chat-files-api.ts'
import { eventually } from '../../support/eventually.ts'
import { ADMIN_TOKEN } from '../../support/platform-harness.ts'
import { platform } from '../../support/shared-platform.ts'
import { startWorkspaceServer } from '../../support/workspace-server.ts'

provideChatFiles()

const BOTH = [
  ['POST chat/uploads', (id: string) => upload(id)],
  ['GET chat/download', (id: string) => download(id, '/workspace/a.txt')],
] as const

async function forgetSecret(id: string): Promise<void> {
  await platform.client.sql`
    UPDATE workspaces SET inbound_secret_current = NULL WHERE id = ${id}`
}

describe.each(BOTH)('%s: one credential resolution', (_, call) => {
  it('refuses an id that is not a UUID', async () => {
    const answer = await call('not-a-uuid')
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({
      error: 'invalid workspace ID',
      code: 'invalid_workspace_id',
      hop: 'platform',
      retryable: false,
      request_id: answer.headers.get('x-request-id'),
    })
  })

  it('answers 404 for an unknown workspace', async () => {
    const answer = await call(UNKNOWN)
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ error: 'workspace not found' })
  })

  it('answers 404 for a removed workspace with the same words', async () => {
    await platform.request(`/workspaces/${workspace.id}`, { method: 'DELETE' })
    const answer = await call(workspace.id)
    expect(answer.status).toBe(404)
    expect(await answer.json()).toMatchObject({ error: 'workspace not found' })
  })

  it('answers 503 while the workspace has no URL', async () => {
    await platform.client.sql`UPDATE workspaces SET endpoint_url = NULL WHERE id = ${workspace.id}`
    const answer = await call(workspace.id)
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({
      error: 'workspace url not registered yet',
      code: 'workspace_url_missing',
    })
    expect(box.requests).toHaveLength(0)
  })

  it('answers 503 for a poll workspace even when it told a URL', async () => {
    await platform.client
      .sql`UPDATE workspaces SET delivery_mode = 'poll' WHERE id = ${workspace.id}`
    const answer = await call(workspace.id)
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({ code: 'workspace_url_missing' })
  })

  it('mints a missing secret, delivers it to the box, and asks to retry in 30 seconds', async () => {
    await forgetSecret(workspace.id)
    const answer = await call(workspace.id)
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('30')
    const body = (await answer.json()) as { error: string }
    expect(body).toMatchObject({ code: 'inbound_secret_minted', retry_after_seconds: 30 })
    expect(body.error).toMatch(/retry.*30/)
    const written = await eventually(() =>
      platform.provisioner.writtenSecrets.find((each) => each.workspaceId === workspace.id),
    )
    expect((await call(workspace.id)).status).toBe(200)
    expect(box.requests[0]?.headers.authorization).toBe(`Bearer ${written.secret}`)
  })

  it('mints one secret for several callers at once, and it is the one that opens the box', async () => {
    await forgetSecret(workspace.id)
    const answers = await Promise.all([call(workspace.id), call(workspace.id), call(workspace.id)])
    const refusals = answers.filter((each) => each.status === 503)
    expect(refusals.length).toBeGreaterThan(0)
    const written = await eventually(() => {
      const all = platform.provisioner.writtenSecrets.filter(
        (each) => each.workspaceId === workspace.id,
      )
      return all.length === refusals.length && all
    })
    box.requests.length = 0
    expect((await call(workspace.id)).status).toBe(200)
    const presented = `Bearer ${written[0]?.secret}`
    expect(box.requests.map((each) => each.headers.authorization)).toEqual([presented])
    expect(new Set(written.map((each) => each.secret)).size).toBe(1)
  })

  it('answers 503 naming RFC #2312 and Reprovision when minting fails', async () => {
    await forgetSecret(workspace.id)
    await platform.client.sql.unsafe(`
      CREATE FUNCTION refuse_mint() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'disk on fire'; END $$;
      CREATE TRIGGER refuse_mint BEFORE UPDATE OF inbound_secret_current ON workspaces
        FOR EACH ROW EXECUTE FUNCTION refuse_mint();`)
    try {
      const answer = await call(workspace.id)
      expect(answer.status).toBe(503)
      const body = (await answer.json()) as { error: string }
      expect(body).toMatchObject({ code: 'inbound_secret_unavailable', retryable: false })
      expect(body.error).toContain('RFC #2312')
      expect(body.error).toContain('Reprovision')
      expect(JSON.stringify(body)).not.toContain('disk on fire')
    } finally {
      await platform.client.sql.unsafe(
        'DROP TRIGGER refuse_mint ON workspaces; DROP FUNCTION refuse_mint();',
      )
    }
  })

  it('answers 500 when the stored secret cannot be opened', async () => {
    await platform.client.sql`
      UPDATE workspaces SET inbound_secret_current = 'v1.ffffffff.AAAA' WHERE id = ${workspace.id}`
    const answer = await call(workspace.id)
    expect(answer.status).toBe(500)
    expect(await answer.json()).toMatchObject({ error: 'failed to read workspace secret' })
  })

  it('answers 500 in the contract\u2019s words when the row cannot be read', async () => {
    await platform.client.sql`ALTER TABLE workspaces RENAME COLUMN endpoint_url TO hidden_url`
    try {
      const answer = await call(workspace.id)
      expect(answer.status).toBe(500)
      expect(await answer.json()).toMatchObject({
        error: 'failed to read workspace secret',
        code: 'inbound_secret_read_failed',
      })
      // Nobody foresaw this one: what it says goes to the log, and its parameters not even there.
      expect((await platform.request('/workspaces')).status).toBe(500)
      expect(platform.logLines().join()).toContain('http.unexpected_error')
      expect(platform.logLines().join()).not.toMatch(/Failed query|params:/)
    } finally {
      await platform.client.sql`ALTER TABLE workspaces RENAME COLUMN hidden_url TO endpoint_url`
    }
  })

  it('answers 502 when the workspace cannot be reached', async () => {
    await box.close()
    const answer = await call(workspace.id)
    expect(answer.status).toBe(502)
    expect(await answer.json()).toMatchObject({
      error: 'workspace unreachable',
      code: 'workspace_unreachable',
      hop: 'workspace',
      retryable: true,
    })
  })

  it('answers 504 when the workspace takes the request and goes silent', async () => {
    box.answer = () => undefined
    const answer = await call(workspace.id)
    expect(answer.status).toBe(504)
    expect(await answer.json()).toMatchObject({ code: 'workspace_timeout', hop: 'workspace' })
  })

  it('never follows a redirect', async () => {
    const elsewhere = await startWorkspaceServer()
    try {
      for (const status of [301, 302, 307, 308]) {
        box.answer = (_, response) => response.writeHead(status, { location: elsewhere.url }).end()
        const answer = await call(workspace.id)
        expect(answer.status).toBe(502)
        expect(await answer.json()).toMatchObject({ code: 'workspace_redirected' })
      }
      expect(elsewhere.requests).toHaveLength(0)
    } finally {
      await elsewhere.close()
    }
  })

  it("turns the workspace's 401 into 502 and delivers the secret again", async () => {
    box.answer = (_, response) => response.writeHead(401).end('{"error":"unauthorized"}')
    const answer = await call(workspace.id)
    expect(answer.status).toBe(502)
    expect(await answer.json()).toMatchObject({
      code: 'workspace_auth_mismatch',
      hop: 'workspace',
      retry_after_seconds: 30,
    })
    await eventually(() =>
      platform.provisioner.writtenSecrets.some(
        (each) => each.workspaceId === workspace.id && each.secret === workspace.inboundSecret,
      ),
    )
  })

  it.each([400, 404, 413, 500, 507])(
    'passes the answer %i of the workspace through',
    async (status) => {
      const body = JSON.stringify({ error: 'own words', code: 'own_code', hop: 'workspace' })
      box.answer = (_, response) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(body)
      const answer = await call(workspace.id)
      expect(answer.status).toBe(status)
      expect(await answer.text()).toBe(body)
      expect(answer.headers.get('content-type')).toBe('application/json')
    },
  )

  it('never lets markup of a workspace through as markup', async () => {
    box.answer = (_, response) =>
      response
        .writeHead(500, { 'content-type': 'text/html', 'set-cookie': 'a=b', location: '/x' })
        .end('<script>alert(1)</script>')
    const answer = await call(workspace.id)
    expect(answer.headers.get('content-type')).toBe('text/plain; charset=utf-8')
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
    expect(answer.headers.get('set-cookie')).toBeNull()
    expect(answer.headers.get('location')).toBeNull()
  })

  it('requires a credential of this workspace or of the operator', async () => {
    const other = await platform.onlineWorkspace(box.url)
    const path = `/workspaces/${workspace.id}/chat/download?path=/workspace/a.txt`
    const refusals = [
      [null, 'missing workspace auth token'],
      ['nonsense', 'invalid workspace auth token'],
      [other.authToken, 'invalid workspace auth token'],
      [workspace.inboundSecret, 'invalid workspace auth token'],
    ] as const
    for (const [as, error] of refusals) {
      const answer = await platform.request(path, { as })
      expect(answer.status).toBe(401)
      expect(await answer.json()).toMatchObject({ error })
    }
    for (const as of [workspace.authToken, ADMIN_TOKEN]) {
      expect((await platform.request(path, { as })).status).toBe(200)
    }
  })
})
