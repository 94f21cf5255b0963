/** Who may take a run, who holds it, and what becomes of what is asked for meanwhile. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type DatabaseClient, openDatabase } from '../../../apps/platform/src/db/client.ts'
import {
  type Claim,
  claimRun,
  finishRun,
  lockClaim,
  postponeRun,
  type RunRequest,
  releaseRuns,
  renewLease,
  requestRun,
} from '../../../apps/platform/src/db/lifecycle-run-store.ts'
import { insertWorkspace } from '../../../apps/platform/src/db/workspace-store.ts'
import { type WorkspaceId, workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { createTestDatabase, type TestDatabase } from '../../support/test-database.ts'
import { newWorkspaceRow } from '../../support/workspace-row.ts'

const LEASE_MS = 60_000
const [FIRST, SECOND] = [crypto.randomUUID(), crypto.randomUUID()] as const

let database: TestDatabase
let client: DatabaseClient
let id: WorkspaceId

beforeAll(async () => {
  database = await createTestDatabase()
  client = openDatabase({ url: database.url, maxConnections: 2 })
})
afterAll(async () => {
  await client.close()
  await database.drop()
})
beforeEach(async () => {
  await client.sql`TRUNCATE workspaces CASCADE`
  id = workspaceIdSchema.parse(crypto.randomUUID())
  await insertWorkspace(client.db, newWorkspaceRow(id, 'provisioning'))
})

const request = (fields: Partial<RunRequest> = {}) =>
  requestRun(client.db, { workspaceId: id, hostId: null, reason: 'r', now: new Date(), ...fields })

const claim = (replicaId: string, hostId: string | null = null) =>
  claimRun(client.db, { replicaId, hostId, leaseMs: LEASE_MS })

async function claimed(replicaId: string): Promise<Claim> {
  const taken = await claim(replicaId)
  if (taken === undefined) throw new Error('there is nothing to take')
  return taken
}

async function row(): Promise<Record<string, unknown> | undefined> {
  const rows = await client.sql`SELECT *, not_before <= now() AS is_due FROM lifecycle_runs`
  return rows[0]
}

describe('a run', () => {
  it('is held by one replica while its lease holds, and by the next one afterwards', async () => {
    await request()
    expect(await claim(FIRST)).toMatchObject({ request: '1', attempts: 1, isTakeover: false })
    expect(await claim(SECOND)).toBeUndefined()
    await client.sql`UPDATE lifecycle_runs SET lease_until = now() - interval '1 ms'`
    expect(await claim(SECOND)).toMatchObject({ request: '1', attempts: 2, isTakeover: true })
  })

  it('that was taken over is closed to whoever held it', async () => {
    await request()
    const older = await claimed(FIRST)
    await client.sql`UPDATE lifecycle_runs SET lease_until = now() - interval '1 ms'`
    const newer = await claimed(SECOND)
    const before = await row()
    const { db } = client
    expect(await renewLease(db, older, LEASE_MS)).toBeUndefined()
    expect(await db.transaction((tx) => lockClaim(tx, older))).toBeUndefined()
    await postponeRun(db, older, { request: older.request, delayMs: 5_000, error: 'late' })
    await finishRun(db, older, older.request)
    await releaseRuns(db, FIRST)
    expect(await row()).toEqual(before)
    expect(await renewLease(db, newer, LEASE_MS)).toEqual({ request: '1' })
    await finishRun(db, newer, newer.request)
    expect(await row()).toBeUndefined()
  })

  it('that was asked for again while it ran stays for one more, with nothing of the first', async () => {
    await request()
    const first = await claimed(FIRST)
    await request({ isPurge: true, hostId: 'here' })
    await request()
    expect(await renewLease(client.db, first, LEASE_MS)).toEqual({ request: '3' })
    await finishRun(client.db, first, first.request)
    expect(await row()).toMatchObject({ lease_owner: null, attempts: 0, last_error: null })
    // A purge that was asked for once is not forgotten, and neither is the machine.
    expect(await claim(SECOND)).toBeUndefined()
    expect(await claim(SECOND, 'here')).toMatchObject({ request: '3', isPurge: true })
  })

  it('that failed waits its pause out, unless it is asked for', async () => {
    await request()
    const first = await claimed(FIRST)
    const failure = { request: first.request, delayMs: 60_000, error: 'no engine' }
    await postponeRun(client.db, first, failure)
    expect(await row()).toMatchObject({ is_due: false, last_error: 'no engine', attempts: 1 })
    expect(await claim(SECOND)).toBeUndefined()
    await request({ delayMs: 30_000 })
    expect(await claim(SECOND)).toBeUndefined()
    await request()
    expect(await row()).toMatchObject({ is_due: true, last_error: null, attempts: 0 })
    expect(await claim(SECOND)).toMatchObject({ attempts: 1 })
  })

  it('stays with the machine that began it', async () => {
    await request()
    const first = await claim(FIRST, 'here')
    expect(first).toBeDefined()
    await releaseRuns(client.db, FIRST)
    expect(await claim(SECOND, 'elsewhere')).toBeUndefined()
    expect(await claim(SECOND)).toBeUndefined()
    expect(await claim(SECOND, 'here')).toBeDefined()
  })
})
