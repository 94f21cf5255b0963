/** What every message asks of the database is planned once a connection, and means what it says. */
import { parseLossless } from '@atrium/a2a-schema/lossless-json'
import { eq } from 'drizzle-orm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  appendActivities,
  appendActivity,
  type NewActivity,
} from '../../../apps/platform/src/db/activity-store.ts'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import { notifyBroadcast } from '../../../apps/platform/src/db/event-store.ts'
import { findLineages } from '../../../apps/platform/src/db/peer-store.ts'
import { activityLogs } from '../../../apps/platform/src/db/schema.ts'
import { insertWorkspace, recordUse } from '../../../apps/platform/src/db/workspace-store.ts'
import { type WorkspaceId, workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'
import { newWorkspaceRow } from '../../support/workspace-row.ts'

const NOW = new Date('2026-03-04T05:06:07.089Z')

let database: TestDatabase
/** One connection: what it has prepared can be counted. */
let client: DatabaseClient
let id: WorkspaceId
let other: WorkspaceId
/** Of rows that take no turn. */
let farSeq = 1_000_000

beforeAll(async () => {
  database = await createTestDatabase()
  client = openDatabase({ url: database.url, maxConnections: 1 })
  id = await workspace()
  other = await workspace(id)
})
afterAll(async () => {
  await client.close()
  await database.drop()
})

async function workspace(parentId: string | null = null): Promise<WorkspaceId> {
  const own = workspaceIdSchema.parse(crypto.randomUUID())
  await insertWorkspace(client.db, { ...newWorkspaceRow(own, 'online'), parentId })
  return own
}

function empty(): NewActivity {
  return {
    ...{ id: crypto.randomUUID(), workspaceId: id, activityType: 'agent_log', status: 'ok' },
    ...{ sourceId: null, targetId: null, method: null, summary: null, durationMs: null },
    ...{ requestBody: null, responseBody: null, errorDetail: null, createdAt: NOW },
  }
}

/** Everything that an array of the wire has to quote. */
const ODD = 'a "b" \\ {c,d} NULL \n\t é 😀 \'e\' $1'

function full(): NewActivity {
  return {
    ...{ ...empty(), activityType: 'a2a_receive', sourceId: other, sourceName: ODD, targetId: id },
    ...{ method: 'NULL', summary: '', errorDetail: ODD, durationMs: 2_147_483_647, status: ODD },
    requestBody: parseLossless('{"b":9007199254740993,"a":1.10,"a b":[null,"\\\\\\""]}'),
    responseBody: [ODD, { deep: { deeper: [] } }, false],
    toolTrace: 'text',
    ...{ idempotencyKey: crypto.randomUUID(), queueId: crypto.randomUUID() },
  }
}

/** As the query builder writes it: its own mapping of each column. */
async function writtenByBuilder(activity: NewActivity) {
  const own = { ...activity, id: crypto.randomUUID(), idempotencyKey: crypto.randomUUID() }
  farSeq += 1
  await client.db.insert(activityLogs).values({ ...own, seq: farSeq })
  return { ...(await stored(own.id)), ...{ id: activity.id, seq: 0, bodyBytes: 0 } }
}

async function stored(rowId: string) {
  const text = await client.sql`
    SELECT request_body::text AS request, response_body::text AS response,
           tool_trace::text AS trace, created_at::text AS at FROM activity_logs WHERE id = ${rowId}`
  const rows = await client.db.select().from(activityLogs).where(eq(activityLogs.id, rowId))
  return { ...rows[0], text: { ...text[0] } }
}

async function timesPlanned(words: string): Promise<number> {
  const rows = await client.sql`SELECT statement FROM pg_prepared_statements`
  return rows.filter(({ statement }) => String(statement).includes(words)).length
}

describe('a row of the activity log', () => {
  it.each([
    ['with everything that it may hold', full],
    ['with nothing that it need not hold', empty],
  ])('is stored %s as the query builder stores it', async (_name, make) => {
    const activity = make()
    const expected = await writtenByBuilder(activity)
    // Beside a row of the other kind: each column is an array of both.
    const appended = await appendActivities(client.db, id, [full(), activity, empty()])
    expect(appended).toEqual(['appended', 'appended', 'appended'])
    const key = activity.idempotencyKey ?? null
    expect({ ...(await stored(activity.id)), ...{ seq: 0, bodyBytes: 0 } }).toEqual({
      ...expected,
      idempotencyKey: key,
    })
  })

  it('tells those that are new from those that are known, in their order', async () => {
    const again = full()
    const idempotencyKey = again.idempotencyKey ?? null
    const twice = [again, { ...empty(), idempotencyKey }, empty(), { ...empty(), idempotencyKey }]
    expect(await appendActivities(client.db, id, twice)).toEqual([
      'appended',
      'known',
      'appended',
      'known',
    ])
    expect(await appendActivity(client.db, { ...empty(), idempotencyKey })).toBe('known')
  })

  it('is told of once it is committed, and not when it was known', async () => {
    const heard: string[] = []
    const listening = await database.sql.listen('atrium_activity', (payload) => heard.push(payload))
    const activity = full()
    await appendActivity(client.db, activity)
    await appendActivity(client.db, { ...activity, id: crypto.randomUUID() })
    await database.sql.notify('atrium_activity', 'end')
    await expect.poll(() => heard).toContain('end')
    expect(heard).toEqual([id, 'end'])
    await listening.unlisten()
  })
})

describe('what every message asks', () => {
  it('is planned once a connection, for one row and for many, in transactions and outside', async () => {
    for (const count of [1, 3, 30]) {
      await appendActivities(client.db, id, Array.from({ length: count }, empty))
      await client.db.transaction((tx) => appendActivity(tx, full()))
      await findLineages(client.db, { a: id, b: other })
      await client.db.transaction((tx) => findLineages(tx, { a: other, b: id }))
      await recordUse(client.db, { id, now: NOW, isOutbound: count === 3 })
      await notifyBroadcast(client.db, String(count))
    }
    expect(await timesPlanned('INSERT INTO activity_logs')).toBe(1)
    expect(await timesPlanned('WITH RECURSIVE up')).toBe(1)
    expect(await timesPlanned('coalesce($')).toBe(1)
    expect(await timesPlanned('SELECT pg_notify(')).toBe(1)
  })

  it('still knows who is above whom', async () => {
    const lines = await findLineages(client.db, { a: other, b: id })
    expect(lines).toEqual({ a: [other, id], b: [id] })
  })

  it('still keeps the latest use, and who spoke', async () => {
    const own = await workspace()
    const later = new Date(NOW.getTime() + 1_000)
    const use = async () => {
      const [row] = await client.sql`
        SELECT last_activity_at = ${later.toISOString()}::timestamptz AS later,
               last_outbound_at = ${NOW.toISOString()}::timestamptz AS spoke
          FROM workspaces WHERE id = ${own}`
      return { ...row }
    }
    await recordUse(client.db, { id: own, now: later })
    expect(await use()).toEqual({ later: true, spoke: null })
    await recordUse(client.db, { id: own, now: NOW, isOutbound: true })
    expect(await use()).toEqual({ later: true, spoke: true })
    await recordUse(client.db, { id: own, now: NOW })
    expect(await use()).toEqual({ later: true, spoke: true })
  })
})
