import { type ChildProcess, fork, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually } from '../support/eventually.ts'
import { createIn, HOST_PLATFORM, makeBase } from '../support/process-boxes.ts'
import { isRunning } from '../support/process-probe.ts'
import { sendSignal } from '../support/send-signal.ts'
import { never, startInput, stateOf } from './provisioner-bench.ts'

describe('process provisioner after a crash of the platform', () => {
  let baseDir: string
  const platforms: ChildProcess[] = []
  const strays: number[] = []

  beforeEach(() => {
    baseDir = makeBase()
  })
  afterEach(() => {
    for (const platform of platforms.splice(0)) platform.kill('SIGKILL')
    for (const pid of strays.splice(0)) sendSignal(pid, 'SIGKILL')
    rmSync(baseDir, { recursive: true, force: true })
  })

  async function crash(traits: string) {
    const workspaceId = randomUUID()
    const platform = fork(HOST_PLATFORM, [baseDir, workspaceId, traits])
    platforms.push(platform)
    const [message] = (await once(platform, 'message')) as [{ endpointUrl: string }]
    const { pids } = await stateOf(message.endpointUrl)
    strays.push(...pids)
    const exited = once(platform, 'exit')
    platform.kill('SIGKILL')
    await exited
    return { workspaceId, pids }
  }

  async function reopen(): Promise<void> {
    const provisioner = createIn(baseDir)
    await provisioner.open()
    await provisioner.close()
  }

  it('has runtimes that notice and end by themselves', async () => {
    const { pids } = await crash('')
    await eventually(() => !pids.some(isRunning))
  })

  it.each([
    'ignores-disconnect',
    'ignores-disconnect,stubborn',
    'ignores-disconnect,child,grandchild,bare-child,session-child,stubborn-child',
  ])('ends what did not, whatever it ignores: %s', async (traits) => {
    const { workspaceId, pids } = await crash(traits)
    expect(pids.every(isRunning)).toBe(true)
    await reopen()
    expect(pids.filter(isRunning)).toEqual([])
    expect(existsSync(join(baseDir, workspaceId, 'runtime.pid.json'))).toBe(false)
  })

  it.each(['child', 'session-child', 'stubborn-child'])(
    'ends what a runtime that ended by itself left: %s',
    async (traits) => {
      const { pids } = await crash(traits)
      await eventually(() => !isRunning(pids[0] ?? 0))
      await reopen()
      expect(pids.filter(isRunning)).toEqual([])
    },
  )

  it('finds them without a record, by the mark they carry', async () => {
    const { workspaceId, pids } = await crash('ignores-disconnect,session-child')
    rmSync(join(baseDir, workspaceId), { recursive: true })
    await reopen()
    expect(pids.filter(isRunning)).toEqual([])
  })

  it.each([
    ['another start time', { startTicks: 1 }, true],
    ['another boot', { bootId: '00000000-0000-0000-0000-000000000000' }, true],
    ['no proof that it belongs to the workspace', {}, false],
  ])('kills nobody whose record shows %s', async (_, change, isInside) => {
    const workspaceId = randomUUID()
    mkdirSync(join(baseDir, workspaceId))
    const stranger = spawn('sleep', ['600'], {
      detached: true,
      stdio: 'ignore',
      cwd: isInside ? join(baseDir, workspaceId) : '/',
    })
    const pid = stranger.pid ?? 0
    strays.push(pid)
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')
    writeFileSync(
      join(baseDir, workspaceId, 'runtime.pid.json'),
      JSON.stringify({
        pid,
        startTicks: Number(stat[21]),
        bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
        generation: 1,
        ...change,
      }),
    )
    await reopen()
    expect(isRunning(pid)).toBe(true)
    stranger.kill('SIGKILL')
    await once(stranger, 'exit')
  })

  it.each(['not json', '{}', '[]', '{"pid":1,"startTicks":0,"bootId":"x","generation":1}'])(
    'opens although a record says %j',
    async (text) => {
      const workspaceId = randomUUID()
      mkdirSync(join(baseDir, workspaceId))
      writeFileSync(join(baseDir, workspaceId, 'runtime.pid.json'), text)
      await reopen()
    },
  )

  it('opens although a FIFO or a link took the place of a record', async () => {
    const workspaceId = randomUUID()
    mkdirSync(join(baseDir, workspaceId))
    const path = join(baseDir, workspaceId, 'runtime.pid.json')
    await once(spawn('mkfifo', [path]), 'exit')
    await reopen()
    renameSync(path, `${path}.fifo`)
    symlinkSync('/etc/passwd', path)
    await reopen()
  })

  it('starts the workspace again over what was left', async () => {
    const { workspaceId, pids } = await crash('ignores-disconnect')
    const provisioner = createIn(baseDir)
    await provisioner.open()
    const { endpointUrl } = await provisioner.start(startInput({ workspaceId }), never())
    expect((await stateOf(endpointUrl)).pids).toHaveLength(1)
    expect(pids.filter(isRunning)).toEqual([])
    await provisioner.close()
  })

  it('refuses a folder that a living platform uses, and takes it when that one is gone', async () => {
    const first = createIn(baseDir)
    await first.open()
    const second = createIn(baseDir)
    await expect(second.open()).rejects.toThrow('another platform uses')
    await first.close()
    await second.open()
    await second.close()
  })
})
