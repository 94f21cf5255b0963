/** Secrets sealed with a key of before, and the day on which that key may go. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  listStaleEnvelopes,
  replaceEnvelope,
} from '../../../apps/platform/src/db/envelope-store.ts'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import {
  keyringOf,
  openSecret,
  type SecretPurpose,
} from '../../../apps/platform/src/domain/secret-envelope.ts'
import { findJobControl } from '../../../apps/platform/src/services/inspector/job-control.ts'
import {
  type ResealDeps,
  resealSecrets,
} from '../../../apps/platform/src/services/reseal-secrets.ts'
import { secretSweeps } from '../../../apps/platform/src/services/sweeps/secret-sweeps.ts'
import { SweepRecord } from '../../../apps/platform/src/services/sweeps/sweep-record.ts'
import {
  type OnlineWorkspace,
  type PlatformHarness,
  startPlatformHarness,
} from '../../support/platform-harness.ts'
import { startWorkspaceServer, type WorkspaceServer } from '../../support/workspace-server.ts'

let platform: PlatformHarness
let box: WorkspaceServer
let first: OnlineWorkspace
let second: OnlineWorkspace

beforeAll(async () => {
  platform = await startPlatformHarness()
  box = await startWorkspaceServer()
})
afterAll(async () => {
  await platform.stop()
  await box.close()
})

const KEY = 'provider-key-value-of-a-test'
const TOKEN = 'job-control-token-of-a-test'

beforeEach(async () => {
  await platform.client.sql`DELETE FROM workspaces`
  first = await platform.onlineWorkspace(box.url, { secrets: { PROVIDER_KEY: KEY } })
  second = await platform.onlineWorkspace(box.url)
  const host = { url: 'http://[2001:4860::8]', token: TOKEN }
  const body = JSON.stringify(host)
  await platform.request(`/workspaces/${second.id}/job-control`, { method: 'PUT', body })
  await platform.request(`/workspaces/${second.id}/inbound-secret/rotate`, { method: 'POST' })
})

const oldKey = () => {
  const key = platform.config.encryptionKey
  if (key === undefined) throw new Error('the harness has no key')
  return key
}
/** The platform as it is after its key was replaced. */
const withNewKey = (previous: readonly Buffer[] = [oldKey()]): ResealDeps => ({
  ...platform.deps,
  keyring: keyringOf(randomBytes(32), previous),
})

type Envelopes = {
  id: string
  current: string
  previous: string | null
  env: string | null
  job_control: string | null
}
const envelopes = async () =>
  platform.client.sql<Envelopes[]>`
    SELECT w.id, j.encrypted_token AS job_control, inbound_secret_current AS current, inbound_secret_previous AS previous,
      s.encrypted_value AS env
    FROM workspaces w LEFT JOIN workspace_secrets s ON s.workspace_id = w.id
      LEFT JOIN workspace_job_control j ON j.workspace_id = w.id ORDER BY w.id`

describe('sealing secrets anew', () => {
  it('opens with the new key what it had sealed with the old one, and says that nothing is left', async () => {
    const deps = withNewKey()
    expect(await resealSecrets(deps, 100)).toEqual({ resealed: 5, unopenable: 0, left: 0 })
    expect(await resealSecrets(deps, 100)).toEqual({ resealed: 0, unopenable: 0, left: 0 })
    const newOnly = { ...deps.keyring, keys: new Map([...deps.keyring.keys].slice(0, 1)) }
    const stored = await envelopes()
    const open = (id: string, purpose: SecretPurpose, envelope: string) =>
      openSecret(newOnly, { workspaceId: workspaceIdSchema.parse(id), purpose }, envelope).reveal()
    const of = (id: string) => {
      const row = stored.find((each) => each.id === id)
      if (row === undefined) throw new Error('no such row')
      return row
    }
    expect(open(first.id, 'inbound-secret', of(first.id).current)).toBe(first.inboundSecret)
    expect(open(first.id, 'env:PROVIDER_KEY', of(first.id).env ?? '')).toBe(KEY)
    expect(open(second.id, 'inbound-secret', of(second.id).previous ?? '')).toBe(
      second.inboundSecret,
    )
    expect(open(second.id, 'job-control', of(second.id).job_control ?? '')).toBe(TOKEN)
    const audit = await platform.client.sql`
      SELECT count, subject FROM audit_events WHERE action = 'stored_secret.reseal'`
    expect(audit.at(-1)).toEqual({ count: 5, subject: deps.keyring.currentKeyId })
  })

  it('goes on where a pass stopped, and says how many are left', async () => {
    const deps = withNewKey()
    await platform.client.sql`
      INSERT INTO workspace_secrets (workspace_id, key, encrypted_value, created_at, updated_at)
      SELECT workspace_id, 'COPY_' || n, encrypted_value, created_at, updated_at
        FROM workspace_secrets, generate_series(1, 150) AS n`
    // A copy belongs to another name: it cannot be opened, and must not stand in the way.
    expect(await resealSecrets(deps, 1)).toMatchObject({ left: expect.any(Number) })
    const last = await resealSecrets(deps, 1_000)
    expect(last).toMatchObject({ unopenable: 150, left: 150 })
  })

  it('reports what it cannot open, and drops none of it', async () => {
    const before = await envelopes()
    const deps = withNewKey([])
    expect(await resealSecrets(deps, 100)).toEqual({ resealed: 0, unopenable: 5, left: 5 })
    expect(await envelopes()).toEqual(before)
    const lines = platform.logLines().filter((line) => line.includes('secrets.unopenable'))
    expect(lines.at(-1)).toContain(first.id)
  })

  it('seals each one once when two replicas are at it', async () => {
    const deps = withNewKey()
    const passes = await Promise.all([resealSecrets(deps, 100), resealSecrets(deps, 100)])
    expect(passes.reduce((sum, { resealed }) => sum + resealed, 0)).toBe(5)
  })

  it('never undoes a rotation that comes in between', async () => {
    const deps = withNewKey()
    const before = await envelopes()
    const row = before.find(({ id }) => id === first.id)
    // The pass has read the row; the rotation commits before it writes.
    const locked = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const rotation = platform.client.sql.begin(async (sql) => {
      await sql`
        UPDATE workspaces SET inbound_secret_previous = inbound_secret_current,
          inbound_secret_current = 'v1.newest.envelope' WHERE id = ${first.id}`
      locked.resolve()
      await release.promise
    })
    await locked.promise
    const pass = resealSecrets(deps, 100)
    const blocked = () => platform.client.sql`
      SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'
         AND datname = current_database() AND query LIKE 'update%inbound_secret_current%'`
    while ((await blocked()).length === 0);
    release.resolve()
    await Promise.all([rotation, pass])
    // The next look finds the old secret where it is now, if this pass has not.
    await resealSecrets(deps, 100)
    const after = (await envelopes()).find(({ id }) => id === first.id)
    expect(after?.current).toBe('v1.newest.envelope')
    expect(after?.previous).not.toBe(row?.current)
    const owner = {
      workspaceId: workspaceIdSchema.parse(first.id),
      purpose: 'inbound-secret',
    } as const
    const previous = openSecret(deps.keyring, owner, after?.previous ?? '')
    expect(previous.reveal()).toBe(first.inboundSecret)
  })

  it('never undoes a job-control host that is written down anew', async () => {
    const { currentKeyId } = withNewKey().keyring
    const page = await listStaleEnvelopes(platform.deps.db, {
      currentKeyId,
      after: undefined,
      limit: 100,
    })
    const read = page.find(({ slot }) => slot === 'job-control')
    if (read === undefined) throw new Error('no such envelope')
    const body = JSON.stringify({ url: 'http://[2001:4860::8]', token: 'another-token' })
    await platform.request(`/workspaces/${second.id}/job-control`, { method: 'PUT', body })
    expect(await replaceEnvelope(platform.deps.db, read, 'v1.newer.envelope')).toBe(false)
    const found = await findJobControl(platform.deps, read.workspaceId)
    expect(found?.token.reveal()).toBe('another-token')
  })

  it('is a pass of the sweeper, whose result operators read', async () => {
    const deps = { ...platform.deps, ...withNewKey([]) }
    const sweep = secretSweeps(deps).find(({ name }) => name === 'stored-secrets')
    if (sweep === undefined) throw new Error('no such pass')
    // The platform's own sweeper has made one already, with the key that it has.
    await platform.client.sql`DELETE FROM sweep_passes WHERE name = ${sweep.name}`
    await new SweepRecord(platform.deps).make(sweep, new AbortController().signal)
    const answer = await (await platform.request('/admin/liveness')).text()
    expect(answer).toContain('"stored-secrets"')
    expect(answer).toContain('"left":5')
  })
})
