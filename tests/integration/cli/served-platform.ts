/** @module A platform that answers as a test tells it, and the command that talks to it. */
import { afterEach } from 'vitest'
import {
  type StandInExchange,
  type StandInPlatform,
  startStandInPlatform,
} from '../../support/stand-in-platform.ts'
import { type CliRun, cli } from './cli-harness.ts'

export let platform: StandInPlatform | undefined

/** Ends after every test of the calling file what the test has served. */
export function endServedPlatforms(): void {
  afterEach(async () => {
    await platform?.close()
    platform = undefined
  })
}

/** One platform for the test that calls it. */
export async function serve(
  handle: (exchange: StandInExchange) => void | Promise<void>,
): Promise<StandInPlatform> {
  platform = await startStandInPlatform(handle)
  return platform
}

/** One invocation that is told where that platform is. */
export function atrium(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliRun> {
  return cli(args, { env: { ATRIUM_URL: platform?.url ?? '', ...env } })
}
