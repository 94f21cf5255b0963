/** A workspace in bubblewrap does for its clients what any other does, and no link leads out of it. */
import { createHash } from 'node:crypto'
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { OnlineWorkspace } from '../support/online-workspace.ts'
import { type PlatformProcess, startPlatform } from '../support/platform-process.ts'
import { isRunning } from '../support/process-probe.ts'
import { isSandboxThere } from '../support/sandbox-there.ts'
import { seededBytes, seededDigest } from '../support/seeded-bytes.ts'

const MIB = 1024 ** 2
const ROUNDS = 40

describe.skipIf(!isSandboxThere())('a workspace in a sandbox', () => {
  let platform: PlatformProcess
  let workspace: OnlineWorkspace
  let outside: string

  beforeAll(async () => {
    outside = mkdtempSync(join(tmpdir(), 'atrium-outside-'))
    writeFileSync(join(outside, 'secret.txt'), 'outside')
    platform = await startPlatform({ env: { ATRIUM_SANDBOX: 'on' } })
    workspace = await OnlineWorkspace.create(platform, 'sandboxed')
  })
  afterAll(async () => {
    await platform?.stop()
    rmSync(outside, { recursive: true, force: true })
  })

  async function download(path: string): Promise<{ status: number; body: Buffer }> {
    const answer = await fetch(workspace.downloadUrl(path), { headers: workspace.authorization })
    return { status: answer.status, body: Buffer.from(await answer.arrayBuffer()) }
  }

  it('says so', async () => {
    const row = await (await fetch(`${platform.url}/workspaces/${workspace.id}`)).json()
    expect(row).toMatchObject({ status: 'online', isolation: 'sandbox' })
  })

  it('takes a file and gives it back as it was', async () => {
    const body = new FormData()
    body.append('files', new File([...seededBytes('sandbox', 8 * MIB)], 'eight.bin'))
    const { uploadUrl: url, authorization: headers } = workspace
    const stored = await fetch(url, { method: 'POST', headers, body })
    expect(stored.status).toBe(200)
    const { files } = (await stored.json()) as { files: { uri: string }[] }
    const answer = await download(files[0]?.uri ?? '')
    expect(answer.status).toBe(200)
    const digest = createHash('sha256').update(answer.body).digest('hex')
    expect(digest).toBe(seededDigest('sandbox', 8 * MIB))
  })

  it('gives nothing away through links, also when they are swapped under the reader', async () => {
    const place = (name: string): string => join(workspace.dir, 'workspace', name)
    writeFileSync(place('honest'), 'inside')
    const targets = [join(outside, 'secret.txt'), '/configs/.auth_token', '/proc/1/environ']
    const bodies = new Set<string>()
    for (let round = 0; round < ROUNDS; round += 1) {
      symlinkSync(targets[round % targets.length] ?? '', place('next'))
      const reading = download('/workspace/swapped')
      renameSync(place('next'), place('swapped'))
      writeFileSync(place('next'), 'inside')
      const during = download('/workspace/swapped')
      renameSync(place('next'), place('swapped'))
      for (const { status, body } of await Promise.all([reading, during])) {
        if (status === 200) bodies.add(body.toString('utf8'))
        else expect([400, 404]).toContain(status)
      }
    }
    expect([...bodies].filter((body) => body !== 'inside')).toEqual([])
    symlinkSync(outside, place('folder'))
    expect((await download('/workspace/folder/secret.txt')).status).toBe(404)
  })

  it('comes back when its runtime is killed', async () => {
    const pid = workspace.runtimePid
    process.kill(pid, 'SIGKILL')
    await workspace.untilRestarted(pid)
    expect((await download('/workspace/honest')).body.toString()).toBe('inside')
  })

  it('ends with the platform', async () => {
    const pid = workspace.runtimePid
    await platform.stop()
    await eventually(() => !isRunning(pid))
  })
})
