/** Stopping the platform when something it waits for does not come. */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type DatabaseGate, openDatabaseGate } from '../support/database-gate.ts'
import { OnlineWorkspace } from '../support/online-workspace.ts'
import { type PlatformProcess, startPlatform } from '../support/platform-process.ts'
import { processesMentioning } from '../support/process-figures.ts'
import { createTestDatabase } from '../support/test-database.ts'

let gate: DatabaseGate
let platform: PlatformProcess

beforeEach(async () => {
  const database = await createTestDatabase()
  gate = await openDatabaseGate(database.url)
  const dataDir = await mkdtemp(join(tmpdir(), 'atrium-stop-'))
  platform = await startPlatform({
    after: { database, dataDir },
    env: { DATABASE_URL: gate.url },
  })
})
afterEach(async () => {
  await platform.stop()
  await gate.shut()
})

describe('a platform whose database hangs', () => {
  it('ends in bounded time with everything it started, and says that it was not clean', async () => {
    await OnlineWorkspace.create(platform, 'one')
    const { dataDir } = platform
    gate.freeze()
    // Its own time limit is the half minute after which an orchestrator kills.
    expect(await platform.stop()).toBe(1)
    expect(processesMentioning(dataDir)).toEqual([])
  })
})
