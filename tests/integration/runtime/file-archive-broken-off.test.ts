import { execFileSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
} from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { dirname, join } from 'node:path'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { type FolderPath, parseFolderPath } from '@atrium/path-safety/workspace-path'
import type { ArchiveFormat } from '@atrium/runtime-contract/file-inspection'
import { afterEach, describe, expect, it } from 'vitest'
import { DEFAULT_ARCHIVE_LIMITS } from '../../../apps/workspace-runtime/src/files/archive-limits.ts'
import { walkArchive } from '../../../apps/workspace-runtime/src/files/archive-walk.ts'
import { archive, namesIn, openArchive, PYTHON, unpacked } from '../../support/archive-api.ts'
import { eventually } from '../../support/eventually.ts'
import { bytesRead, residentBytes } from '../../support/process-figures.ts'
import { readAnswer } from '../../support/raw-client.ts'
import {
  expectOpenFiles,
  openFiles,
  type RuntimeHarness,
  startRuntimeHarness,
} from '../../support/runtime-harness.ts'
import { runLogPath } from '../../support/secret-ledger.ts'
import { expectRefusal, runtime, shareRuntime } from '../../support/shared-runtime.ts'

shareRuntime()

/** More than the sockets between take on their own. */
const LARGE = 48 * 1024 * 1024
const MIB = 1024 * 1024
const TOO_LARGE = 'folder exceeds what an archive may hold'
const FORMATS: readonly ArchiveFormat[] = ['tar', 'zip']

afterEach(() => {
  rmSync(runtime.local('/workspace/top'), { recursive: true, force: true })
})

/** An archive of `top/large.bin`, of which the client has the head and the archive waits for more. */
async function waiting(format: ArchiveFormat): Promise<IncomingMessage> {
  const response = await openArchive('/workspace/top', format)
  expect(response.statusCode).toBe(200)
  return response
}

async function expectBroken(response: IncomingMessage): Promise<void> {
  const answer = await readAnswer(response)
  expect(answer.isComplete).toBe(false)
}

/** How much there was, with a pause after every MiB; 0 when it broke. */
async function readSlowly(response: IncomingMessage): Promise<number> {
  let length = 0
  try {
    for await (const piece of response) {
      const before = Math.floor(length / MIB)
      length += piece.length
      if (Math.floor(length / MIB) > before) await setTimeout(20)
    }
  } catch {
    return 0
  }
  return length
}

async function withRuntime(
  options: Parameters<typeof startRuntimeHarness>[0],
  use: (of: RuntimeHarness) => Promise<void>,
): Promise<void> {
  const before = openFiles()
  const of = await startRuntimeHarness(options)
  const started = openFiles()
  try {
    await use(of)
    await expectOpenFiles(started)
  } finally {
    // An answer that was broken off has closed its files, and is about to say so to the log.
    await setImmediate()
    await of.stop()
  }
  await expectOpenFiles(before)
}

describe('GET /internal/file/archive: what changes meanwhile', () => {
  it.each(FORMATS)('breaks the %s when a file shrinks or is written over', async (format) => {
    const path = runtime.place('/workspace/top/large.bin', Buffer.alloc(LARGE))
    const shrinking = await waiting(format)
    truncateSync(path, 1024)
    await expectBroken(shrinking)
    truncateSync(path, LARGE)
    const changing = await waiting(format)
    utimesSync(path, 1, 1)
    await expectBroken(changing)
  })

  it.each(FORMATS)(
    'sends a file in the %s with the size that it had before it grew',
    async (format) => {
      const path = runtime.place('/workspace/top/large.bin', Buffer.alloc(LARGE))
      const response = await waiting(format)
      appendFileSync(path, 'more')
      const { body, isComplete } = await readAnswer(response)
      expect(isComplete).toBe(true)
      expect(await namesIn(body, format)).toEqual(['top/', 'top/large.bin'])
      await unpacked(body, format, ({ folder }) =>
        expect(sizeOf(`${folder}/top/large.bin`)).toBe(LARGE),
      )
    },
  )

  it('says in the log which file it was', async () => {
    const name = `${randomUUID()}.bin`
    const path = runtime.place(`/workspace/top/${name}`, Buffer.alloc(LARGE))
    const response = await waiting('tar')
    truncateSync(path, 0)
    await expectBroken(response)
    const words = `the file shrank while it was sent: top/${name}`
    await eventually(() => isInSomeLog(words), 2_000)
  })

  it('sends a file to its end that is removed meanwhile, and leaves out what vanished', async () => {
    const path = runtime.place('/workspace/top/large.bin', Buffer.alloc(LARGE))
    const response = await waiting('tar')
    rmSync(path)
    const { body, isComplete } = await readAnswer(response)
    expect(isComplete).toBe(true)
    expect(body.length).toBeGreaterThan(LARGE)
  })

  it('leaves out the rest of a folder that is removed meanwhile', async () => {
    const folder = placeBesideLarge()
    const response = await waiting('tar')
    rmSync(folder, { recursive: true })
    const { body, isComplete } = await readAnswer(response)
    expect(isComplete).toBe(true)
    expect((await namesIn(body, 'tar')).length).toBeLessThan(20)
  })

  it('breaks when a folder goes elsewhere while it is archived', async () => {
    const folder = placeBesideLarge()
    const response = await waiting('tar')
    renameSync(folder, runtime.local('/workspace/elsewhere'))
    await expectBroken(response)
    rmSync(runtime.local('/workspace/elsewhere'), { recursive: true })
  })
})

function isInSomeLog(words: string): boolean {
  const folder = dirname(runLogPath('runtime'))
  return readdirSync(folder).some((name) => readFileSync(join(folder, name)).includes(words))
}

/** A folder in which whatever comes first is large, and more comes behind it. */
function placeBesideLarge(): string {
  for (let index = 0; index < 20; index += 1) {
    const size = index === 0 ? 1 : LARGE
    const path = runtime.place(`/workspace/top/inner/${index}.bin`, Buffer.alloc(1))
    truncateSync(path, size)
  }
  return runtime.local('/workspace/top/inner')
}

/** Folders one in another until their path is too long for the kernel to tell. */
const DIG = `
import os, sys
os.chdir(sys.argv[1])
for _ in range(20):
    os.mkdir('d' * 250)
    os.chdir('d' * 250)
`

function placeLinks(of: RuntimeHarness, count: number): void {
  mkdirSync(of.local('/workspace/top'), { recursive: true })
  for (let index = 0; index < count; index += 1) {
    const link = of.local(`/workspace/top/${index}`)
    if (!existsSync(link)) symlinkSync('.', link)
  }
}

function folderPath(path: string): FolderPath {
  const verdict = parseFolderPath([path])
  if (!verdict.ok) throw new Error(verdict.code)
  return verdict.path
}

function sizeOf(path: string): number {
  return Number(execFileSync('stat', ['-c', '%s', path]).toString())
}

describe('GET /internal/file/archive: limits', () => {
  it.each([
    ['entries', { maxEntries: 5 }, { maxEntries: 6 }],
    ['bytes', { maxBytes: 299 }, { maxBytes: 300 }],
    ['depth', { maxDepth: 2 }, { maxDepth: 3 }],
  ])('refuses what is known to exceed %s before the first bytes', async (_, limits, enough) => {
    for (const [archiveLimits, isEnough] of [
      [limits, false],
      [enough, true],
    ] as const) {
      await withRuntime({ archiveLimits }, async (of) => {
        for (const name of ['a', 'b', 'inner/c'])
          of.place(`/workspace/top/${name}`, Buffer.alloc(100))
        mkdirSync(of.local('/workspace/top/inner/deep'))
        const answer = await archive('/workspace/top', 'tar.gz', { of })
        if (isEnough) expect(answer).toMatchObject({ status: 200, isComplete: true })
        else expectRefusal(answer, 413, TOO_LARGE, 'archive_too_large')
      })
    }
  })

  it('refuses a folder in which more is left out than there may be entries', async () => {
    await withRuntime({ archiveLimits: { maxEntries: 5 } }, async (of) => {
      placeLinks(of, 5)
      const enough = await archive('/workspace/top', 'zip', { of })
      expect(enough).toMatchObject({ status: 200, isComplete: true })
      placeLinks(of, 6)
      const refused = await archive('/workspace/top', 'zip', { of })
      expectRefusal(refused, 413, TOO_LARGE, 'archive_too_large')
    })
  })

  it.each(['tar', 'tar.gz', 'zip'] as const)(
    'breaks the %s that exceeds them after its beginning',
    async (format) => {
      await withRuntime({ archiveLimits: { maxBytes: 3 * 1024 * 1024 } }, async (of) => {
        for (const name of ['a', 'b', 'c', 'd'])
          of.place(`/workspace/${name}`, Buffer.alloc(1024 * 1024))
        const answer = await archive('/workspace', format, { of })
        expect(answer).toMatchObject({ status: 200, isComplete: false })
      })
    },
  )

  it('makes so many at once, and asks others to come again', async () => {
    await withRuntime({ archiveLimits: { maxConcurrent: 2 } }, async (of) => {
      of.place('/workspace/large.bin', Buffer.alloc(LARGE))
      const running = [
        await openArchive('/workspace', 'tar', of),
        await openArchive('/workspace', 'tar', of),
      ]
      const third = await archive('/workspace', 'tar', { of })
      expectRefusal(third, 503, 'too many archives are being made', 'archive_busy')
      expect(third.headers['retry-after']).toBe('5')
      // Nothing is made for a head.
      expect((await archive('/workspace', 'tar', { of, method: 'HEAD' })).status).toBe(200)
      running[0]?.destroy()
      await eventually(async () => {
        const again = await openArchive('/workspace', 'tar', of)
        again.destroy()
        return again.statusCode === 200
      }, 5_000)
      running[1]?.destroy()
    })
  })
})

describe('GET /internal/file/archive: clients', () => {
  it.each(['tar', 'tar.gz', 'zip'] as const)(
    'stops reading for the %s within a second of a client that leaves',
    async (format) => {
      const before = openFiles()
      truncateSync(runtime.place('/workspace/top/sparse.bin', ''), 8 * 1024 ** 3)
      const response = await openArchive('/workspace/top', format)
      response.resume()
      const first = bytesRead(process.pid)
      await eventually(() => bytesRead(process.pid) > first + 4 * 1024 * 1024, 10_000)
      response.destroy()
      const leftAt = performance.now()
      await expectOpenFiles(before)
      expect(performance.now() - leftAt).toBeLessThan(1_000)
    },
  )

  it.each(['tar', 'tar.gz', 'zip'] as const)(
    'holds a little of the %s for a client that does not read, and breaks off in the end',
    async (format) => {
      await withRuntime({ idleTimeoutMs: 300 }, async (of) => {
        const before = openFiles()
        // Nothing that gzip makes smaller.
        of.place('/workspace/large.bin', randomBytes(LARGE))
        const beforeBytes = residentBytes(process.pid)
        const response = await openArchive('/workspace', format, of)
        await expectOpenFiles(before)
        expect(residentBytes(process.pid) - beforeBytes).toBeLessThan(LARGE / 2)
        response.destroy()
      })
    },
  )

  it('takes a long walk over what is left out for no silence of the client', async () => {
    placeLinks(runtime, 2_000)
    const startedAt = performance.now()
    await archive('/workspace/top')
    // As long as the machine makes it, so that a busy one does not look like a silent client.
    const idleTimeoutMs = Math.ceil((performance.now() - startedAt) / 3)
    await withRuntime({ idleTimeoutMs }, async (of) => {
      placeLinks(of, 2_000)
      await eventually(async () => {
        const answer = await archive('/workspace/top', 'tar', { of })
        return answer.status === 200 && answer.isComplete
      }, 5_000)
    })
  })

  it('walks no further over what is left out when its client is gone', async () => {
    placeLinks(runtime, 300)
    const folder = await runtime.files.roots.openFolder(folderPath('/workspace/top'))
    const before = openFiles()
    let steps = 0
    const entries = walkArchive({
      roots: runtime.files.roots,
      path: folderPath('/workspace/top'),
      folder,
      name: 'top',
      limits: DEFAULT_ARCHIVE_LIMITS,
      onStep() {
        steps += 1
        if (steps === 200) throw new Error('nobody wants the rest')
      },
    })
    try {
      expect((await entries.next()).value).toMatchObject({ entry: { path: 'top/' } })
      await expect(entries.next()).rejects.toThrow('nobody wants the rest')
      await expectOpenFiles(before)
    } finally {
      folder.close()
    }
  })

  it('sends a large file to a client that is slow and never silent', async () => {
    await withRuntime({ idleTimeoutMs: 500 }, async (of) => {
      of.place('/workspace/large.bin', Buffer.alloc(LARGE))
      // A machine that is busy elsewhere looks like a client that is.
      await eventually(async () => {
        const response = await openArchive('/workspace', 'zip', of)
        return (await readSlowly(response)) > LARGE
      }, 10_000)
    })
  })

  it('refuses a folder whose paths no system call takes', async () => {
    await withRuntime({}, async (of) => {
      mkdirSync(of.local('/workspace/top'))
      execFileSync(PYTHON, ['-c', DIG, of.local('/workspace/top')])
      try {
        const answer = await archive('/workspace/top', 'tar', { of })
        expectRefusal(answer, 413, TOO_LARGE, 'archive_too_large')
      } finally {
        execFileSync('rm', ['-rf', of.local('/workspace/top')])
      }
    })
  })

  it('refuses a folder with a file that cannot be read', async ({ skip }) => {
    if (process.geteuid?.() !== 0) skip('only root can become nobody')
    const base = execFileSync('mktemp', ['-d']).toString().trim()
    try {
      await withRuntime({ base }, async (of) => {
        of.place('/workspace/top/a.txt')
        const path = of.place('/workspace/top/private.txt')
        execFileSync('chmod', ['-R', 'a+rX', base])
        execFileSync('chmod', ['000', path])
        process.seteuid?.('nobody')
        try {
          const answer = await archive('/workspace/top', 'tar', { of })
          expectRefusal(answer, 403, 'file is not readable', 'file_forbidden')
          // A folder that cannot be, too.
          process.seteuid?.(0)
          execFileSync('rm', [path])
          mkdirSync(path, 0o700)
          process.seteuid?.('nobody')
          const again = await archive('/workspace/top', 'tar', { of })
          expectRefusal(again, 403, 'file is not readable', 'file_forbidden')
        } finally {
          process.seteuid?.(0)
        }
      })
    } finally {
      rmSync(base, { recursive: true, force: true })
    }
  })
})
