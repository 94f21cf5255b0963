import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import {
  type ExternalWorkspace,
  externalWorkspace,
  feed,
  notify,
  readFeed,
  report,
} from '../../support/external-workspace.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()

let workspace: ExternalWorkspace
beforeEach(async () => {
  workspace = await externalWorkspace()
})

const summaries = async (query: string): Promise<(string | null)[]> =>
  (await feed(workspace, query)).map((row) => row.summary)

async function reportAll(names: readonly string[]): Promise<void> {
  for (const summary of names) await report(workspace, { summary })
}

describe('GET /workspaces/:id/activity', () => {
  it('tells the newest first, in the keys of the contract, bodies only when there are any', async () => {
    await report(workspace, { summary: 'first' })
    await report(workspace, { activity_type: 'a2a_send', request_body: { task: 'x' } })
    const rows = await feed(workspace)
    expect(rows).toEqual([
      {
        id: expect.any(String),
        workspace_id: workspace.id,
        activity_type: 'a2a_send',
        source_id: workspace.id,
        target_id: null,
        method: null,
        summary: null,
        duration_ms: null,
        status: 'ok',
        error_detail: null,
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        request_body: { task: 'x' },
      },
      expect.objectContaining({ summary: 'first' }),
    ])
    expect(rows[1]).not.toHaveProperty('request_body')
  })

  it('filters by type and by source, together', async () => {
    await report(workspace, { summary: 'own' })
    await notify(workspace, { message: 'to people' })
    expect(await summaries('source=agent')).toEqual(['own'])
    expect(await summaries('source=canvas')).toEqual(['Agent message: to people'])
    expect(await summaries('type=a2a_receive&source=agent')).toEqual([])
    expect(await summaries('type=no%00such')).toEqual([])
  })

  it.each([
    ['source=people', "source must be 'canvas' or 'agent'"],
    ...['0', '-1', '1.5', 'x', '1e3', '%2B5'].map((text) => [
      `since_secs=${text}`,
      'since_secs must be a positive integer',
    ]),
    ['since_id=x', 'since_id must be a UUID'],
    ['wait=x', 'wait must be a number of seconds'],
    ['from=end', "from must be 'start'"],
    [`from=start&since_id=${randomUUID()}`, 'give since_id or from, not both'],
  ])('refuses %s', async (query, error) => {
    const answer = await readFeed(workspace, query)
    expect([answer.status, await answer.json()]).toMatchObject([400, { error }])
  })

  it.each([
    ['', 100],
    ['limit=0', 100],
    ['limit=-3', 100],
    ['limit=x', 100],
    ['limit=2', 2],
    ['limit=501', 120],
  ])('takes %j as %i rows', async (query, expected) => {
    await platform.client.sql`
      INSERT INTO activity_logs (id, workspace_id, seq, activity_type, status, created_at)
      SELECT gen_random_uuid(), ${workspace.id}, n, 'agent_log', 'ok', now()
        FROM generate_series(1, 120) AS n`
    expect(await feed(workspace, query)).toHaveLength(expected)
  })

  it('looks back as far as since_secs says, and at most thirty days', async () => {
    await reportAll(['forty days', 'an hour', 'now'])
    await platform.client.sql`
      UPDATE activity_logs SET created_at = now() - CASE summary
        WHEN 'forty days' THEN interval '40 days' WHEN 'an hour' THEN interval '1 hour'
        ELSE interval '0' END WHERE workspace_id = ${workspace.id}`
    expect(await summaries('since_secs=60')).toEqual(['now'])
    expect(await summaries('since_secs=7200')).toEqual(['now', 'an hour'])
    expect(await summaries(`since_secs=${'9'.repeat(40)}`)).toEqual(['now', 'an hour'])
  })

  it('goes on after since_id in order, also where rows share a moment', async () => {
    await reportAll(['a', 'b', 'c', 'd', 'e'])
    await platform.client.sql`
      UPDATE activity_logs SET created_at = '2026-01-01' WHERE workspace_id = ${workspace.id}`
    const seen: (string | null)[] = []
    let query = 'from=start&limit=2'
    for (;;) {
      const rows = await feed(workspace, query)
      if (rows.length === 0) break
      seen.push(...rows.map((row) => row.summary))
      query = `since_id=${rows.at(-1)?.id}&limit=2`
    }
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  it('skips and repeats nothing for a reader who follows while many write', async () => {
    const writers = Array.from({ length: 8 }, (_, writer) =>
      reportAll(Array.from({ length: 15 }, (_each, index) => `${writer}:${index}`)),
    )
    const seen: (string | null)[] = []
    let query = 'from=start&limit=7'
    await Promise.all([
      ...writers,
      eventually(async () => {
        const rows = await feed(workspace, query)
        seen.push(...rows.map((row) => row.summary))
        if (rows.length > 0) query = `since_id=${rows.at(-1)?.id}&limit=7`
        return seen.length >= 120
      }),
    ])
    expect(new Set(seen).size).toBe(120)
    expect(seen).toHaveLength(120)
  })

  it('answers 410 alike for a cursor that is unknown, pruned or of another workspace', async () => {
    const other = await externalWorkspace()
    await report(other, { summary: 'theirs' })
    const [foreign] = await feed(other)
    await report(workspace, { summary: 'old' })
    const [old] = await feed(workspace)
    await platform.client.sql`DELETE FROM activity_logs WHERE id = ${old?.id ?? ''}`
    for (const id of [randomUUID(), old?.id, foreign?.id]) {
      const answer = await readFeed(workspace, `since_id=${id}&since_secs=60`)
      const body = (await answer.json()) as Record<string, unknown>
      expect([answer.status, { ...body, request_id: '' }]).toEqual([
        410,
        {
          error:
            'since_id is not, or no longer, an activity of this workspace; begin again without it',
          code: 'activity_cursor_gone',
          hop: 'platform',
          retryable: false,
          request_id: '',
        },
      ])
    }
  })

  it('breaks a page off before it becomes too large, and goes on where it broke', async () => {
    const big = { text: 'x'.repeat(900_000) }
    for (let index = 0; index < 12; index += 1) {
      await report(workspace, { summary: `${index}`, request_body: big })
    }
    const first = await feed(workspace, 'from=start')
    expect(first.map((row) => row.summary)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8'])
    const rest = await summaries(`since_id=${first.at(-1)?.id}`)
    expect(rest).toEqual(['9', '10', '11'])
  })

  it.each(['method', 'summary', 'status', 'error_detail'])(
    'counts long texts as it counts bodies: %s',
    async (field) => {
      for (let index = 0; index < 10; index += 1) {
        await report(workspace, { [field]: 'x'.repeat(900_000) })
      }
      expect(await feed(workspace, 'from=start')).toHaveLength(9)
      expect(await feed(workspace)).toHaveLength(9)
    },
  )

  it('tells what was said as it was said: numbers keep their digits, keys their order', async () => {
    const data = '{"z":12345678901234567890,"b":1.0,"a":1e300,"c":-0.10}'
    const message = `{"role":"user","messageId":"m","parts":[{"kind":"data","data":${data}}]}`
    await platform.request(`/workspaces/${workspace.id}/a2a`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `{"jsonrpc":"2.0","id":1,"method":"message/send","params":{"message":${message}}}`,
    })
    expect(await (await readFeed(workspace)).text()).toContain(data)
  })

  it("says the contract's words when the log cannot be read", async () => {
    await platform.client.sql`ALTER TABLE activity_logs RENAME TO hidden_logs`
    try {
      const answer = await readFeed(workspace)
      expect([answer.status, await answer.json()]).toMatchObject([500, { error: 'query failed' }])
    } finally {
      await platform.client.sql`ALTER TABLE hidden_logs RENAME TO activity_logs`
    }
  })
})
