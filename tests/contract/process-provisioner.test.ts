import { type ChildProcess, fork, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  createProcessProvisioner,
  type ProcessProvisionerOptions,
} from '../../apps/platform/src/provisioners/process-provisioner.ts'
import type {
  Provisioner,
  UnexpectedExit,
} from '../../apps/platform/src/provisioners/provisioner.ts'
import { systemClock, systemIds } from '../../packages/http-kit/src/clock.ts'
import { Secret } from '../../packages/http-kit/src/secret.ts'
import { eventually } from '../support/eventually.ts'
import { isRunning, ownChildren, ownDescriptors, startedWith } from '../support/process-probe.ts'
import { sendSignal } from '../support/send-signal.ts'
import {
  never,
  type ProvisionerHarness,
  print,
  provisionerContract,
  startInput,
  stateOf,
} from './provisioner-contract.ts'

const FAKE_RUNTIME = fileURLToPath(
  new URL('../support/fake-runtime/fake-runtime.ts', import.meta.url),
)
const HOST_PLATFORM = fileURLToPath(
  new URL('../support/fake-runtime/host-platform.ts', import.meta.url),
)
const RUNTIME = fileURLToPath(new URL('../../apps/workspace-runtime/src/main.ts', import.meta.url))
const REMOVE_TREE = new URL('../../apps/platform/src/provisioners/remove-tree.ts', import.meta.url)
  .href

function makeBase(): string {
  return mkdtempSync(join(tmpdir(), 'atrium-provisioner-'))
}

function createIn(
  baseDir: string,
  overrides: Partial<ProcessProvisionerOptions> = {},
): Provisioner {
  return createProcessProvisioner({
    baseDir,
    runtimeEntry: FAKE_RUNTIME,
    nodePath: process.execPath,
    log: pino({ level: 'silent' }),
    clock: systemClock,
    ids: systemIds,
    startTimeoutMs: 10_000,
    stopGraceMs: 700,
    inheritedEnv: { PATH: process.env['PATH'] ?? '' },
    ...overrides,
  })
}

function recordOf(baseDir: string, workspaceId: string): { pid: number; startTicks: number } {
  return JSON.parse(readFileSync(join(baseDir, workspaceId, 'runtime.pid.json'), 'utf8'))
}

provisionerContract('process', async (): Promise<ProvisionerHarness> => {
  const baseDir = makeBase()
  const provisioner = createIn(baseDir, { startTimeoutMs: 3_000 })
  await provisioner.open()
  return {
    provisioner,
    readConfig: async (workspaceId, name) => {
      const path = join(baseDir, workspaceId, 'configs', name)
      if (!existsSync(path)) return undefined
      return { text: readFileSync(path, 'utf8'), mode: statSync(path).mode & 0o777 }
    },
    kill: async (workspaceId) => {
      process.kill(recordOf(baseDir, workspaceId).pid, 'SIGKILL')
    },
    hasVolume: async (workspaceId) => existsSync(join(baseDir, workspaceId)),
    dispose: async () => {
      await provisioner.close()
      rmSync(baseDir, { recursive: true, force: true })
    },
  }
})

describe('process provisioner', () => {
  let baseDir: string
  let provisioner: Provisioner
  let childrenBefore: readonly number[]

  beforeEach(async () => {
    childrenBefore = ownChildren()
    baseDir = makeBase()
    provisioner = createIn(baseDir)
    await provisioner.open()
  })
  afterEach(async () => {
    await provisioner.close()
    rmSync(baseDir, { recursive: true, force: true })
    expect(ownChildren()).toEqual(childrenBefore)
  })

  describe('the box', () => {
    it('has folders of mode 0700, files of mode 0600 and no temporary file', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      const root = join(baseDir, input.workspaceId)
      await eventually(() => existsSync(join(root, 'logs/runtime.log')))
      const modeOf = (name: string): string => (statSync(join(root, name)).mode & 0o777).toString(8)
      for (const name of ['', 'configs', 'workspace', 'home', 'plugins', 'logs', 'tmp']) {
        expect([name, modeOf(name)]).toEqual([name, '700'])
      }
      for (const name of ['configs/config.yaml', 'runtime.pid.json', 'logs/runtime.log']) {
        expect([name, modeOf(name)]).toEqual([name, '600'])
      }
      const names = readdirSync(root, { recursive: true, encoding: 'utf8' })
      expect(names.filter((name) => name.endsWith('.part'))).toEqual([])
    })

    it('leads a session of its own, so that a Ctrl-C for the platform does not reach it', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      const { pid } = recordOf(baseDir, input.workspaceId)
      const [, , , , groupId, sessionId] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')
      expect([groupId, sessionId]).toEqual([String(pid), String(pid)])
    })

    it('has its folders closed again by a start, and its temporary files gone', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      await provisioner.stop(input.workspaceId)
      const root = join(baseDir, input.workspaceId)
      chmodSync(join(root, 'home'), 0o777)
      writeFileSync(join(root, 'tmp', 'left'), 'x')
      writeFileSync(join(root, `.${'a'.repeat(32)}.part`), 'half a secret')
      writeFileSync(join(root, 'home', 'kept'), 'x')
      await provisioner.start({ ...input, generation: 2 }, never())
      expect(statSync(join(root, 'home')).mode & 0o777).toBe(0o700)
      expect(readdirSync(join(root, 'tmp'))).toEqual([])
      expect(readdirSync(root).filter((name) => name.endsWith('.part'))).toEqual([])
      expect(existsSync(join(root, 'home', 'kept'))).toBe(true)
    })

    it('starts alone: what still carries its mark ends first', async () => {
      const input = startInput()
      const stray = spawn('sleep', ['600'], {
        stdio: 'ignore',
        env: { ...process.env, ATRIUM_BOX: join(baseDir, input.workspaceId) },
      })
      const exited = once(stray, 'exit')
      await provisioner.start(input, never())
      expect((await exited)[1]).toBe('SIGKILL')
    })

    it("sees nothing of the platform's environment, and no credential in environment or arguments", async () => {
      process.env['ADMIN_TOKEN'] = 'admin-token-value'
      process.env['DATABASE_URL'] = 'postgres://user:database-password@127.0.0.1/x'
      try {
        const input = startInput()
        const { endpointUrl } = await provisioner.start(input, never())
        const { env, cwd } = await stateOf(endpointUrl)
        const given = startedWith(recordOf(baseDir, input.workspaceId).pid)
        expect(given).toContain(`WORKSPACE_ID=${input.workspaceId}`)
        expect(given).not.toMatch(/ADMIN_TOKEN|DATABASE_URL|admin-token-value|database-password/)
        expect(given).not.toMatch(/auth-token-value|inbound-secret-value|VITEST/)
        const root = join(baseDir, input.workspaceId)
        expect(env).toMatchObject({
          ATRIUM_ROOTS_DIR: root,
          ATRIUM_LISTEN_HOST: '127.0.0.1',
          PORT: '0',
          HOME: join(root, 'home'),
          TMPDIR: join(root, 'tmp'),
        })
        expect(cwd).toBe(join(root, 'workspace'))
      } finally {
        delete process.env['ADMIN_TOKEN']
        delete process.env['DATABASE_URL']
      }
    })

    it('lets no variable of the workspace move it elsewhere', async () => {
      const input = startInput()
      const { endpointUrl } = await provisioner.start(
        {
          ...input,
          secretEnv: {
            ATRIUM_ROOTS_DIR: new Secret('/'),
            PORT: new Secret('80'),
            WORKSPACE_ID: new Secret('other'),
            ATRIUM_LISTEN_HOST: new Secret('0.0.0.0'),
          },
        },
        never(),
      )
      expect((await stateOf(endpointUrl)).env).toMatchObject({
        ATRIUM_ROOTS_DIR: join(baseDir, input.workspaceId),
        PORT: '0',
        WORKSPACE_ID: input.workspaceId,
        ATRIUM_LISTEN_HOST: '127.0.0.1',
      })
    })

    it('inherits no descriptor of the platform', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      const { pid } = recordOf(baseDir, input.workspaceId)
      const files = readdirSync(`/proc/${pid}/fd`).map((fd) => `/proc/${pid}/fd/${fd}`)
      // Its own log goes through a socket: the file itself is not in its hands.
      expect(
        files.map((file) => readlinkSync(file)).filter((target) => target.includes(baseDir)),
      ).toEqual([])
    })

    it('writes no credential through a link that the workspace planted', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      await provisioner.stop(input.workspaceId)
      const outside = join(baseDir, 'outside')
      mkdirSync(outside)
      const configs = join(baseDir, input.workspaceId, 'configs')
      rmSync(configs, { recursive: true })
      symlinkSync(outside, configs)
      await expect(provisioner.start(input, never())).rejects.toThrow()
      expect(
        await refusal(provisioner.writeInboundSecret(input.workspaceId, new Secret('s'))),
      ).toBe('ENOTDIR')
      expect(readdirSync(outside)).toEqual([])
    })

    it('replaces a link in the place of a credential instead of following it', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      const victim = join(baseDir, 'victim')
      writeFileSync(victim, 'untouched')
      const file = join(baseDir, input.workspaceId, 'configs', '.platform_inbound_secret')
      rmSync(file)
      symlinkSync(victim, file)
      await provisioner.writeInboundSecret(input.workspaceId, new Secret('fresh'))
      expect(readFileSync(victim, 'utf8')).toBe('untouched')
      expect(lstatSync(file).isFile()).toBe(true)
    })
  })

  describe('stop', () => {
    it.each([
      'child',
      'grandchild',
      'bare-child',
      'session-child',
      'stubborn-child',
      'console-child',
    ])('ends what the runtime started: %s', async (traits) => {
      const input = startInput({ traits })
      const { endpointUrl } = await provisioner.start(input, never())
      const { pids } = await stateOf(endpointUrl)
      expect(pids.map(isRunning)).toEqual([true, true])
      await provisioner.stop(input.workspaceId)
      expect(pids.filter(isRunning)).toEqual([])
    })

    it('kills what ignores SIGTERM only after the grace period', async () => {
      const input = startInput({ traits: 'stubborn' })
      const { endpointUrl } = await provisioner.start(input, never())
      const { pids } = await stateOf(endpointUrl)
      const startedAt = performance.now()
      await provisioner.stop(input.workspaceId)
      expect(performance.now() - startedAt).toBeGreaterThan(600)
      expect(pids.filter(isRunning)).toEqual([])
    })

    it('does not wait for a runtime that ends by itself', async () => {
      const patient = makeBase()
      const slow = createIn(patient, { stopGraceMs: 60_000 })
      await slow.open()
      const input = startInput({ traits: 'child' })
      await slow.start(input, never())
      await slow.stop(input.workspaceId)
      await slow.close()
      rmSync(patient, { recursive: true })
    })

    it('leaves strangers alone, whoever stands in the folder of the workspace', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      const shell = spawn('sleep', ['600'], {
        cwd: join(baseDir, input.workspaceId, 'workspace'),
        stdio: 'ignore',
      })
      await provisioner.stop(input.workspaceId)
      expect(isRunning(shell.pid ?? 0)).toBe(true)
      shell.kill('SIGKILL')
      await once(shell, 'exit')
    })
  })

  it('ends the rest of the box before it reports an unexpected exit', async () => {
    const exits: UnexpectedExit[] = []
    const input = startInput({ traits: 'child,session-child,bare-child,stubborn-child' })
    let pids: readonly number[] = []
    let left: readonly number[] = [0]
    provisioner.onUnexpectedExit((exit) => {
      left = pids.filter(isRunning)
      exits.push(exit)
    })
    pids = (await stateOf((await provisioner.start(input, never())).endpointUrl)).pids
    process.kill(recordOf(baseDir, input.workspaceId).pid, 'SIGKILL')
    await eventually(() => exits.length > 0)
    expect(left).toEqual([])
    expect(existsSync(join(baseDir, input.workspaceId, 'runtime.pid.json'))).toBe(false)
  })

  it('does not call a start good when the runtime died with its ready message', async () => {
    const exits: UnexpectedExit[] = []
    provisioner.onUnexpectedExit((exit) => exits.push(exit))
    const input = startInput({ traits: 'dies-when-ready' })
    const outcome = await provisioner.start(input, never()).then(
      () => 'started' as const,
      () => 'failed' as const,
    )
    // Both orders are honest, silence is not: the start fails, or the exit is reported.
    if (outcome === 'started') await eventually(() => exits.length > 0)
    await eventually(async () => !(await provisioner.isRunning(input.workspaceId)))
  })

  it('fails the start when the runtime cannot be executed', async () => {
    const elsewhere = makeBase()
    const broken = createIn(elsewhere, { nodePath: '/nonexistent/node' })
    await broken.open()
    const input = startInput()
    await expect(broken.start(input, never())).rejects.toMatchObject({
      internal: expect.stringContaining('ENOENT'),
    })
    expect(await broken.isRunning(input.workspaceId)).toBe(false)
    await broken.close()
    rmSync(elsewhere, { recursive: true })
  })

  it('leaks neither descriptors nor children over many starts', async () => {
    const cycle = async (traits: string): Promise<void> => {
      const input = startInput({ traits })
      await provisioner.start(input, never()).catch(() => undefined)
      await provisioner.stop(input.workspaceId)
      await provisioner.removeVolume(input.workspaceId)
    }
    await cycle('')
    await cycle('exits')
    const before = ownDescriptors().length
    for (let round = 0; round < 5; round += 1) {
      await Promise.all([cycle('child'), cycle('exits'), cycle('garbage')])
    }
    // The HTTP client of other tests may close sockets meanwhile: fewer is fine, more is a leak.
    expect(ownDescriptors().length).toBeLessThanOrEqual(before)
    expect(ownChildren()).toEqual(childrenBefore)
  })

  describe('removeVolume', () => {
    it('follows no link, inside or in place of the folder', async () => {
      const victim = join(baseDir, 'victim')
      mkdirSync(victim)
      writeFileSync(join(victim, 'precious.txt'), 'x')
      const input = startInput()
      await provisioner.start(input, never())
      await provisioner.stop(input.workspaceId)
      symlinkSync(victim, join(baseDir, input.workspaceId, 'workspace', 'link'))
      await provisioner.removeVolume(input.workspaceId)
      const linked = randomUUID()
      symlinkSync(victim, join(baseDir, linked))
      await provisioner.removeVolume(linked)
      expect(existsSync(join(victim, 'precious.txt'))).toBe(true)
      expect(existsSync(join(baseDir, linked))).toBe(false)
      expect(existsSync(join(baseDir, input.workspaceId))).toBe(false)
    })
  })

  it('removes read-only folders, as a module cache leaves them, also without being root', async () => {
    const tree = makeBase()
    mkdirSync(join(tree, 'home', 'pkg', 'mod'), { recursive: true })
    writeFileSync(join(tree, 'home', 'pkg', 'mod', 'file.go'), 'x')
    const asNobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}
    if (asNobody.uid !== undefined) {
      for (const name of ['', 'home', 'home/pkg', 'home/pkg/mod']) {
        chownSync(join(tree, name), asNobody.uid, asNobody.gid)
      }
    }
    chmodSync(join(tree, 'home', 'pkg', 'mod'), 0o500)
    chmodSync(join(tree, 'home', 'pkg'), 0o500)
    const program = `import { removeTree } from ${JSON.stringify(REMOVE_TREE)}
      await removeTree(${JSON.stringify(join(tree, 'home'))})`
    const removal = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: 'inherit',
      ...asNobody,
    })
    expect(await once(removal, 'exit')).toEqual([0, null])
    expect(existsSync(join(tree, 'home'))).toBe(false)
    rmSync(tree, { recursive: true })
  })

  describe('console', () => {
    // The second is less than what a pipe hands over at once.
    it.each([100_000, 30_000])(
      'never takes more than four files of %i bytes, and reads across them',
      async (maxLogFileBytes) => {
        const small = makeBase()
        const limited = createIn(small, { maxLogFileBytes })
        await limited.open()
        const input = startInput()
        const { endpointUrl } = await limited.start(input, never())
        await print(endpointUrl, { text: 'x'.repeat(99).concat('\n'), times: '10000' })
        await print(endpointUrl, { text: 'the last line\n' })
        await limited.stop(input.workspaceId)
        const logs = join(small, input.workspaceId, 'logs')
        const sizes = readdirSync(logs).map((name) => statSync(join(logs, name)).size)
        expect(sizes).toHaveLength(4)
        expect(Math.max(...sizes)).toBeLessThanOrEqual(maxLogFileBytes)
        const text = await limited.readConsole(input.workspaceId, 80_000)
        expect(text).toHaveLength(80_000)
        // Whole lines all the way: nothing was lost or doubled where one file ends.
        expect(text).toMatch(/^x{0,99}\n(x{99}\n)+the last line\n$/)
        expect(await limited.readConsole(input.workspaceId, 0)).toBe('')
        await limited.close()
        rmSync(small, { recursive: true })
      },
    )

    it('writes through no link that took the place of the log', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      await provisioner.stop(input.workspaceId)
      const victim = join(baseDir, 'victim')
      writeFileSync(victim, 'untouched')
      const current = join(baseDir, input.workspaceId, 'logs', 'runtime.log')
      rmSync(current)
      symlinkSync(victim, current)
      const { endpointUrl } = await provisioner.start({ ...input, generation: 2 }, never())
      await print(endpointUrl, { text: 'hostile\n' })
      expect(await provisioner.readConsole(input.workspaceId, 4096)).not.toContain('untouched')
      await provisioner.stop(input.workspaceId)
      expect(readFileSync(victim, 'utf8')).toBe('untouched')
    })
  })
})

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
    await provisioner.writeInboundSecret(input.workspaceId, new Secret('rotated-secret-value'))
    await eventually(async () => {
      const headers = { authorization: 'Bearer rotated-secret-value' }
      return (await fetch(read, { headers })).status === 200
    })
    const { pid } = recordOf(baseDir, input.workspaceId)
    const stoppedAt = performance.now()
    await provisioner.stop(input.workspaceId)
    expect(performance.now() - stoppedAt).toBeLessThan(9_000)
    expect(isRunning(pid)).toBe(false)
    expect(startMs).toBeLessThan(10_000)
    const text = await provisioner.readConsole(input.workspaceId, 1_000_000)
    expect(text).not.toMatch(/auth-token-value|inbound-secret-value|rotated-secret-value/)
    await provisioner.close()
  })

  it('has it end by itself when the platform is killed', async () => {
    const platform = fork(HOST_PLATFORM, [baseDir, randomUUID(), '', RUNTIME, platformUrl])
    await once(platform, 'message')
    const [workspaceId = ''] = readdirSync(baseDir)
    const { pid } = recordOf(baseDir, workspaceId)
    platform.kill('SIGKILL')
    try {
      await eventually(() => !isRunning(pid))
    } finally {
      sendSignal(pid, 'SIGKILL')
    }
  })
})

async function refusal(promise: Promise<unknown>): Promise<unknown> {
  const error = await promise.catch((caught: unknown) => caught)
  return error instanceof Error && 'code' in error ? error.code : error
}
