/** @module Background work waits for a database that is away: what a box did is not told twice. */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import { isDatabaseUnavailable, loggableDatabaseError } from '../db/db-error.ts'

const RETRY_MS = 500

/**
 * Repeats `work` while the database is away, until `signal` is aborted (rejects with an abort error
 * then). `work` must bear repetition: a connection that is lost during a commit leaves open whether
 * it happened. Rejects at once with every other error.
 */
export async function outlastOutage<T>(
  deps: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (!isDatabaseUnavailable(error)) throw error
      // Once per outage: the database's own failure is logged where it is served.
      if (attempt === 1) deps.log.warn({ err: loggableDatabaseError(error) }, 'lifecycle.waiting')
      await deps.clock.sleep(RETRY_MS, signal)
    }
  }
}
