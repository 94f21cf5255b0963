/** @module Waiting for a condition instead of for time. */
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Polls until `probe` returns a value that is neither undefined nor false; fails after `withinMs`.
 * The deadline is for what never happens: a busy machine needs many times what an idle one does.
 */
export async function eventually<T>(
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  withinMs = 20_000,
): Promise<T> {
  const deadline = Date.now() + withinMs
  for (;;) {
    const value = await probe()
    if (value !== undefined && value !== false) return value
    if (Date.now() > deadline) throw new Error(`condition not met within ${withinMs} ms`)
    await delay(20)
  }
}
