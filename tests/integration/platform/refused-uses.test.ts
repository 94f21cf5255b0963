/** Refused uses of credentials: counted per minute, bounded, written by a timer and at the end. */
import { systemIds } from '@atrium/http-kit/clock'
import pino from 'pino'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { insertAuditEvents } from '../../../apps/platform/src/db/audit-store.ts'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import { RefusedUses } from '../../../apps/platform/src/services/refused-uses.ts'
import { auditRetentionSweep } from '../../../apps/platform/src/services/sweeps/retention-sweeps.ts'
import { eventually } from '../../support/eventually.ts'
import { HeldClock } from '../../support/held-clock.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'

const MINUTE_MS = 60_000

let database: TestDatabase
let client: DatabaseClient
let clock: HeldClock
let uses: RefusedUses

beforeAll(async () => {
  database = await createTestDatabase()
  client = openDatabase({ url: database.url, maxConnections: 4 })
})
afterAll(async () => {
  await client.close()
  await database.drop()
})
beforeEach(async () => {
  await database.sql`TRUNCATE audit_events`
  clock = new HeldClock()
  uses = new RefusedUses({
    db: client.db,
    clock,
    ids: systemIds,
    log: pino({ level: 'silent' }),
  })
})
afterEach(() => uses.stop())

/** The timer has done what there was to do, and waits. */
const idle = () => eventually(() => clock.sleepers === 1)

type Row = { action: string; subject: string | null; count: number; outcome: string }

const rows = async (): Promise<Row[]> => [
  ...(await database.sql<Row[]>`
    SELECT action, subject, count, outcome FROM audit_events ORDER BY occurred_at, action, subject`),
]

describe('a refused use', () => {
  it('is one row per action, subject and minute, with its count', async () => {
    for (let use = 0; use < 50; use += 1) uses.note({ action: 'bearer.unknown_use', subject: null })
    uses.note({ action: 'workspace_token.revoked_use', subject: 't1' })
    uses.note({ action: 'workspace_token.revoked_use', subject: 't2' })
    clock.advance(MINUTE_MS)
    uses.note({ action: 'bearer.unknown_use', subject: null })
    await uses.stop()
    expect(await rows()).toEqual([
      { action: 'bearer.unknown_use', subject: null, count: 50, outcome: 'refused' },
      { action: 'workspace_token.revoked_use', subject: 't1', count: 1, outcome: 'refused' },
      { action: 'workspace_token.revoked_use', subject: 't2', count: 1, outcome: 'refused' },
      { action: 'bearer.unknown_use', subject: null, count: 1, outcome: 'refused' },
    ])
  })

  it('is written by the timer once its minute is over, and not before', async () => {
    uses.start()
    uses.note({ action: 'bearer.unknown_use', subject: null })
    await idle()
    clock.advance(15_000)
    await idle()
    expect(await rows()).toEqual([])
    clock.advance(MINUTE_MS)
    expect(await eventually(async () => (await rows())[0])).toMatchObject({ count: 1 })
  })

  it('takes bounded memory: beyond a thousand, the rest is one row', async () => {
    for (let token = 0; token < 5_000; token += 1) {
      uses.note({ action: 'workspace_token.revoked_use', subject: `token-${token}` })
    }
    await uses.stop()
    const written = await rows()
    expect(written).toHaveLength(1_001)
    expect(written.find(({ subject }) => subject === 'other')).toMatchObject({ count: 4_000 })
  })

  it('outlasts a database that is away', async () => {
    uses.start()
    await idle()
    uses.note({ action: 'bearer.unknown_use', subject: null })
    await database.sql`ALTER TABLE audit_events RENAME TO audit_hidden`
    clock.advance(MINUTE_MS)
    await idle()
    uses.note({ action: 'bearer.unknown_use', subject: null })
    await database.sql`ALTER TABLE audit_hidden RENAME TO audit_events`
    clock.advance(2 * MINUTE_MS)
    await eventually(async () => (await rows()).length === 2)
    expect((await rows()).map(({ count }) => count)).toEqual([1, 1])
  })
})

describe('the retention', () => {
  it('deletes what is older, in batches, and keeps the rest', async () => {
    const event = (days: number) => ({
      id: systemIds.uuid(),
      occurredAt: new Date(clock.now().getTime() - days * 24 * 60 * MINUTE_MS),
      action: `${days} days`,
      outcome: 'ok' as const,
      actorKind: 'platform',
    })
    const old = Array.from({ length: 5_001 }, () => event(91))
    for (let from = 0; from < old.length; from += 1_000) {
      await insertAuditEvents(client.db, old.slice(from, from + 1_000))
    }
    await insertAuditEvents(client.db, [event(89)])
    const purge = auditRetentionSweep({ db: client.db, clock, auditRetentionDays: 90 })
    expect(await purge.run(new AbortController().signal)).toEqual({ deleted: 5_001 })
    expect(await rows()).toMatchObject([{ action: '89 days' }])
  })
})
