import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PlatformProcess, PROJECT_ROOT, startPlatform } from '../support/platform-process.ts'
import { runProcess } from '../support/run-process.ts'
import { sendSignal } from '../support/send-signal.ts'
import { readBody, sendJson, startStandInPlatform } from '../support/stand-in-platform.ts'

const ID = '3f2a0000-0000-4000-8000-000000000001'
const DEMO = join(PROJECT_ROOT, 'scripts/demo.sh')

describe('scripts/demo.sh', () => {
  let platform: PlatformProcess
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atrium-demo-test-'))
    platform = await startPlatform()
  })
  afterAll(async () => {
    await platform?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('tells the whole story, finds every checksum equal, and leaves nothing behind', async () => {
    // From another folder, and without anything but a PATH, an address and a place for what it makes:
    // what another one on this machine makes meanwhile is not left by this one.
    const options = { cwd: tmpdir(), env: { BASE: platform.url, TMPDIR: folder } }
    const { exitCode, stdout, stderr } = await runProcess('bash', [DEMO], options)
    expect([exitCode, stderr]).toEqual([0, expect.not.stringContaining('atrium:')])
    expect(stdout.match(/^ {2}equal {3}[0-9a-f]{64} {2}/gm)).toHaveLength(3)
    expect(stdout).toMatch(/Everything came back as it was sent\.\n$/)
    const rows = await (await fetch(`${platform.url}/workspaces`)).json()
    expect(rows).toEqual([])
    expect(await readdir(folder)).toEqual([])
  })

  it('fails when nobody answers', async () => {
    const run = await runProcess('bash', [DEMO], { env: { BASE: 'http://127.0.0.1:9' } })
    expect(run.exitCode).toBe(5)
  })

  it('removes a workspace that it was interrupted in making', async () => {
    const isOver = Promise.withResolvers<void>()
    let name = ''
    const removed: string[] = []
    const server = await startStandInPlatform(async ({ request, response, line }) => {
      const body = String(await readBody(request))
      if (line === 'POST /workspaces') {
        name = JSON.parse(body).name
        sendJson(response, { id: ID, status: 'provisioning' }, 201)
      } else if (line === `GET /workspaces/${ID}`) {
        sendJson(response, { id: ID, name, status: 'provisioning' })
        isOver.resolve()
      } else if (line === 'GET /workspaces') {
        sendJson(response, [{ id: ID, name, status: 'provisioning' }])
      } else {
        removed.push(line)
        sendJson(response, { status: 'purged', cascade_deleted: 0 })
      }
    })
    try {
      // A group of its own, so that Ctrl-C reaches all of it as in a terminal.
      const env = { PATH: process.env['PATH'] ?? '', BASE: server.url }
      const child = spawn('bash', [DEMO], { detached: true, stdio: 'ignore', env })
      const ended = once(child, 'exit')
      await isOver.promise
      sendSignal(-(child.pid ?? 0), 'SIGINT')
      expect((await ended)[0]).toBe(130)
      expect(removed).toEqual([`DELETE /workspaces/${ID}`])
    } finally {
      await server.close()
    }
  })
})
