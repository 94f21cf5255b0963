/**
 * @module A database that hangs instead of refusing: the driver waits for its answers without end,
 * and with them whoever stops the platform.
 */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { DatabaseClient } from './client.ts'

const ASK_EVERY_MS = 2_000
/** An orchestrator kills after 30 s; what is left after this is for the clients and the boxes. */
const PATIENCE_MS = 8_000

/**
 * Asks the database now and then until `signal` is aborted. Once it does not answer for eight
 * seconds, its connections are abandoned: everything that waits for it fails. Never rejects.
 */
export async function abandonIfSilent(
  deps: { readonly database: DatabaseClient; readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  const { database, clock, log } = deps
  while (!signal.aborted) {
    const answered = new AbortController()
    // That it refuses is an answer, too.
    const answer = database.ping().catch(() => undefined)
    const either = AbortSignal.any([answered.signal, signal])
    const patience = clock.sleep(PATIENCE_MS, either).then(
      () => 'silent' as const,
      () => 'over' as const,
    )
    const outcome = await Promise.race([answer, patience])
    answered.abort()
    if (outcome === 'silent') {
      log.error({ silent_ms: PATIENCE_MS }, 'database.abandoned')
      return database.abandon()
    }
    // Aborted at the end, which the loop looks at.
    await clock.sleep(ASK_EVERY_MS, signal).catch(() => undefined)
  }
}
