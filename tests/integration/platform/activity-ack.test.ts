/** Readers that let the platform keep how far they have come. */
import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { moveCursor } from '../../../apps/platform/src/db/activity-cursor-store.ts'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { pruneActivity } from '../../../apps/platform/src/services/prune-activity.ts'
import { openEventStream } from '../../support/event-stream-client.ts'
import { eventually } from '../../support/eventually.ts'
import {
  type ActivityJson,
  type ExternalWorkspace,
  externalWorkspace,
  feed,
  readFeed,
  report,
} from '../../support/external-workspace.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'

sharePlatform()

let workspace: ExternalWorkspace
let rows: ActivityJson[]
beforeEach(async () => {
  workspace = await externalWorkspace({}, false)
  await platform.client.sql`
    INSERT INTO activity_logs (id, workspace_id, seq, activity_type, summary, status, created_at)
    SELECT gen_random_uuid(), ${workspace.id}, n, 'agent_log', chr(96 + n), 'ok', now()
      FROM generate_series(1, 4) AS n`
  await platform.client.sql`UPDATE workspaces SET activity_seq = 4 WHERE id = ${workspace.id}`
  rows = await feed(workspace, 'from=start')
})

const ack = (body: unknown, of = workspace): Promise<Response> =>
  platform.json(`/workspaces/${of.id}/activity/ack`, body, of.authToken)

const idOf = (summary: string): string => rows.find((row) => row.summary === summary)?.id ?? ''

const summaries = async (query: string): Promise<(string | null)[]> =>
  (await feed(workspace, query)).map(({ summary }) => summary)

const waitingForLock = () =>
  platform.client.sql`SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'`

/** What was written before today's `summary` is eight days old, and goes. */
async function pruneThrough(summary: string): Promise<void> {
  await platform.client.sql`
    UPDATE activity_logs SET created_at = now() - interval '8 days'
     WHERE workspace_id = ${workspace.id}
       AND seq <= (SELECT seq FROM activity_logs WHERE id = ${idOf(summary)})`
  await pruneActivity(platform.deps, new AbortController().signal)
}

describe('POST /workspaces/:id/activity/ack', () => {
  it('keeps how far a reader has come, each under its own name', async () => {
    const answer = await ack({ id: idOf('b') })
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { status: 'acknowledged', cursor: 'default' },
    ])
    await ack({ cursor: 'laptop-2', id: idOf('c') })
    expect(await summaries('since_id=@default')).toEqual(['c', 'd'])
    expect(await summaries('since_id=@laptop-2')).toEqual(['d'])
    expect(await summaries('since_id=@default&type=error')).toEqual([])
  })

  it('begins with the first row under a name that is new', async () => {
    expect(await summaries('since_id=@new')).toEqual(['a', 'b', 'c', 'd'])
  })

  it('never moves back, whatever comes late and at once', async () => {
    const all = ['c', 'a', 'd', 'b', 'a'].map((summary) => ack({ id: idOf(summary) }))
    expect((await Promise.all(all)).map(({ status }) => status)).toEqual(all.map(() => 200))
    expect(await summaries('since_id=@default')).toEqual([])
    await report(workspace, { summary: 'e' })
    await ack({ id: idOf('a') })
    expect(await summaries('since_id=@default')).toEqual(['e'])
  })

  it('waits, and streams, from there as from anywhere', async () => {
    await ack({ id: idOf('c') })
    const client = await openEventStream({
      url: `${platform.url}/workspaces/${workspace.id}/activity?since_id=@default`,
      bearer: workspace.authToken,
    })
    await eventually(() => client.frames.some(({ id }) => id === idOf('d')))
    expect(client.frames.filter(({ data }) => data !== undefined)).toHaveLength(1)
    client.close()
    await ack({ id: idOf('d') })
    const waiting = summaries('since_id=@default&wait=60')
    await report(workspace, { summary: 'e' })
    expect(await waiting).toEqual(['e'])
  })

  it('answers 410 alike for a row that is unknown, pruned or of another workspace', async () => {
    const other = await externalWorkspace()
    await report(other)
    const [foreign] = await feed(other)
    await pruneThrough('a')
    for (const id of [randomUUID(), idOf('a'), foreign?.id]) {
      const answer = await ack({ id })
      const body = (await answer.json()) as Record<string, unknown>
      expect([answer.status, body['code']]).toEqual([410, 'activity_cursor_gone'])
    }
    expect(await summaries('since_id=@default')).toEqual(['b', 'c', 'd'])
  })

  it('is of its workspace: another has a cursor of the same name', async () => {
    const other = await externalWorkspace()
    await report(other, { summary: 'theirs' })
    await ack({ id: idOf('d') })
    expect((await feed(other, 'since_id=@default')).map((row) => row.summary)).toEqual(['theirs'])
  })

  it.each([
    {},
    { id: 'x' },
    { id: 7 },
    { cursor: '', id: null },
    { cursor: '../x', id: null },
    { cursor: 'x'.repeat(65), id: null },
    { cursor: 7, id: null },
    { id: null, more: true },
  ])('refuses %j', async (body) => {
    const answer = await ack(body)
    expect([answer.status, await answer.json()]).toMatchObject([
      400,
      { code: 'invalid_request_body' },
    ])
  })

  it.each(['@', '@../x', `@${'x'.repeat(65)}`, '@a%00b'])('refuses since_id=%s', async (name) => {
    const answer = await readFeed(workspace, `since_id=${name}`)
    expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'invalid_query' }])
  })

  it('keeps 32 of a workspace, and one more when one is forgotten', async () => {
    for (let n = 0; n < 32; n += 1) {
      expect((await ack({ cursor: `c${n}`, id: idOf('a') })).status).toBe(200)
    }
    const refused = await ack({ cursor: 'one-more', id: idOf('a') })
    expect([refused.status, await refused.json()]).toMatchObject([
      409,
      { code: 'activity_cursor_limit' },
    ])
    expect((await ack({ cursor: 'c0', id: idOf('b') })).status).toBe(200)
    const forgotten = await ack({ cursor: 'c0', id: null })
    expect(await forgotten.json()).toEqual({ status: 'forgotten', cursor: 'c0' })
    expect((await ack({ cursor: 'one-more', id: idOf('a') })).status).toBe(200)
    expect(await summaries('since_id=@c0')).toEqual(['a', 'b', 'c', 'd'])
  })

  it('keeps no more of them when two are new at the same time', async () => {
    const workspaceId = workspaceIdSchema.parse(workspace.id)
    const to = { seq: 1, at: new Date(), maxCursors: 32 }
    for (let n = 0; n < 31; n += 1) await ack({ cursor: `c${n}`, id: idOf('a') })
    const second = await platform.client.db.transaction(async (tx) => {
      expect(await moveCursor(tx, { workspaceId, name: 'first' }, to)).toBe('moved')
      const answer = ack({ cursor: 'second', id: idOf('a') })
      let isAnswered = false
      void answer.finally(() => {
        isAnswered = true
      })
      await eventually(async () => isAnswered || (await waitingForLock()).length > 0)
      return { answer }
    })
    expect((await second.answer).status).toBe(409)
    expect((await ack({ cursor: 'first', id: idOf('b') })).status).toBe(200)
  })
})

describe('a cursor when rows go by age', () => {
  it('outlives its row while nothing unread has gone', async () => {
    await ack({ id: idOf('b') })
    await pruneThrough('b')
    expect(await summaries('since_id=@default')).toEqual(['c', 'd'])
  })

  it('is gone with the first unread row, until a row that is there is acknowledged', async () => {
    await ack({ id: idOf('a') })
    await pruneThrough('b')
    expect((await readFeed(workspace, 'since_id=@default')).status).toBe(410)
    expect(await summaries('from=start')).toEqual(['c', 'd'])
    await ack({ id: idOf('c') })
    expect(await summaries('since_id=@default')).toEqual(['d'])
  })

  it('is gone as well when nothing at all is left', async () => {
    await ack({ id: idOf('a') })
    await pruneThrough('d')
    expect((await readFeed(workspace, 'since_id=@default&wait=1')).status).toBe(410)
  })

  it('does not hide that rows went between the look at it and the look behind it', async () => {
    // As the retention notes it, while a reader has found the row that it goes on after.
    await platform.client.sql`
      INSERT INTO activity_pruned SELECT workspace_id, seq + 1 FROM activity_logs
       WHERE id = ${idOf('a')}`
    expect((await readFeed(workspace, `since_id=${idOf('a')}`)).status).toBe(410)
    expect(await summaries(`since_id=${idOf('b')}`)).toEqual(['c', 'd'])
  })

  it('is not passed by rows that went out of their order: a slow clock wrote them', async () => {
    await platform.client.sql`
      UPDATE activity_logs SET created_at = now() - interval '7 days' + interval '30 minutes'
       WHERE id = ${idOf('b')}`
    await platform.client.sql`
      UPDATE activity_logs SET created_at = now() - interval '8 days'
       WHERE id IN (${idOf('a')}, ${idOf('c')})`
    await pruneActivity(platform.deps, new AbortController().signal)
    expect(await summaries('from=start')).toEqual(['b', 'c', 'd'])
  })

  it('is forgotten when nobody has moved it for ninety days', async () => {
    await ack({ id: idOf('d') })
    await ack({ cursor: 'young', id: idOf('d') })
    await platform.client.sql`
      UPDATE activity_cursors SET updated_at = now() - interval '91 days' WHERE name = 'default'`
    await pruneActivity(platform.deps, new AbortController().signal)
    expect(await summaries('since_id=@default')).toEqual(['a', 'b', 'c', 'd'])
    expect(await summaries('since_id=@young')).toEqual([])
  })
})
