import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadOrCreateEncryptionKey } from '../../../apps/platform/src/encryption-key-file.ts'
import { runProcess } from '../../support/run-process.ts'

const MODULE = resolve(import.meta.dirname, '../../../apps/platform/src/encryption-key-file.ts')

let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'atrium-key-'))
})
afterEach(async () => {
  await rm(dataDir, { recursive: true })
})

/** In a process that can write no byte, as on a full disk. */
function loadOnFullDisk() {
  const program = `import { loadOrCreateEncryptionKey } from ${JSON.stringify(MODULE)}
    await loadOrCreateEncryptionKey(${JSON.stringify(dataDir)})`
  return runProcess('sh', [
    ...['-c', 'ulimit -f 0; exec "$0" --input-type=module -e "$1"'],
    ...[process.execPath, program],
  ])
}

describe('loadOrCreateEncryptionKey', () => {
  it('makes a key once, readable by nobody else, and finds it again', async () => {
    const made = await loadOrCreateEncryptionKey(dataDir)
    expect(made).toHaveLength(32)
    expect(await loadOrCreateEncryptionKey(dataDir)).toEqual(made)
    expect((await stat(join(dataDir, 'encryption.key'))).mode & 0o777).toBe(0o600)
    expect(await readdir(dataDir)).toEqual(['encryption.key'])
  })

  it('stands in nobody’s way after a start that could not write it', async () => {
    const run = await loadOnFullDisk()
    expect(run.exitCode).not.toBe(0)
    expect(await readdir(dataDir)).toEqual([])
    expect(await loadOrCreateEncryptionKey(dataDir)).toHaveLength(32)
  })

  it('finds its key on a disk that has become full', async () => {
    await loadOrCreateEncryptionKey(dataDir)
    const run = await loadOnFullDisk()
    expect([run.exitCode, run.stderr]).toEqual([0, ''])
    expect(await readdir(dataDir)).toEqual(['encryption.key'])
  })

  it('gives starters that come at once the same key', async () => {
    const starts = Array.from({ length: 8 }, () => loadOrCreateEncryptionKey(dataDir))
    const keys = await Promise.all(starts)
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1)
    expect(await readdir(dataDir)).toEqual(['encryption.key'])
  })

  it('refuses a file that is not a key, and leaves it as it is', async () => {
    await writeFile(join(dataDir, 'encryption.key'), 'c2hvcnQ=')
    await expect(loadOrCreateEncryptionKey(dataDir)).rejects.toThrow('restore it from a backup')
    expect(await readFile(join(dataDir, 'encryption.key'), 'utf8')).toBe('c2hvcnQ=')
  })
})
