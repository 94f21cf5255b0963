import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemIds } from '@atrium/http-kit/clock'
import pino from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DirectorySync } from '../../../apps/workspace-runtime/src/agent/records/directory-sync.ts'
import { RecordFolder } from '../../../apps/workspace-runtime/src/agent/records/record-folder.ts'

let base: string
let directory: string

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'atrium-records-'))
  directory = join(base, 'records')
  mkdirSync(directory)
})

afterEach(() => rmSync(base, { recursive: true, force: true }))

const put = (name: string, text: string) => writeFileSync(join(directory, name), text)

const folder = () =>
  new RecordFolder({
    ...{ directory, maxRecordBytes: 1_000, maxRecords: 5, isFsyncOn: true },
    log: pino({ level: 'silent' }),
    ids: systemIds,
  })

/** The names of the records that a fresh look finds. */
async function found(): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of folder().open()) names.push(name)
  return names.sort()
}

describe('RecordFolder', () => {
  it('reads its own files only: no link, no pipe, nothing that is too large', async () => {
    writeFileSync(join(base, 'elsewhere.json'), '{}')
    symlinkSync(join(base, 'elsewhere.json'), join(directory, 'link.json'))
    execFileSync('mkfifo', [join(directory, 'pipe.json')])
    put('large.json', ' '.repeat(1_001))
    put('good.json', ' '.repeat(1_000))
    expect(await found()).toEqual(['good'])
    const aside = ['large', 'link', 'pipe'].map((name) => `${name}.json.broken`)
    expect(readdirSync(directory).sort()).toEqual(['good.json', ...aside])
  })

  it('looks at so many records and keeps so many broken ones, however many there are', async () => {
    for (let n = 0; n < 9; n += 1) put(`r${n}.json`, '{}')
    for (let n = 0; n < 30; n += 1) put(`b${n}.json.broken`, '')
    expect(await found()).toHaveLength(5)
    expect(readdirSync(directory)).toHaveLength(5 + 16)
  })

  it('leaves nothing of a record that could not be written', async () => {
    mkdirSync(join(directory, 'taken.json', 'x'), { recursive: true })
    await expect(folder().write('taken', '{}', true)).rejects.toThrow('EISDIR')
    expect(readdirSync(directory)).toEqual(['taken.json'])
  })
})

describe('DirectorySync', () => {
  it('syncs once for all who come while one runs, and again for who comes later', async () => {
    const sync = new DirectorySync(directory)
    const rounds: Promise<void>[] = []
    for (let round = 0; round < 2; round += 1) {
      const [, second, third] = [sync.run(), sync.run(), sync.run()]
      expect(third).toBe(second)
      rounds.push(second)
      await second
    }
    expect(rounds[0]).not.toBe(rounds[1])
  })
})
