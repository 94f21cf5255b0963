import { pbkdf2 } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { systemClock } from '@atrium/http-kit/clock'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { spawnServer } from '../../../apps/platform/src/db/embedded-postgres/server-process.ts'
import { eventually } from '../../support/eventually.ts'

/** More jobs than Node has threads for files: whatever touches a file waits for tens of milliseconds. */
const JOBS = 8
const derive = promisify(pbkdf2)

let folder: string
let isOver: boolean
let jobs: Promise<void>[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atrium-server-process-'))
  isOver = false
  jobs = Array.from({ length: JOBS }, async () => {
    while (!isOver) await derive('p', 's', 20_000, 32, 'sha256')
  })
})
afterEach(async () => {
  isOver = true
  await Promise.all(jobs)
  await rm(folder, { recursive: true })
})

const spawnCommand = (command: string) =>
  spawnServer({
    postgres: command,
    launcher: { name: 'same user', prefix: [], user: undefined },
    pgdata: folder,
    logFile: join(folder, 'server.log'),
    isDurable: false,
    clock: systemClock,
    port: 1,
  })

describe('spawnServer', () => {
  it('knows of a server that ended before anybody could look, on a machine that is busy', async () => {
    const server = await spawnCommand('/bin/false')
    await eventually(() => server.ended() === 'exit code 1', 5_000)
    expect(await server.exited).toBe('exit code 1')
    await server.stop()
  })

  it('says that it cannot be started', async () => {
    await expect(spawnCommand(join(folder, 'none'))).rejects.toThrow('ENOENT')
  })
})
