/**
 * @module What is promised of the files, credentials and volumes of a workspace (part of
 * `provisioner-contract.ts`). A back-end without a place for them says so, the same way everywhere.
 */
import { randomUUID } from 'node:crypto'
import { setImmediate as yieldToLoop } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { AppError } from '../../packages/http-kit/src/app-error.ts'
import { Secret } from '../../packages/http-kit/src/secret.ts'
import { type Bench, never, plant, startInput, stateOf } from './provisioner-bench.ts'

export function promiseFiles(bench: Bench): void {
  if (bench.traits.hasVolumes) {
    describe('configuration', () => promiseConfiguration(bench))
    describe('execRead', () => promiseReads(bench))
    describe('volumeHasFile', () => promiseVolumeHasFile(bench))
    describe('removeVolume', () => promiseRemoval(bench))
    promiseCredentials(bench)
  } else {
    it('says that it has no place for files and credentials', async () => {
      const { provisioner } = bench
      const { box } = await bench.boot(startInput())
      expect(await provisioner.execRead(box, '/configs/config.yaml', 1024)).toBe(undefined)
      expect(await provisioner.volumeHasFile(box, 'config.yaml')).toBe(false)
      expect(await provisioner.writeAuthToken(box, new Secret('x'))).toBe(false)
      expect(await provisioner.writeInboundSecret(box, new Secret('x'))).toBe(false)
      await provisioner.stop(box)
      await provisioner.removeVolume(box)
    })
  }
  describe('listBoxes', () => promiseList(bench))
}

function promiseConfiguration(bench: Bench): void {
  it('is in place before the runtime runs, with the credentials', async () => {
    const { url } = await bench.boot(startInput())
    const { seen } = await stateOf(url)
    expect(seen['.auth_token']).toEqual({ text: 'auth-token-value', mode: '600' })
    expect(seen['.platform_inbound_secret']).toEqual({ text: 'inbound-secret-value', mode: '600' })
    expect(seen['config.yaml']?.text).toBe('name: fake\n')
    expect(seen['nested/deep/note.txt']?.text).toBe('hello')
  })

  it('stays, and the credentials of the last generation are replaced', async () => {
    const first = startInput()
    const { box } = await bench.boot(first)
    await bench.provisioner.stop(box)
    const second = startInput({
      workspaceId: first.workspaceId,
      generation: 2,
      credentials: { authToken: 'second-auth', inboundSecret: 'second-inbound' },
    })
    const { url } = await bench.boot({ ...second, configFiles: new Map() })
    const { seen } = await stateOf(url)
    expect(seen['.auth_token']?.text).toBe('second-auth')
    expect(seen['.platform_inbound_secret']?.text).toBe('second-inbound')
    expect(seen['nested/deep/note.txt']?.text).toBe('hello')
  })

  it.each(['../escape', '/etc/passwd', 'a/../../b', '', '.auth_token', '.AUTH_TOKEN.bak'])(
    'refuses the file %j',
    async (path) => {
      const input = startInput()
      const configFiles = new Map([[path, new Uint8Array([1])]])
      await expect(bench.provisioner.start({ ...input, configFiles }, never())).rejects.toThrow(
        AppError,
      )
      expect(await bench.provisioner.isRunning(input)).toBe(false)
    },
  )
}

function promiseReads(bench: Bench): void {
  it('reads a file below each of the four roots', async () => {
    const { box, url } = await bench.boot(startInput())
    for (const root of ['configs', 'workspace', 'home', 'plugins']) {
      await plant(url, { kind: 'file', path: `/${root}/a.txt`, text: `in ${root}` })
      const bytes = await bench.provisioner.execRead(box, `/${root}/a.txt`, 1024)
      expect(new TextDecoder().decode(bytes)).toBe(`in ${root}`)
    }
    const nested = await bench.provisioner.execRead(box, '/configs/nested/deep/note.txt', 1024)
    expect(new TextDecoder().decode(nested)).toBe('hello')
  })

  it('reads up to the limit and refuses more, instead of giving a part', async () => {
    const { box, url } = await bench.boot(startInput())
    await plant(url, { kind: 'file', path: '/workspace/full', text: 'x', times: '1000' })
    const read = (maxBytes: number) => bench.provisioner.execRead(box, '/workspace/full', maxBytes)
    expect((await read(1000))?.byteLength).toBe(1000)
    await expect(read(999)).rejects.toThrow('larger than 999 bytes')
  })

  it('reads an empty file', async () => {
    const { box, url } = await bench.boot(startInput())
    await plant(url, { kind: 'file', path: '/workspace/empty' })
    const bytes = await bench.provisioner.execRead(box, '/workspace/empty', 1024)
    expect(bytes?.byteLength).toBe(0)
  })

  it.each([
    ['nothing', undefined, '/workspace/missing/x'],
    ['a folder', undefined, '/configs/nested'],
    ['a file where a folder should be', undefined, '/configs/config.yaml/x'],
    ['a FIFO', { kind: 'fifo', path: '/workspace/x' }, '/workspace/x'],
    ['a link', { kind: 'link', path: '/workspace/x', target: '/etc/passwd' }, '/workspace/x'],
    [
      'a link as a folder',
      { kind: 'link', path: '/workspace/x', target: '/etc' },
      '/workspace/x/passwd',
    ],
    [
      'a link to a credential',
      { kind: 'link', path: '/configs/x', target: '.auth_token' },
      '/configs/x',
    ],
    [
      'a second name of a credential',
      { kind: 'hard-link', path: '/configs/x', target: '/configs/.auth_token' },
      '/configs/x',
    ],
    ['a credential', undefined, '/configs/.auth_token'],
    ['a credential by another spelling', undefined, '/configs/.Platform_Inbound_Secret'],
  ] as const)('finds no file in %s', async (_, planted, path) => {
    const { box, url } = await bench.boot(startInput())
    if (planted !== undefined) await plant(url, planted)
    expect(await bench.provisioner.execRead(box, path, 1_000_000)).toBe(undefined)
  })

  it.each(['/etc/passwd', '/workspace/../etc/passwd', 'workspace/x', '/logs/runtime.log', ''])(
    'refuses the path %j',
    async (path) => {
      const { box } = await bench.boot(startInput())
      await expect(bench.provisioner.execRead(box, path, 1024)).rejects.toThrow(AppError)
    },
  )

  it('fails when the box does not run', async () => {
    const { box } = await bench.boot(startInput())
    await bench.provisioner.stop(box)
    const path = '/configs/config.yaml'
    await expect(bench.provisioner.execRead(box, path, 1024)).rejects.toThrow('does not run')
    const unknown = { workspaceId: randomUUID() }
    await expect(bench.provisioner.execRead(unknown, path, 1024)).rejects.toThrow('does not run')
  })
}

function promiseVolumeHasFile(bench: Bench): void {
  it('looks below /configs of a running and of a stopped box', async () => {
    const { box } = await bench.boot(startInput())
    const look = async () => [
      await bench.provisioner.volumeHasFile(box, 'config.yaml'),
      await bench.provisioner.volumeHasFile(box, 'nested/deep/note.txt'),
      await bench.provisioner.volumeHasFile(box, '.auth_token'),
      await bench.provisioner.volumeHasFile(box, 'nested'),
      await bench.provisioner.volumeHasFile(box, 'missing.yaml'),
      await bench.provisioner.volumeHasFile(box, 'config.yaml/x'),
    ]
    expect(await look()).toEqual([true, true, true, false, false, false])
    await bench.provisioner.stop(box)
    expect(await look()).toEqual([true, true, true, false, false, false])
  })

  it('is false for a workspace without a volume', async () => {
    const box = { workspaceId: randomUUID() }
    expect(await bench.provisioner.volumeHasFile(box, 'config.yaml')).toBe(false)
    expect(await bench.harness.hasVolume(box.workspaceId)).toBe(false)
  })

  it.each(['../x', '/etc/passwd', '', 'a//b'])('refuses the path %j', async (path) => {
    const { box } = await bench.boot(startInput())
    await expect(bench.provisioner.volumeHasFile(box, path)).rejects.toThrow(AppError)
  })
}

function promiseRemoval(bench: Bench): void {
  it('removes what the workspace stored and may be repeated', async () => {
    const { box } = await bench.boot(startInput())
    await bench.provisioner.stop(box)
    expect(await bench.harness.hasVolume(box.workspaceId)).toBe(true)
    await bench.provisioner.removeVolume(box)
    expect(await bench.harness.hasVolume(box.workspaceId)).toBe(false)
    await bench.provisioner.removeVolume(box)
  })

  it('is refused while the workspace runs', async () => {
    const { box } = await bench.boot(startInput())
    await expect(bench.provisioner.removeVolume(box)).rejects.toThrow('not stopped')
    expect(await bench.harness.hasVolume(box.workspaceId)).toBe(true)
  })
}

function promiseCredentials(bench: Bench): void {
  describe.each([
    ['writeAuthToken', '.auth_token'],
    ['writeInboundSecret', '.platform_inbound_secret'],
  ] as const)('%s', (method, name) => {
    it('replaces the credential in a running and in a stopped box, 0600', async () => {
      const { box } = await bench.boot(startInput())
      const read = () => bench.harness.readConfig(box.workspaceId, name)
      expect(await bench.provisioner[method](box, new Secret('rotated'))).toBe(true)
      expect(await read()).toEqual({ text: 'rotated', mode: 0o600 })
      await bench.provisioner.stop(box)
      expect(await bench.provisioner[method](box, new Secret('later'))).toBe(true)
      expect(await read()).toEqual({ text: 'later', mode: 0o600 })
    })

    it('is never seen half written', async () => {
      const { box } = await bench.boot(startInput())
      const values = ['a'.repeat(4000), 'b'.repeat(4000)]
      await bench.provisioner[method](box, new Secret(values[0] ?? ''))
      const seen = new Set<string | undefined>()
      let isDone = false
      const reading = (async () => {
        while (!isDone) {
          seen.add((await bench.harness.readConfig(box.workspaceId, name))?.text)
          await yieldToLoop()
        }
      })()
      for (let round = 0; round < 8; round += 1) {
        await bench.provisioner[method](box, new Secret(values[round % 2] ?? ''))
      }
      isDone = true
      await reading
      expect([...seen].filter((text) => !values.includes(text ?? ''))).toEqual([])
    })

    it('says false where there is no box', async () => {
      const box = { workspaceId: randomUUID() }
      expect(await bench.provisioner[method](box, new Secret('x'))).toBe(false)
      if (bench.traits.hasVolumes) {
        expect(await bench.harness.hasVolume(box.workspaceId)).toBe(false)
      }
    })
  })
}

function promiseList(bench: Bench): void {
  const { hasVolumes, knowsGenerations, listsBoxes } = bench.traits
  it('is empty where nothing was started', async () => {
    expect(await bench.provisioner.listBoxes()).toEqual([])
  })

  if (!listsBoxes) {
    it('is empty for a back-end that cannot tell', async () => {
      await bench.boot(startInput())
      expect(await bench.provisioner.listBoxes()).toEqual([])
    })
    return
  }

  it('tells what runs and of which generation', async () => {
    const input = startInput({ generation: 9 })
    const { box } = await bench.boot(input)
    const other = await bench.boot(startInput())
    const boxes = await bench.provisioner.listBoxes()
    expect(boxes).toHaveLength(2)
    expect(boxes).toContainEqual({
      workspaceId: box.workspaceId,
      generation: knowsGenerations ? 9 : undefined,
      instanceId: box.instanceId,
      isRunning: true,
    })
    await bench.provisioner.stop(other.box)
    const running = (await bench.provisioner.listBoxes()).filter(({ isRunning }) => isRunning)
    expect(running.map(({ workspaceId }) => workspaceId)).toEqual([box.workspaceId])
  })

  if (!hasVolumes) return
  it('tells a volume whose box ended, until it is removed', async () => {
    const { box } = await bench.boot(startInput())
    await bench.provisioner.stop(box)
    const [left, ...more] = await bench.provisioner.listBoxes()
    expect(left).toMatchObject({ workspaceId: box.workspaceId, isRunning: false })
    expect(more).toEqual([])
    await bench.provisioner.removeVolume(box)
    expect(await bench.provisioner.listBoxes()).toEqual([])
  })
}
