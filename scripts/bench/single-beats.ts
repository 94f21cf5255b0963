/**
 * @module The peer of the heartbeats: the same HTTP stack and the same rules, with one look-up of the
 * token and one UPDATE for every beat. `node single-beats.ts` serves it; see `heartbeats.ts`.
 */
import { writeFileSync } from 'node:fs'
import { problemHandler } from '@atrium/hono-kit/problem'
import { type BaseEnv, requestContext } from '@atrium/hono-kit/request-context'
import { listen } from '@atrium/hono-kit/server'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { Hono } from 'hono'
import pino from 'pino'
import type { BeatenWorkspace, BeatRecord } from '../../apps/platform/src/db/beat-store.ts'
import { openDatabase, type Sql } from '../../apps/platform/src/db/client.ts'
import { keyringOf } from '../../apps/platform/src/domain/secret-envelope.ts'
import { heartbeatRoutes } from '../../apps/platform/src/http/routes/registry.routes.ts'
import type { BeatOutcome } from '../../apps/platform/src/services/beat-batcher.ts'

/** Both statements prepared, as the batch's is. */
export async function storeSingly(sql: Sql, beat: BeatRecord): Promise<BeatOutcome> {
  const tokens = await sql`
    SELECT t.id FROM workspace_auth_tokens t JOIN workspaces w ON w.id = t.workspace_id
     WHERE t.token_hash = ${beat.tokenHash} AND t.workspace_id = ${beat.workspaceId}
       AND t.revoked_at IS NULL AND w.status <> 'removed'`
  if (tokens.length === 0) return { kind: 'refused' }
  const now = systemClock.now().toISOString()
  const rows = await sql<BeatenWorkspace[]>`
    UPDATE workspaces
       SET last_error_rate = ${beat.errorRate}, last_sample_error = ${beat.sampleError},
           active_tasks = ${beat.activeTasks}, uptime_seconds = ${beat.uptimeSeconds},
           current_task = ${beat.currentTask}, runtime_metadata = ${beat.runtimeMetadata}::text::jsonb,
           last_heartbeat_at = ${now}::timestamptz, updated_at = ${now}::timestamptz
     WHERE id = ${beat.workspaceId} AND status <> 'removed'
    RETURNING id, status, generation, runtime_kind AS "runtimeKind",
      delivery_mode AS "deliveryMode", endpoint_url AS "endpointUrl", box_address AS "boxAddress",
      inbound_secret_current AS "inboundSecretCurrent",
      inbound_secret_previous AS "inboundSecretPrevious",
      inbound_secret_delivered_at AS "inboundSecretDeliveredAt",
      inbound_secret_acknowledged_at AS "inboundSecretAcknowledgedAt", '' AS "formerTask",
      false AS "hasRoomForWaiting"`
  const row = rows[0]
  return row === undefined ? { kind: 'refused' } : { kind: 'stored', row }
}

async function serve(): Promise<void> {
  const { DATABASE_URL: url = '', ATRIUM_ENCRYPTION_KEY: key = '' } = process.env
  const database = openDatabase({ url, maxConnections: 20 })
  const log = pino({ level: 'warn' }, pino.destination({ fd: 1, sync: true }))
  const app = new Hono<BaseEnv>()
  app.use(requestContext({ log, clock: systemClock, ids: systemIds }))
  app.onError(problemHandler({ hop: 'platform' }))
  app.route(
    '/registry',
    heartbeatRoutes({
      db: database.db,
      clock: systemClock,
      ids: systemIds,
      keyring: keyringOf(Buffer.from(key, 'base64')),
      log,
      adminToken: undefined,
      refusedUses: { note: () => undefined },
      isBootstrapOpen: false,
      events: { broadcast: () => undefined },
      ledger: { lookAt: () => undefined },
      beats: { record: (beat) => storeSingly(database.sql, beat) },
    }),
  )
  const server = await listen(app, { host: '127.0.0.1', port: 0 })
  writeFileSync(process.argv[2] ?? '', JSON.stringify({ url: `http://127.0.0.1:${server.port}` }))
  process.once('SIGTERM', () => {
    void server.close(0).then(() => database.close())
  })
}

if (import.meta.main) await serve()
