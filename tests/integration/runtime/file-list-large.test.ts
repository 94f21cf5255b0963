import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FILE_LIST_PATH, type FolderPage } from '@atrium/runtime-contract/file-inspection'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { peakResidentBytes, resetPeak, residentBytes } from '../../support/process-figures.ts'

// 1000000 for the acceptance run. A first page reads 1,100 names: those behind it are another scan's.
const FILES = Number(process.env['ATRIUM_INSPECTOR_FILES'] ?? 1_500)
/** A link is made in half the time of a file; ext4 has 65,000 to a file and no more. */
const LINKS_OF_FILE = 60_000
const LIMIT = FILES > 100_000 ? 1_000 : 100
const PATIENCE_MS = 60_000 + FILES
const MAX_ADDED_BYTES = 64 * 1024 * 1024

let base: string
let folder: string
let child: ChildProcess
let runtime: { readonly url: string; readonly secret: string }

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'atrium-large-'))
  folder = join(base, 'workspace', 'large')
  mkdirSync(folder, { recursive: true })
  makeLasting()
  // As the provisioners start one.
  const options = { execArgv: ['--max-semi-space-size=1'] }
  child = fork(new URL('../../support/runtime-child.ts', import.meta.url), [base], options)
  const [ready]: unknown[] = await once(child, 'message')
  runtime = z.object({ url: z.string(), secret: z.string() }).parse(ready)
}, PATIENCE_MS)

afterAll(async () => {
  child.disconnect()
  await once(child, 'exit')
  rmSync(base, { recursive: true, force: true })
}, PATIENCE_MS)

function makeLasting(): void {
  for (let index = 0; index < FILES; index += 1) {
    const file = join(folder, lasting(index))
    const isFirst = index % LINKS_OF_FILE === 0
    if (isFirst) writeFileSync(file, '')
    else linkSync(join(folder, lasting(index - (index % LINKS_OF_FILE))), file)
  }
}

/** Spread over the order, so that others come and go between any two. */
function lasting(index: number): string {
  return `${((index * 7_919) % 1_000_003).toString(36).padStart(6, '0')}-stays`
}

async function list(cursor?: string): Promise<FolderPage> {
  const query = new URLSearchParams({ path: '/workspace/large', limit: `${LIMIT}` })
  if (cursor !== undefined) query.set('cursor', cursor)
  const answer = await fetch(`${runtime.url}${FILE_LIST_PATH}?${query}`, {
    headers: { authorization: `Bearer ${runtime.secret}` },
  })
  expect(answer.status).toBe(200)
  return z.custom<FolderPage>().parse(await answer.json())
}

/** Files come and go until it is told to stop; how many did. */
function churn(): { stop(): Promise<number> } {
  let isOver = false
  let count = 0
  async function run(): Promise<number> {
    for (; !isOver; count += 1) {
      const path = join(folder, `${lasting(count * 31)}-goes`)
      await writeFile(path, '')
      if (count % 3 !== 0) await rm(path)
    }
    return count
  }
  const running = run()
  return {
    stop() {
      isOver = true
      return running
    },
  }
}

/** The longest that somebody else waited meanwhile, in milliseconds. */
function watchHealth(): { stop(): Promise<number> } {
  let isOver = false
  async function run(): Promise<number> {
    let longest = 0
    while (!isOver) {
      const startedAt = performance.now()
      await (await fetch(`${runtime.url}/health`)).text()
      longest = Math.max(longest, performance.now() - startedAt)
    }
    return longest
  }
  const running = run()
  return {
    stop() {
      isOver = true
      return running
    },
  }
}

describe(`a folder of ${FILES} files`, () => {
  it(
    'has every lasting one on exactly one page, in order, while others come and go',
    async () => {
      const pid = child.pid ?? 0
      await list()
      const before = residentBytes(pid)
      resetPeak(pid)
      const churning = churn()
      const health = watchHealth()
      const names: string[] = []
      let pages = 0
      let firstMs = 0
      const startedAt = performance.now()
      for (let cursor: string | undefined | null; cursor !== null; ) {
        const page = await list(cursor)
        if (pages === 0) firstMs = performance.now() - startedAt
        pages += 1
        names.push(...page.entries.map(({ name }) => name))
        expect(page.entries.length === LIMIT || !page.truncated).toBe(true)
        cursor = page.next_cursor
      }
      const seconds = (performance.now() - startedAt) / 1_000
      const [others, healthMs] = [await churning.stop(), await health.stop()]
      const addedBytes = peakResidentBytes(pid) - before
      report({ pages, firstMs, seconds, healthMs, others, addedMib: addedBytes / 1024 / 1024 })
      expect(names.every((name, index) => index === 0 || name > (names[index - 1] ?? ''))).toBe(
        true,
      )
      const found = new Set(names)
      const missing = Array.from({ length: FILES }, (_, index) => lasting(index)).filter(
        (name) => !found.has(name),
      )
      expect(missing).toEqual([])
      expect(others).toBeGreaterThan(0)
      expect(addedBytes).toBeLessThan(MAX_ADDED_BYTES)
    },
    PATIENCE_MS,
  )
})

function report(figures: Record<string, number>): void {
  const rounded = Object.entries(figures).map(([name, value]) => [
    name,
    Math.round(value * 10) / 10,
  ])
  process.stdout.write(`list: ${JSON.stringify(Object.fromEntries(rounded))}\n`)
}
