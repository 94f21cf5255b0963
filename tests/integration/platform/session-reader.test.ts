/** The fixed reader of job-control hosts alone: what needs thousands of tries, and its Python. */
import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAttack } from '../../support/attack.ts'
import type { Attack } from '../../support/attacker.ts'
import { findPython } from '../../support/pseudo-terminals.ts'

const READER = new URL(
  '../../../apps/platform/src/services/inspector/session-reader.py',
  import.meta.url,
).pathname
const LOOP = new URL('../../support/reader-loop.py', import.meta.url).pathname
const python = findPython() ?? ''

/** For each attack; the first design is given as long as it takes to be caught. */
const SECONDS = Number(process.env['ATRIUM_ATTACK_SECONDS'] ?? 0.5)
const CONTROL_SECONDS = 30

type Tally = {
  readonly tries: number
  readonly served: number
  readonly leaks: number
  readonly codes: Readonly<Record<string, number>>
}

describe.skipIf(python === '')('the reader of job-control hosts', () => {
  let home: string
  const session = (name: string): string => join(home, 'workspace/a1b2c3d', name)
  const outside = (name: string): string => join(home, 'outside', name)

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'atrium-reader-'))
    for (const folder of [session('attacked/inner'), session('churn'), outside('decoy/inner')]) {
      mkdirSync(folder, { recursive: true })
    }
    for (const folder of ['attacked', 'attacked/inner']) {
      writeFileSync(session(`${folder}/file.txt`), 'INSIDE')
    }
    writeFileSync(outside('real.txt'), 'INSIDE')
    for (const folder of ['decoy', 'decoy/inner']) {
      writeFileSync(outside(`${folder}/file.txt`), 'OUTSIDE')
      writeFileSync(outside(`${folder}/outside.txt`), 'OUTSIDE')
    }
  })
  afterAll(() => rmSync(home, { recursive: true, force: true }))

  async function loop(design: string, seconds: number, inputs: Record<string, string>) {
    const env = {
      HOME: home,
      DIFY_FS_ROOT: '~/workspace/a1b2c3d',
      DIFY_FS_MAX: '100',
      DIFY_FS_LIST_LIMIT: '1000',
      ATRIUM_FS_OFFSET: '0',
      ...inputs,
    }
    const args = ['-I', LOOP, READER, String(seconds), design]
    const { stdout } = await promisify(execFile)(python, args, { env })
    return JSON.parse(stdout) as Tally
  }

  async function underAttack(name: string, design: string, seconds: number): Promise<Tally> {
    const [inputs, attack] = ATTACKS[name]?.() ?? []
    if (inputs === undefined || attack === undefined) throw new Error(`no attack called ${name}`)
    const running = await startAttack(attack)
    try {
      return await loop(design, seconds, inputs)
    } finally {
      const { count } = await running.stop()
      expect(count).toBeGreaterThan(100)
    }
  }

  const folderLink = (): Attack => ({
    kind: 'folder-link',
    name: session('attacked'),
    decoy: outside('decoy'),
  })
  const ATTACKS: Readonly<Record<string, () => readonly [Record<string, string>, Attack]>> = {
    'a file whose name is swapped with a link': () => [
      { DIFY_FS_OP: 'preview', DIFY_FS_REL: 'attacked/file.txt' },
      {
        kind: 'last-link',
        name: session('attacked/file.txt'),
        real: outside('real.txt'),
        decoy: outside('decoy/file.txt'),
      },
    ],
    'a file whose folder is swapped with a link': () => [
      { DIFY_FS_OP: 'download', DIFY_FS_REL: 'attacked/inner/file.txt' },
      folderLink(),
    ],
    'a folder below one that is swapped with a link': () => [
      { DIFY_FS_OP: 'list', DIFY_FS_REL: 'attacked/inner' },
      folderLink(),
    ],
  }

  describe.each(Object.keys(ATTACKS))('%s', (name) => {
    it('leads nowhere else', async () => {
      const tally = await underAttack(name, 'this-design', SECONDS)
      process.stdout.write(`attack: reader: ${name}: ${JSON.stringify(tally)}\n`)
      expect(tally.leaks).toBe(0)
      expect(tally.served).toBeGreaterThan(0)
      expect(Object.keys(tally.codes).toSorted()).toEqual(expect.arrayContaining(['path_escape']))
      expect(tally.codes).not.toHaveProperty('stat_failed')
    })

    it('leads elsewhere by the first design: the attack works (20.5)', async () => {
      const tally = await underAttack(name, 'first-design', CONTROL_SECONDS)
      expect(tally.leaks).toBeGreaterThan(0)
    })
  })

  it.each([
    ['this-design', false],
    ['first-design', true],
  ])(
    'lists what is there while entries come and go; %s fails: %s (20.5)',
    async (design, fails) => {
      let isOver = false
      const churning = (async () => {
        while (!isOver) {
          for (let at = 0; at < 200; at += 1) writeFileSync(session(`churn/${at}`), '')
          for (let at = 0; at < 200; at += 1) rmSync(session(`churn/${at}`))
          await new Promise(setImmediate)
        }
      })()
      const tally = await loop(design, 0.6, { DIFY_FS_OP: 'list', DIFY_FS_REL: 'churn' })
      isOver = true
      await churning
      expect(tally.served).toBeGreaterThan(0)
      expect(Object.keys(tally.codes)).toEqual(fails ? ['stat_failed'] : [])
    },
  )

  it('does nothing that it is not asked to know (20.3)', async () => {
    const inputs = { DIFY_FS_OP: 'remove', DIFY_FS_REL: 'churn/0' }
    writeFileSync(session('churn/0'), '')
    const { tries, codes } = await loop('this-design', 0.01, inputs)
    expect(codes).toEqual({ bad_op: tries })
  })

  it('is Python 3.6, and nothing that a later version brought', () => {
    const check = 'import ast,sys; ast.parse(open(sys.argv[1]).read(), feature_version=(3, 6))'
    expect(spawnSync(python, ['-I', '-c', check, READER]).status).toBe(0)
  })
})
