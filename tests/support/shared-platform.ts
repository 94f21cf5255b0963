/** @module One platform for all tests of the file that asks for it. */
import { afterAll, beforeAll } from 'vitest'
import { type PlatformHarness, startPlatformHarness } from './platform-harness.ts'

/** Running while the tests of the file run. */
export let platform: PlatformHarness

/** Starts it before the first test of the calling file and stops it after the last. */
export function sharePlatform(env: Record<string, string> = {}): void {
  beforeAll(async () => {
    platform = await startPlatformHarness(env)
  })
  afterAll(async () => {
    await platform.stop()
  })
}
