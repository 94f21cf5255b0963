/** What the use of a token leaves behind: a moment, or a line in the audit trail. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type OnlineWorkspace,
  type PlatformHarness,
  startPlatformHarness,
} from '../../support/platform-harness.ts'

const BOX = 'http://127.0.0.1:9'

let platform: PlatformHarness
beforeAll(async () => {
  platform = await startPlatformHarness({ MOLECULE_ENABLE_TEST_TOKENS: '1' })
})
afterAll(() => platform.stop())

const download = (id: string, as: string) =>
  platform.request(`/workspaces/${id}/chat/download?path=/workspace/a`, { as })

const mintOrgToken = async () => {
  const answer = await platform.request('/org/tokens', { method: 'POST' })
  return (await answer.json()) as { id: string; auth_token: string }
}

describe('the last use of a token', () => {
  const lastUse = async (id: string): Promise<unknown> => {
    const rows = await platform.client.sql`
      SELECT last_used_at FROM workspace_auth_tokens WHERE workspace_id = ${id}`
    return rows[0]?.['last_used_at']
  }

  it('W17: is noted, and not again within a minute', async () => {
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    await download(id, authToken)
    const first = await lastUse(id)
    expect(first).toEqual(expect.any(String))
    await download(id, authToken)
    expect(await lastUse(id)).toEqual(first)
    await platform.client.sql`
      UPDATE workspace_auth_tokens SET last_used_at = now() - interval '2 minutes'
       WHERE workspace_id = ${id}`
    await download(id, authToken)
    expect(await lastUse(id)).not.toEqual(first)
  })

  it('is worth no refusal when it cannot be noted', async () => {
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    const org = await mintOrgToken()
    await platform.client.sql`
      UPDATE workspace_auth_tokens SET last_used_at = NULL WHERE workspace_id = ${id}`
    const { unsafe } = platform.client.sql
    await unsafe(`CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql
      AS $$ BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$`)
    const tables = ['workspace_auth_tokens', 'org_api_tokens']
    for (const table of tables) {
      await unsafe(`CREATE TRIGGER disk_is_full BEFORE UPDATE ON ${table}
        FOR EACH ROW EXECUTE FUNCTION disk_is_full()`)
    }
    try {
      for (const as of [authToken, org.auth_token]) {
        const answer = await platform.request(`/workspaces/${id}/tokens`, { as })
        expect(answer.status).toBe(200)
      }
    } finally {
      await unsafe('DROP FUNCTION disk_is_full CASCADE')
    }
    expect(await lastUse(id)).toBeNull()
    expect(platform.logLines().join()).toContain('token.use_not_noted')
  })
})

describe('a refused use', () => {
  let own: OnlineWorkspace
  let other: OnlineWorkspace

  const foreignUsesOf = async (id: string) => {
    await platform.deps.refusedUses.stop()
    return platform.client.sql`
      SELECT detail->>'first_target' AS first_target, count FROM audit_events
       WHERE action = 'workspace_token.foreign_use' AND workspace_id = ${id}`
  }

  beforeAll(async () => {
    own = await platform.onlineWorkspace(BOX)
    other = await platform.onlineWorkspace(BOX)
  })

  it('is noted as well where a live token claims to be what it is not', async () => {
    const [liar, target] = [
      await platform.onlineWorkspace(BOX),
      await platform.onlineWorkspace(BOX),
    ]
    const claimed = await platform.request(`/workspaces/${target.id}/a2a`, {
      method: 'POST',
      as: liar.authToken,
      headers: { 'x-workspace-id': target.id },
    })
    expect(claimed.status).toBe(401)
    expect(await foreignUsesOf(liar.id)).toMatchObject([{ first_target: target.id, count: 1 }])
  })

  it('is noted as well where a test token is asked for with another one', async () => {
    const { id, authToken } = await platform.onlineWorkspace(BOX)
    const answer = await platform.request(`/admin/workspaces/${id}/test-token`, { as: authToken })
    expect(answer.status).toBe(401)
    expect(await foreignUsesOf(id)).toMatchObject([{ first_target: 'test_token', count: 1 }])
  })

  it('is noted by the id of the token, whose it is and where it was tried', async () => {
    const gone = await platform.onlineWorkspace(BOX)
    const old = await platform.onlineWorkspace(BOX)
    await platform.request(`/workspaces/${gone.id}`, { method: 'DELETE' })
    await platform.client.sql`
      UPDATE workspace_auth_tokens SET revoked_at = now() WHERE workspace_id = ${old.id}`
    const org = await mintOrgToken()
    await platform.request(`/org/tokens/${org.id}`, { method: 'DELETE' })
    const guess = 'g'.repeat(43)

    await download(own.id, gone.authToken)
    await download(own.id, old.authToken)
    await download(own.id, org.auth_token)
    await download(own.id, guess)
    await download(other.id, own.authToken)
    await platform.request('/workspaces', { as: own.authToken })
    await platform.json('/registry/heartbeat', { workspace_id: other.id }, own.authToken)
    await platform.deps.refusedUses.stop()

    const rows = await platform.client.sql<Record<string, unknown>[]>`
      SELECT e.action, e.workspace_id, e.subject, e.detail, e.count, t.prefix
        FROM audit_events e LEFT JOIN workspace_auth_tokens t ON t.id::text = e.subject
       WHERE e.outcome = 'refused'`
    const told = (action: string) => rows.find((row) => row['action'] === action)
    expect(told('workspace_token.removed_workspace_use')).toMatchObject({
      workspace_id: gone.id,
      prefix: gone.authToken.slice(0, 8),
    })
    expect(told('workspace_token.revoked_use')).toMatchObject({
      workspace_id: old.id,
      prefix: old.authToken.slice(0, 8),
    })
    expect(told('org_token.revoked_use')).toMatchObject({ workspace_id: null, subject: org.id })
    expect(told('bearer.unknown_use')).toMatchObject({ workspace_id: null, subject: null })
    expect(told('workspace_token.foreign_use')).toMatchObject({
      workspace_id: own.id,
      prefix: own.authToken.slice(0, 8),
      count: 3,
      detail: { first_target: other.id },
    })
    const everything = JSON.stringify(rows)
    for (const { authToken } of [gone, old, own]) expect(everything).not.toContain(authToken)
    expect(everything).not.toContain(guess)
  })
})
