import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PlatformProcess, PROJECT_ROOT, startPlatform } from '../support/platform-process.ts'
import { runProcess } from '../support/run-process.ts'

const DEMO = join(PROJECT_ROOT, 'scripts/demo.sh')

describe('scripts/demo.sh', () => {
  let platform: PlatformProcess
  beforeAll(async () => {
    platform = await startPlatform()
  })
  afterAll(async () => {
    await platform?.stop()
  })

  it('tells the whole story, finds every checksum equal, and leaves nothing behind', async () => {
    // From another folder, and without anything but a PATH and an address.
    const options = { cwd: tmpdir(), env: { BASE: platform.url } }
    const { exitCode, stdout, stderr } = await runProcess('bash', [DEMO], options)
    expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining('atrium:')])
    expect(stdout.match(/^ {2}equal {3}[0-9a-f]{64} {2}/gm)).toHaveLength(3)
    expect(stdout).toMatch(/Everything came back as it was sent\.\n$/)
    const rows = await (await fetch(`${platform.url}/workspaces`)).json()
    expect(rows).toEqual([])
    const left = (await readdir(tmpdir())).filter((name) => name.startsWith('atrium-demo.'))
    expect(left).toEqual([])
  })

  it('fails when nobody answers', async () => {
    const run = await runProcess('bash', [DEMO], { env: { BASE: 'http://127.0.0.1:9' } })
    expect(run.exitCode).toBe(5)
  })
})
