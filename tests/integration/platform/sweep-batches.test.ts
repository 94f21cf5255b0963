/** A pass reaches every row, also behind many that it can only look at. */
import { expect, it } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { platform, sharePlatform } from '../../support/shared-platform.ts'
import { read } from '../../support/workspaces-api.ts'

sharePlatform({ ATRIUM_SWEEP_INTERVAL_MS: '500', ATRIUM_LIVENESS_STALE_AFTER: '60' })

/** More than a pass reads at a time. */
const MANY = 510
const LAST_ID = 'ffffffff-ffff-4fff-bfff-ffffffffffff'

it('looks at a workspace behind five hundred that are silent although they run', async () => {
  const { id } = await platform.onlineWorkspace('http://127.0.0.1:9')
  platform.provisioner.isRunningFails = true
  await copies(id, { count: MANY, status: 'degraded' })
  // Nobody can say that they are dead: the others stay as they are, and on the list.
  await copies(id, { count: 1, status: 'online', id: LAST_ID })
  await eventually(async () => (await read(LAST_ID)).status === 'degraded', 100_000)
}, 120_000)

async function copies(
  of: string,
  as: { readonly count: number; readonly status: string; readonly id?: string },
): Promise<void> {
  await platform.client.sql`
    INSERT INTO workspaces
    SELECT (jsonb_populate_record(w, jsonb_build_object(
             'id', coalesce(${as.id ?? null}::uuid, gen_random_uuid()), 'name', 'copy ' || n,
             'status', ${as.status}::text, 'last_heartbeat_at', now() - interval '1 hour',
             'box_started_at', now() - interval '2 hours'))).*
      FROM workspaces w, generate_series(1, ${as.count}) n WHERE w.id = ${of}`
  const rows = await platform.client.sql`SELECT 1 FROM workspaces WHERE status = ${as.status}`
  expect(rows.length).toBeGreaterThanOrEqual(as.count)
}
