import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { systemClock, systemIds } from '@atrium/http-kit/clock'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CredentialFile } from '../../../apps/workspace-runtime/src/secrets/credential-file.ts'
import { type AgentRuntime, mintSecret, startAgentRuntime } from '../../support/agent-runtime.ts'

describe('CredentialFile', () => {
  let folder: string
  let path: string
  let file: CredentialFile

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atrium-credential-'))
    path = join(folder, '.auth_token')
    file = new CredentialFile(path, { clock: systemClock, ids: systemIds })
  })

  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  describe('current', () => {
    it.each([
      ['missing', () => undefined],
      ['empty', () => writeFileSync(path, '')],
      ['whitespace', () => writeFileSync(path, ' \n\t ')],
      ['a folder', () => mkdirSync(path)],
      ['a link that leads nowhere', () => symlinkSync('/nowhere/at/all', path)],
      ['a pipe that nobody writes to', () => execFileSync('mkfifo', [path])],
      ['longer than any credential', () => writeFileSync(path, 'x'.repeat(65_537))],
    ])('is undefined when the file is %s', (_, prepare) => {
      prepare()
      expect(file.current()).toBeUndefined()
    })

    it('is undefined when the folder is missing', () => {
      expect(
        new CredentialFile(join(path, 'x', 'y'), { clock: systemClock, ids: systemIds }).current(),
      ).toBeUndefined()
    })

    it('trims', () => {
      writeFileSync(path, '  the-value\n')
      expect(file.current()).toBe('the-value')
    })

    it('sees a file that somebody else put in its place', () => {
      file.save('first')
      expect(file.current()).toBe('first')
      writeFileSync(`${path}.new`, 'other')
      renameSync(`${path}.new`, path)
      expect(file.current()).toBe('other')
    })

    it('sees a file of the same length that was written over', () => {
      writeFileSync(path, 'aaaa')
      expect(file.current()).toBe('aaaa')
      writeFileSync(path, 'bbbb')
      expect(file.current()).toBe('bbbb')
    })

    it('does not trust the time of a change that is too young to tell it from the next', () => {
      // A file whose times never change, as those of two writes within one tick do not.
      const name = '/proc/self/comm'
      const before = readFileSync(name, 'utf8')
      // While it is open the kernel does not forget it, and with it its times.
      const held = openSync(name, 'r')
      const readAfter = (ms: number) => {
        const now = () => new Date(statSync(name).ctimeMs + ms)
        const comm = new CredentialFile(name, { clock: { now }, ids: systemIds })
        return ['aaaa', 'bbbb'].map((value) => {
          writeFileSync(name, value)
          return comm.current()
        })
      }
      try {
        expect(readAfter(1_000)).toEqual(['aaaa', 'bbbb'])
        // Otherwise the times are enough, and nothing is read again.
        expect(readAfter(60_000)).toEqual(['aaaa', 'aaaa'])
      } finally {
        writeFileSync(name, before.trim())
        closeSync(held)
      }
    })

    it('sees that the file is gone', () => {
      file.save('first')
      rmSync(path)
      expect(file.current()).toBeUndefined()
    })
  })

  describe('save', () => {
    it('writes exactly the value, 0600, and leaves nothing else behind', () => {
      file.save('the-value')
      expect(readFileSync(path, 'utf8')).toBe('the-value')
      expect(statSync(path).mode & 0o777).toBe(0o600)
      expect(readdirSync(folder)).toEqual(['.auth_token'])
    })

    it('overwrites, and the new value is current at once', () => {
      file.save('first')
      expect(file.current()).toBe('first')
      file.save('second')
      expect(file.current()).toBe('second')
    })

    it.each(['first', 'second'])(
      'narrows the mode of a file that was too open, for %j',
      (value) => {
        writeFileSync(path, 'first')
        chmodSync(path, 0o644)
        file.save(value)
        expect(statSync(path).mode & 0o777).toBe(0o600)
      },
    )

    it.each(['', '  \n'])('does nothing for %j', (value) => {
      file.save('first')
      file.save(value)
      expect(file.current()).toBe('first')
    })

    it('makes missing parent folders, closed to others', () => {
      const nested = join(folder, 'a', 'b')
      new CredentialFile(join(nested, '.auth_token'), { clock: systemClock, ids: systemIds }).save(
        'value',
      )
      expect(readFileSync(join(nested, '.auth_token'), 'utf8')).toBe('value')
      expect(statSync(nested).mode & 0o777).toBe(0o700)
    })

    it('replaces a link instead of writing through it', () => {
      const victim = join(folder, 'victim')
      writeFileSync(victim, 'untouched')
      symlinkSync(victim, path)
      file.save('value')
      expect(readFileSync(victim, 'utf8')).toBe('untouched')
      expect(readFileSync(path, 'utf8')).toBe('value')
    })

    it('never shows a reader a part of a value', async () => {
      const long = ['a', 'b'].map((letter) => letter.repeat(4_000))
      file.save(long[0] ?? '')
      // Of its own, because a save does not let anybody in between.
      const reader = new Worker(
        `const { parentPort, workerData } = require('node:worker_threads')
         const seen = new Set()
         let hasEnded = false
         parentPort.once('message', () => { hasEnded = true })
         parentPort.postMessage('reading')
         const read = () => {
           for (let i = 0; i < 100; i++) seen.add(require('node:fs').readFileSync(workerData, 'utf8'))
           if (hasEnded) parentPort.postMessage([...seen])
           else setImmediate(read)
         }
         read()`,
        { eval: true, workerData: path },
      )
      try {
        await once(reader, 'message')
        for (let round = 1; round <= 100; round += 1) {
          file.save(long[round % 2] ?? '')
        }
        reader.postMessage('end')
        const [seen] = (await once(reader, 'message')) as [string[]]
        expect(seen.filter((value) => !long.includes(value))).toEqual([])
      } finally {
        await reader.terminate()
      }
    })

    it('removes its temporary file when it fails, and does not name the value', () => {
      mkdirSync(path)
      expect(() => file.save('the-value')).toThrow(/^(?!.*the-value)/)
      expect(readdirSync(folder)).toEqual(['.auth_token'])
    })
  })
})

describe('the inbound secret in front of the runtime', () => {
  let runtime: AgentRuntime

  beforeEach(async () => {
    runtime = await startAgentRuntime()
  })

  afterEach(() => runtime.close())

  const secretFile = () => join(runtime.folders.configs, '.platform_inbound_secret')
  const statusWith = async (authorization: string) =>
    (await runtime.post('{}', { authorization })).status

  it('lets the platform in', async () => {
    expect(await statusWith(`Bearer ${runtime.inboundSecret}`)).toBe(200)
  })

  it.each([
    ['missing', () => rmSync(secretFile())],
    ['empty', () => writeFileSync(secretFile(), '')],
    ['whitespace', () => writeFileSync(secretFile(), ' \n')],
  ])('refuses everybody when the file is %s, an empty bearer too', async (_, prepare) => {
    prepare()
    expect(await statusWith(`Bearer ${runtime.inboundSecret}`)).toBe(401)
    expect(await statusWith('Bearer ')).toBe(401)
    expect(await statusWith('Bearer undefined')).toBe(401)
  })

  it.each(['bearer ', 'Bearer  ', 'Token ', ''])('refuses the scheme %j', async (scheme) => {
    expect(await statusWith(`${scheme}${runtime.inboundSecret}`)).toBe(401)
  })

  it('does not take the workspace token for it', async () => {
    expect(await statusWith(`Bearer ${runtime.authToken}`)).toBe(401)
  })

  it('takes a secret that was replaced, and for a while the one before, without a restart', async () => {
    const [next, last] = [mintSecret(), mintSecret()]
    const file = new CredentialFile(secretFile(), { clock: systemClock, ids: systemIds })
    file.save(next)
    expect(await statusWith(`Bearer ${next}`)).toBe(200)
    expect(await statusWith(`Bearer ${runtime.inboundSecret}`)).toBe(200)
    file.save(last)
    expect(await statusWith(`Bearer ${last}`)).toBe(200)
    expect(await statusWith(`Bearer ${next}`)).toBe(200)
    expect(await statusWith(`Bearer ${runtime.inboundSecret}`)).toBe(401)
  })

  it('refuses before it looks at anything else', async () => {
    const response = await runtime.post('not json', { authorization: 'Bearer wrong' })
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({ error: 'unauthorized', code: 'unauthorized' })
  })
})
