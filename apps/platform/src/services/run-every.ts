/** @module What a replica does again and again until it stops. */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import { loggableDatabaseError } from '../db/db-error.ts'

export type Repetition = {
  readonly clock: Clock
  readonly log: Logger
  /** Aborted: no other turn begins. */
  readonly signal: AbortSignal
  /** Logged when a turn fails; once per outage, because the next turn tries again. */
  readonly failed: string
}

/** Does the work at once and then `everyMs` after each end of it. Never rejects. */
export async function runEvery(
  { clock, log, signal, failed }: Repetition,
  everyMs: number,
  work: () => Promise<unknown>,
): Promise<void> {
  let isFailing = false
  while (!signal.aborted) {
    try {
      await work()
      isFailing = false
    } catch (error) {
      if (!isFailing) log.warn({ err: loggableDatabaseError(error) }, failed)
      isFailing = true
    }
    // Aborted at the end, which the loop looks at.
    await clock.sleep(everyMs, signal).catch(() => undefined)
  }
}
