/** GET /admin/audit: what happened to credentials, written with the change itself. */
import { describe, expect, it } from 'vitest'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()

type AuditEvent = {
  readonly id: string
  readonly action: string
  readonly actor: { readonly kind: string; readonly id: string | null }
  readonly workspace_id: string | null
  readonly subject: string | null
  readonly count: number
  readonly detail: Record<string, unknown> | null
}
type Page = { readonly events: AuditEvent[]; readonly count: number; readonly next_before?: string }

const read = async (query = ''): Promise<Page> => {
  const answer = await platform.request(`/admin/audit${query}`)
  expect(answer.status).toBe(200)
  return (await answer.json()) as Page
}

const actionsOf = async (id: string): Promise<string[]> =>
  (await read(`?workspace_id=${id}`)).events.map(({ action }) => action).toReversed()

describe('the audit trail', () => {
  it('tells of the start of a generation and of a removal, and never of the credential', async () => {
    const { id, authToken, inboundSecret } = await platform.onlineWorkspace('http://127.0.0.1:9')
    await platform.request(`/workspaces/${id}`, { method: 'DELETE' })
    expect(await actionsOf(id)).toEqual([
      'inbound_secret.mint',
      'workspace_token.mint',
      'workspace_token.revoke',
    ])
    const { events } = await read(`?workspace_id=${id}&action=workspace_token.mint`)
    expect(events).toMatchObject([
      {
        actor: { kind: 'platform', id: null },
        count: 1,
        detail: { prefix: authToken.slice(0, 8), purpose: 'runtime' },
      },
    ])
    const everything = JSON.stringify(await platform.client.sql`SELECT * FROM audit_events`)
    for (const credential of [authToken, inboundSecret])
      expect(everything).not.toContain(credential)
  })

  it('is written in the transaction of the change: what cannot be noted does not happen', async () => {
    await platform.client.sql`ALTER TABLE audit_events RENAME TO audit_hidden`
    try {
      const refused = await platform.json('/workspaces', { name: 'x', external: true })
      expect(refused.status).toBe(500)
    } finally {
      await platform.client.sql`ALTER TABLE audit_hidden RENAME TO audit_events`
    }
    const [tokens] = await platform.client.sql`
      SELECT count(*)::int AS count FROM workspace_auth_tokens t
        JOIN workspaces w ON w.id = t.workspace_id WHERE w.name = 'x'`
    expect(tokens).toEqual({ count: 0 })
  })

  it('is read in pages, newest first, that neither repeat nor skip', async () => {
    for (let round = 0; round < 5; round += 1) {
      await platform.json('/workspaces', { name: `page ${round}`, external: true })
    }
    const all = (await read('?limit=1000')).events.map(({ id }) => id)
    const paged: string[] = []
    let before: string | undefined
    do {
      const page = await read(`?limit=2${before === undefined ? '' : `&before=${before}`}`)
      paged.push(...page.events.map(({ id }) => id))
      before = page.next_before
    } while (before !== undefined)
    expect(paged).toEqual(all)
  })

  it.each(['limit=0', 'limit=1001', 'before=yesterday', 'workspace_id=x', 'action=A%20B'])(
    'refuses ?%s',
    async (query) => {
      const answer = await platform.request(`/admin/audit?${query}`)
      expect(answer.status).toBe(400)
      expect(await answer.json()).toMatchObject({ code: 'invalid_query' })
    },
  )
})
