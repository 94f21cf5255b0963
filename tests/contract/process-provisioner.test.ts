import { execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { UnexpectedExit } from '../../apps/platform/src/provisioners/provisioner.ts'
import { eventually } from '../support/eventually.ts'
import {
  baseDir,
  childrenBefore,
  createIn,
  makeBase,
  provideProcessProvisioner,
  provisioner,
  recordOf,
} from '../support/process-boxes.ts'
import { isRunning, ownChildren, ownDescriptors } from '../support/process-probe.ts'
import { never, print, startInput, stateOf } from './provisioner-bench.ts'

const REMOVE_TREE = new URL('../../apps/platform/src/provisioners/remove-tree.ts', import.meta.url)
  .href

describe('process provisioner', () => {
  provideProcessProvisioner()

  describe('hostId', () => {
    it('is kept beside the boxes, for nobody else to read, and is not that of another folder', async () => {
      const file = join(baseDir, 'host-id')
      expect(readFileSync(file, 'utf8')).toBe(provisioner.hostId)
      expect(statSync(file).mode & 0o777).toBe(0o600)
      const elsewhere = makeBase()
      const other = createIn(elsewhere)
      await other.open()
      expect(other.hostId).not.toBe(provisioner.hostId)
      await other.close()
      rmSync(elsewhere, { recursive: true })
    })

    it('keeps a platform from starting over a damaged one, and the folder free', async () => {
      const damaged = makeBase()
      writeFileSync(join(damaged, 'host-id'), '')
      await expect(createIn(damaged).open()).rejects.toThrow('does not hold a host id')
      rmSync(join(damaged, 'host-id'))
      const repaired = createIn(damaged)
      await repaired.open()
      await repaired.close()
      rmSync(damaged, { recursive: true })
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
      await provisioner.stop(input)
      expect(pids.filter(isRunning)).toEqual([])
    })

    it('kills what ignores SIGTERM only after the grace period', async () => {
      const input = startInput({ traits: 'stubborn' })
      const { endpointUrl } = await provisioner.start(input, never())
      const { pids } = await stateOf(endpointUrl)
      const startedAt = performance.now()
      await provisioner.stop(input)
      expect(performance.now() - startedAt).toBeGreaterThan(600)
      expect(pids.filter(isRunning)).toEqual([])
    })

    it('does not wait for a runtime that ends by itself', async () => {
      const patient = makeBase()
      const slow = createIn(patient, { stopGraceMs: 60_000 })
      await slow.open()
      const input = startInput({ traits: 'child' })
      await slow.start(input, never())
      await slow.stop(input)
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
      await provisioner.stop(input)
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
    await eventually(async () => !(await provisioner.isRunning(input)))
  })

  it('fails the start when the runtime cannot be executed', async () => {
    const elsewhere = makeBase()
    const broken = createIn(elsewhere, { nodePath: '/nonexistent/node' })
    await broken.open()
    const input = startInput()
    await expect(broken.start(input, never())).rejects.toMatchObject({
      internal: expect.stringMatching(/ENOENT|No such file or directory/),
    })
    expect(await broken.isRunning(input)).toBe(false)
    await broken.close()
    rmSync(elsewhere, { recursive: true })
  })

  it('leaks neither descriptors nor children over many starts', async () => {
    const cycle = async (traits: string): Promise<void> => {
      const input = startInput({ traits })
      await provisioner.start(input, never()).catch(() => undefined)
      await provisioner.stop(input)
      await provisioner.removeVolume(input)
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
      await provisioner.stop(input)
      symlinkSync(victim, join(baseDir, input.workspaceId, 'workspace', 'link'))
      await provisioner.removeVolume(input)
      const linked = randomUUID()
      symlinkSync(victim, join(baseDir, linked))
      await provisioner.removeVolume({ workspaceId: linked })
      expect(existsSync(join(victim, 'precious.txt'))).toBe(true)
      expect(existsSync(join(baseDir, linked))).toBe(false)
      expect(existsSync(join(baseDir, input.workspaceId))).toBe(false)
    })
  })

  it('removes what lies deeper than a path may be long', async () => {
    const input = startInput()
    const root = join(baseDir, input.workspaceId)
    mkdirSync(join(root, 'home'), { recursive: true })
    // Names that the way up could stumble over, and one that is no UTF-8.
    for (const name of ['0', '2']) mkdirSync(join(root, name))
    mkdirSync(Buffer.from(join(root, 'home', 'caf\xe9'), 'latin1'))
    const dig = `const name = 'd'.repeat(200)
      for (let depth = 0; depth < 100; depth += 1) {
        fs.writeFileSync('file', 'x')
        fs.mkdirSync(name)
        process.chdir(name)
      }`
    execFileSync(process.execPath, ['-e', dig], { cwd: join(root, 'home') })
    await provisioner.removeVolume(input)
    expect(existsSync(root)).toBe(false)
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
        await limited.stop(input)
        const logs = join(small, input.workspaceId, 'logs')
        const sizes = readdirSync(logs).map((name) => statSync(join(logs, name)).size)
        expect(sizes).toHaveLength(4)
        expect(Math.max(...sizes)).toBeLessThanOrEqual(maxLogFileBytes)
        const text = await limited.readConsole(input, 80_000)
        expect(text).toHaveLength(80_000)
        // Whole lines all the way: nothing was lost or doubled where one file ends.
        expect(text).toMatch(/^x{0,99}\n(x{99}\n)+the last line\n$/)
        expect(await limited.readConsole(input, 0)).toBe('')
        await limited.close()
        rmSync(small, { recursive: true })
      },
    )

    it('writes through no link that took the place of the log', async () => {
      const input = startInput()
      await provisioner.start(input, never())
      await provisioner.stop(input)
      const victim = join(baseDir, 'victim')
      writeFileSync(victim, 'untouched')
      const current = join(baseDir, input.workspaceId, 'logs', 'runtime.log')
      rmSync(current)
      symlinkSync(victim, current)
      const { endpointUrl } = await provisioner.start({ ...input, generation: 2 }, never())
      await print(endpointUrl, { text: 'hostile\n' })
      expect(await provisioner.readConsole(input, 4096)).not.toContain('untouched')
      await provisioner.stop(input)
      expect(readFileSync(victim, 'utf8')).toBe('untouched')
    })
  })
})
