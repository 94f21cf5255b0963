import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Secret } from '../../packages/http-kit/src/secret.ts'
import { eventually } from '../support/eventually.ts'
import { createIn, HOST_PLATFORM, makeBase, recordOf } from '../support/process-boxes.ts'
import { isRunning } from '../support/process-probe.ts'
import { sendSignal } from '../support/send-signal.ts'
import { never, startInput } from './provisioner-bench.ts'

const RUNTIME = fileURLToPath(new URL('../../apps/workspace-runtime/src/main.ts', import.meta.url))

describe('process provisioner with the real runtime', () => {
  let baseDir: string

  beforeEach(() => {
    baseDir = makeBase()
  })
  afterEach(() => {
    rmSync(baseDir, { recursive: true, force: true })
  })

  /** Nobody listens at the discard port: the runtime serves while it tries to register. */
  const platformUrl = 'http://127.0.0.1:9'

  it('starts it, is let in with the secret it wrote, and ends it within its grace period', async () => {
    const provisioner = createIn(baseDir, { runtimeEntry: RUNTIME, stopGraceMs: 10_000 })
    await provisioner.open()
    const input = startInput()
    const startedAt = performance.now()
    const { endpointUrl } = await provisioner.start(
      { ...input, env: { ...input.env, PLATFORM_URL: platformUrl } },
      never(),
    )
    const startMs = performance.now() - startedAt
    const root = join(baseDir, input.workspaceId)
    writeFileSync(join(root, 'workspace', 'hello.txt'), 'hello from the box')
    const read = `${endpointUrl}/internal/file/read?path=/workspace/hello.txt`
    expect((await fetch(read)).status).toBe(401)
    const answer = await fetch(read, { headers: { authorization: 'Bearer inbound-secret-value' } })
    expect(await answer.text()).toBe('hello from the box')
    await provisioner.writeInboundSecret(input, new Secret('rotated-secret-value'))
    await eventually(async () => {
      const headers = { authorization: 'Bearer rotated-secret-value' }
      return (await fetch(read, { headers })).status === 200
    })
    const { pid } = recordOf(baseDir, input.workspaceId)
    const stoppedAt = performance.now()
    await provisioner.stop(input)
    expect(performance.now() - stoppedAt).toBeLessThan(9_000)
    expect(isRunning(pid)).toBe(false)
    expect(startMs).toBeLessThan(10_000)
    const text = await provisioner.readConsole(input, 1_000_000)
    expect(text).not.toMatch(/auth-token-value|inbound-secret-value|rotated-secret-value/)
    await provisioner.close()
  })

  it('has it end by itself when the platform is killed', async () => {
    const workspaceId = randomUUID()
    const platform = fork(HOST_PLATFORM, [baseDir, workspaceId, '', RUNTIME, platformUrl])
    await once(platform, 'message')
    const { pid } = recordOf(baseDir, workspaceId)
    platform.kill('SIGKILL')
    try {
      await eventually(() => !isRunning(pid))
    } finally {
      sendSignal(pid, 'SIGKILL')
    }
  })
})
