/** @module Waiting for the operating system, bounded. */
import type { Clock } from '@atrium/http-kit/clock'

const POLL_MS = 25

/** Polls until `probe` says true, at most `withinMs` milliseconds; returns whether it did. */
export async function waitUntil(
  probe: () => Promise<boolean> | boolean,
  withinMs: number,
  clock: Clock,
): Promise<boolean> {
  const deadline = clock.now().getTime() + withinMs
  for (;;) {
    if (await probe()) return true
    if (clock.now().getTime() >= deadline) return false
    await clock.sleep(POLL_MS)
  }
}
