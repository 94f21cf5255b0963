/** @module Waiting for a platform that asked for it (`retry_after`), within a budget. */
import type { Clock } from '@atrium/http-kit/clock'
import { CliFailure } from '../failure.ts'
import { formatSeconds } from '../terminal/table.ts'
import type { Terminal } from '../terminal/terminal.ts'

const LONGEST_WAIT_SECONDS = 120

export type RetryContext = {
  readonly clock: Clock
  readonly terminal: Terminal
  readonly signal: AbortSignal
  /** How long attempts may be repeated, counted from the first one. */
  readonly budgetMs: number
}

/** Seconds to wait before the next attempt, or undefined when the failure is final. */
function waitSeconds(thrown: unknown): number | undefined {
  if (!(thrown instanceof CliFailure)) return undefined
  const { retryable, retryAfterSeconds, status } = thrown.facts
  if (retryAfterSeconds === undefined || retryable === false) return undefined
  // Without the failure contract only the two statuses that promise non-delivery are repeated.
  if (retryable === undefined && status !== 503 && status !== 429) return undefined
  return Math.min(Math.max(retryAfterSeconds, 1), LONGEST_WAIT_SECONDS)
}

/**
 * Runs `attempt` until it succeeds, fails for good, or the next wait would exceed the budget; then
 * the last failure is thrown. Each wait is announced.
 */
export async function withRetries<T>(context: RetryContext, attempt: () => Promise<T>): Promise<T> {
  const deadlineMs = context.clock.now().getTime() + context.budgetMs
  for (;;) {
    try {
      return await attempt()
    } catch (thrown) {
      const seconds = waitSeconds(thrown)
      if (seconds === undefined || !(thrown instanceof CliFailure)) throw thrown
      if (context.clock.now().getTime() + seconds * 1000 > deadlineMs) throw thrown
      context.terminal.notice(`${thrown.message}; trying again in ${formatSeconds(seconds)}`)
      await context.clock.sleep(seconds * 1000, context.signal)
    }
  }
}
