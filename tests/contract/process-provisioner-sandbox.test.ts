import { type ChildProcess, execFileSync, type ForkOptions, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { boxPaths } from '../../apps/platform/src/provisioners/box-folder.ts'
import { bubblewrapCommand } from '../../apps/platform/src/provisioners/bubblewrap.ts'
import type { Provisioner } from '../../apps/platform/src/provisioners/provisioner.ts'
import { Secret } from '../../packages/http-kit/src/secret.ts'
import { ALLOWED_ROOTS } from '../../packages/path-safety/src/workspace-path.ts'
import { eventually } from '../support/eventually.ts'
import {
  createIn,
  HOST_PLATFORM,
  makeBase,
  recordOf,
  SANDBOX_OFF,
  SANDBOX_ON,
} from '../support/process-boxes.ts'
import { startedWith } from '../support/process-probe.ts'
import { processTree, runtimePid, stillRunning } from '../support/process-tree.ts'
import { isSandboxThere } from '../support/sandbox-there.ts'
import { never, plant, startInput, stateOf } from './provisioner-bench.ts'

type Look = { readonly names?: readonly string[]; readonly text?: string; readonly error?: string }

async function look(url: string, path: string): Promise<Look> {
  // The fake runtime is ours: its shape is known.
  return (await (await fetch(`${url}/look?${new URLSearchParams({ path })}`)).json()) as Look
}

const isRoot = process.geteuid?.() === 0

describe.skipIf(!isSandboxThere())('process provisioner with bubblewrap', () => {
  function makeTestBase(): string {
    const baseDir = makeBase()
    onTestFinished(() => rmSync(baseDir, { recursive: true, force: true }))
    return baseDir
  }

  async function openIn(baseDir: string, sandbox = SANDBOX_ON): Promise<Provisioner> {
    const provisioner = createIn(baseDir, { sandbox })
    await provisioner.open()
    onTestFinished(() => provisioner.close())
    return provisioner
  }

  async function boot(provisioner: Provisioner, input = startInput()): Promise<string> {
    return (await provisioner.start(input, never())).endpointUrl ?? ''
  }

  function runtimeOf(baseDir: string, workspaceId: string): number {
    return runtimePid(recordOf(baseDir, workspaceId).pid)
  }

  it("shows neither another workspace's files nor the platform's", async () => {
    const baseDir = makeTestBase()
    const provisioner = await openIn(baseDir)
    const other = startInput()
    const otherUrl = await boot(provisioner, other)
    await plant(otherUrl, { kind: 'file', path: '/workspace/secret.txt', text: 'not yours' })
    const dataDir = makeTestBase()
    writeFileSync(join(dataDir, 'encryption.key'), 'key', { mode: 0o644 })
    const url = await boot(provisioner)
    for (const path of [
      join(baseDir, other.workspaceId, 'workspace', 'secret.txt'),
      baseDir,
      join(dataDir, 'encryption.key'),
      `/proc/${process.pid}/environ`,
      `/proc/1/root${baseDir}`,
      join(SANDBOX_ON.codeRoot, 'package.json'),
      '/root',
      '/etc/shadow',
      '/var',
    ]) {
      expect([path, await look(url, path)]).toEqual([path, { error: expect.any(String) }])
    }
    expect((await look(otherUrl, '/workspace/secret.txt')).text).toBe('not yours')
  })

  it('shows the four roots at their names on the wire, a /tmp of its own and no other process', async () => {
    const baseDir = makeTestBase()
    const url = await boot(await openIn(baseDir))
    expect((await look(url, '/')).names?.toSorted()).toEqual(
      expect.arrayContaining(['configs', 'home', 'plugins', 'proc', 'tmp', 'usr', 'workspace']),
    )
    expect((await look(url, '/configs')).names).toContain('config.yaml')
    expect((await look(url, '/tmp')).names).not.toContain(basename(baseDir))
    const { env, cwd, pids } = await stateOf(url)
    expect(cwd).toBe('/workspace')
    expect(env).toMatchObject({ CONFIGS_DIR: '/configs', HOME: '/home', TMPDIR: '/tmp' })
    expect(env).not.toHaveProperty('ATRIUM_ROOTS_DIR')
    const processes = (await look(url, '/proc')).names?.filter((name) => /^\d+$/.test(name))
    expect(processes?.map(Number)).toEqual([1, ...pids])
  })

  it('gives it no capability, and no way to any', async () => {
    const baseDir = makeTestBase()
    const input = startInput()
    await boot(await openIn(baseDir), input)
    const status = readFileSync(`/proc/${runtimeOf(baseDir, input.workspaceId)}/status`, 'utf8')
    for (const name of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb', ...(isRoot ? ['CapBnd'] : [])]) {
      expect(status).toMatch(new RegExp(`^${name}:\\t0+$`, 'm'))
    }
    expect(status).toMatch(/^NoNewPrivs:\t1$/m)
  })

  it('can write to its own folders and to nothing else of the machine', async () => {
    const baseDir = makeTestBase()
    const input = startInput()
    await boot(await openIn(baseDir), input)
    const mounts = readFileSync(`/proc/${runtimeOf(baseDir, input.workspaceId)}/mountinfo`, 'utf8')
    const writable = mounts
      .trim()
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, , , , , options]) => options?.split(',').includes('rw'))
      .map(([, , , , place = '']) => place)
      .filter((place) => !/^\/(dev|proc)(\/|$)/.test(place))
    expect(writable.toSorted()).toEqual(['/configs', '/home', '/plugins', '/tmp', '/workspace'])
  })

  it("has process ids, System V's IPC, host name and mounts of its own", async () => {
    const baseDir = makeTestBase()
    const input = startInput()
    await boot(await openIn(baseDir), input)
    const pid = runtimeOf(baseDir, input.workspaceId)
    const namespaces = ['pid', 'ipc', 'uts', 'mnt'] as const
    const shared = namespaces.filter(
      (name) => readlinkSync(`/proc/${pid}/ns/${name}`) === readlinkSync(`/proc/self/ns/${name}`),
    )
    expect(shared).toEqual([])
  })

  it.runIf(isRoot)(
    'takes every capability from root, where there is nobody else to be',
    async () => {
      const baseDir = makeTestBase()
      const paths = boxPaths(baseDir, 'box')
      for (const root of [...ALLOWED_ROOTS, 'temporary'] as const) {
        mkdirSync(paths[root], { recursive: true })
      }
      const links = ['/bin', '/lib', '/lib64'].filter((name) => existsSync(name))
      const shared = {
        ...SANDBOX_ON,
        nodePath: process.execPath,
        runtimeEntry: '',
        systemFolders: new Map(links.map((name) => [name, readlinkSync(name)])),
      }
      const [file = '', ...args] = [
        ...bubblewrapCommand({ bwrap: 'bwrap', setpriv: '' }, shared, {
          paths,
          owner: undefined,
          isRoot: true,
        }),
        ...['cat', '/proc/self/status'],
      ]
      const status = execFileSync(file, args, { encoding: 'utf8' })
      expect(status).toMatch(/^CapPrm:\t0+$/m)
      expect(status).toMatch(/^NoNewPrivs:\t1$/m)
    },
  )

  it.runIf(isRoot)('runs every workspace as a user of its own, who owns its files', async () => {
    const baseDir = makeTestBase()
    const provisioner = await openIn(baseDir)
    const inputs = [startInput(), startInput()]
    const uids = await Promise.all(
      inputs.map(async (input) => {
        const url = await boot(provisioner, input)
        await plant(url, { kind: 'file', path: '/home/made.txt' })
        const made = statSync(join(baseDir, input.workspaceId, 'home', 'made.txt'))
        const given = statSync(join(baseDir, input.workspaceId, 'configs', 'nested'))
        expect(given.uid).toBe(made.uid)
        return made.uid
      }),
    )
    expect(Math.min(...uids)).toBeGreaterThanOrEqual(2_000_000_000)
    expect(new Set(uids).size).toBe(2)
  })

  it("obeys no variable of a workspace's before the workspace's user is set", async () => {
    const baseDir = makeTestBase()
    const provisioner = await openIn(baseDir)
    const input = startInput()
    const secretEnv = {
      ...input.secretEnv,
      LD_PRELOAD: new Secret('/configs/evil.so'),
      PATH: new Secret('/configs'),
      'dotted.name': new Secret('as it is'),
    }
    const url = await boot(provisioner, { ...input, secretEnv })
    expect((await stateOf(url)).env).toMatchObject({
      LD_PRELOAD: '/configs/evil.so',
      'dotted.name': 'as it is',
      PROVIDER_KEY: 'sk-provider-value',
    })
    const tree = processTree(recordOf(baseDir, input.workspaceId).pid)
    expect(tree.length).toBeGreaterThanOrEqual(3)
    for (const { pid } of tree) {
      expect(startedWith(pid)).not.toMatch(/evil|sk-provider-value|as it is/)
    }
  })

  it('asks the runtime to end before it takes the rest away', async () => {
    const provisioner = await openIn(makeTestBase())
    const input = startInput({ traits: 'lingers,child,stubborn-child,session-child' })
    await boot(provisioner, input)
    await provisioner.stop(input)
    expect(await provisioner.readConsole(input, 4096)).toContain('ends in order')
  })

  it('ends with everything in it when the platform is killed, whatever it ignores', async () => {
    const baseDir = makeTestBase()
    const workspaceId = randomUUID()
    const traits = 'ignores-disconnect,stubborn,child,bare-child,session-child,stubborn-child'
    const platform = hostPlatform([baseDir, workspaceId, traits])
    await once(platform, 'message')
    const tree = processTree(recordOf(baseDir, workspaceId).pid)
    expect(tree.length).toBeGreaterThanOrEqual(7)
    platform.kill('SIGKILL')
    await eventually(() => stillRunning(tree).length === 0)
  })

  it('limits what one process may take, by tier', async () => {
    const baseDir = makeTestBase()
    const provisioner = await openIn(baseDir)
    const input = { ...startInput(), tier: 1 }
    await boot(provisioner, input)
    const limits = readFileSync(`/proc/${runtimeOf(baseDir, input.workspaceId)}/limits`, 'utf8')
    expect(limits).toMatch(/^Max core file size +0 +0 /m)
    expect(limits).toMatch(/^Max open files +4096 +4096 /m)
    expect(limits).toMatch(/^Max file size +4294967296 +4294967296 /m)
    if (isRoot) expect(limits).toMatch(/^Max processes +256 +256 /m)
  })

  it('keeps every file usable when sandboxes are switched off and on again', async () => {
    const baseDir = makeTestBase()
    const input = startInput()
    // As an archive of another decade unpacks: the bytes of the names are no UTF-8.
    const folder = Buffer.from(join(baseDir, input.workspaceId, 'workspace', 'caf\xe9'), 'latin1')
    const letter = Buffer.concat([folder, Buffer.from('/\xe9t\xe9', 'latin1')])
    for (const [index, sandbox] of [SANDBOX_OFF, SANDBOX_ON, SANDBOX_OFF, SANDBOX_ON].entries()) {
      const provisioner = createIn(baseDir, { sandbox })
      await provisioner.open()
      const url = await boot(provisioner, { ...input, generation: index + 1 })
      // Over what the one before has written, as another user.
      await plant(url, { kind: 'file', path: '/workspace/notes.txt', text: `round ${index}` })
      if (index === 0) mkdirSync(folder)
      if (index === 0) writeFileSync(letter, 'x')
      await provisioner.close()
    }
    const notes = join(baseDir, input.workspaceId, 'workspace', 'notes.txt')
    expect(readFileSync(notes, 'utf8')).toBe('round 3')
    const owners = [notes, folder, letter].map((path) => statSync(path).uid)
    expect(new Set(owners).size).toBe(1)
  })

  it('is required with `on`, and done without in `auto`, when it does not work', async () => {
    const baseDir = makeTestBase()
    const words: string[] = []
    const create = (mode: 'on' | 'auto') =>
      createIn(baseDir, {
        // The runtime cannot be seen from inside.
        sandbox: { ...SANDBOX_ON, codeFolders: ['node_modules'], mode },
        onConfinement: (told) => words.push(told),
      })
    await expect(create('on').open()).rejects.toThrow(/^ATRIUM_SANDBOX is on, but bubblewrap/)
    const without = create('auto')
    await without.open()
    onTestFinished(() => without.close())
    expect(words).toEqual([expect.stringContaining('without a sandbox: bubblewrap does not work')])
    const { isolation } = await without.start(startInput(), never())
    expect(isolation).toBe('process')
  })

  it('takes away what a platform left that was killed while it tried the sandbox out', async () => {
    const baseDir = makeTestBase()
    mkdirSync(join(baseDir, '.sandbox-probe-abcdef', 'workspace'), { recursive: true })
    await openIn(baseDir)
    expect(readdirSync(baseDir)).toEqual(['host-id'])
  })

  it.runIf(isRoot)('works for a platform that is not root', async () => {
    const baseDir = makeTestBase()
    chownSync(baseDir, 65_534, 65_534)
    const workspaceId = randomUUID()
    const platform = hostPlatform([baseDir, workspaceId, 'child'], { uid: 65_534, gid: 65_534 })
    const [message] = (await once(platform, 'message')) as [{ endpointUrl: string }]
    expect((await look(message.endpointUrl, baseDir)).error).toBe('ENOENT')
    expect((await look(message.endpointUrl, '/configs/.auth_token')).text).toBe('host-auth')
    const tree = processTree(recordOf(baseDir, workspaceId).pid)
    platform.kill('SIGKILL')
    await eventually(() => stillRunning(tree).length === 0)
  })

  it.runIf(isRoot)("has none of the platform's groups, which own much of a machine", async () => {
    const baseDir = makeTestBase()
    const workspaceId = randomUUID()
    const execArgv = ['--groups', '4,27', '--', process.execPath]
    const platform = hostPlatform([baseDir, workspaceId], { execPath: 'setpriv', execArgv })
    await once(platform, 'message')
    const groupsOf = (pid: number | undefined) =>
      /^Groups:\t(.*?) *$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    expect(groupsOf(platform.pid)).toBe('4 27')
    expect(groupsOf(runtimeOf(baseDir, workspaceId))).toBe('')
  })

  function hostPlatform(args: string[], options: ForkOptions = {}): ChildProcess {
    const env = { ...process.env, ATRIUM_SANDBOX: 'on' }
    const platform = fork(HOST_PLATFORM, args, { env, ...options })
    onTestFinished(() => {
      platform.kill('SIGKILL')
    })
    return platform
  }
})
