import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { lstat, open as openFile, writeFile } from 'node:fs/promises'
import { Agent, createServer, type Server } from 'node:http'
import { dirname, join } from 'node:path'
import { UPLOADS_DIR } from '@atrium/runtime-contract/file-transfer'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAttack } from '../../support/attack.ts'
import type { Attack } from '../../support/attacker.ts'
import { hammer, IN_FLIGHT } from '../../support/hammer.ts'
import { multipartForm } from '../../support/multipart-form.ts'
import { type Answer, send } from '../../support/raw-client.ts'
import { INSIDE, OUTSIDE, prepareReadAttack, READ_ATTACKS } from '../../support/read-attacks.ts'
import {
  expectOpenFiles,
  openFiles,
  type RuntimeHarness,
  startRuntimeHarness,
} from '../../support/runtime-harness.ts'

// 60 for the acceptance run; the attack that must succeed does so within the first hundred tries.
const TOTAL_SECONDS = Number(process.env['ATRIUM_ATTACK_SECONDS'] ?? 6)
const CASES = 7
const CASE_MS = (TOTAL_SECONDS * 1000) / CASES
const CONTROL_MS = 20_000

let runtime: RuntimeHarness
let openBefore: number
const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT })

beforeAll(async () => {
  openBefore = openFiles()
  runtime = await startRuntimeHarness({ isFsyncOn: false })
})

afterAll(async () => {
  agent.destroy()
  await runtime.stop()
  await expectOpenFiles(openBefore)
})

type Tally = { tries: number; served: number; refused: number; leaks: number }

async function attackReads(
  attack: Attack,
  forMs: number,
  read: () => Promise<Answer>,
): Promise<Tally & { swaps: number }> {
  const tally: Tally = { tries: 0, served: 0, refused: 0, leaks: 0 }
  const running = await startAttack(attack)
  async function attempt(): Promise<boolean> {
    const answer = await read()
    tally.tries += 1
    if (answer.status !== 200) tally.refused += 1
    else if (answer.body.toString() === INSIDE) tally.served += 1
    else tally.leaks += 1
    return tally.leaks > 0 || !running.isRunning()
  }
  try {
    await hammer(forMs, attempt, () => tally.served > 0 && tally.refused > 0)
  } finally {
    const { count } = await running.stop()
    Object.assign(tally, { swaps: count })
  }
  return { swaps: 0, ...tally }
}

describe('an agent that swaps what a path means while it is read', () => {
  it.each(READ_ATTACKS)(
    'gets nothing by swapping %s',
    async (name) => {
      const { path, attack } = prepareReadAttack(runtime, name)
      const before = openFiles()
      const headers = { authorization: `Bearer ${runtime.secret}` }
      const url = runtime.readUrl(path)
      const tally = await attackReads(attack, CASE_MS, () => send(url, { headers, agent }))
      report(name, tally)
      expect(tally.leaks).toBe(0)
      // Both states were met, so the attack did take place.
      expect(tally.served).toBeGreaterThan(0)
      expect(tally.refused).toBeGreaterThan(0)
      expect(tally.swaps).toBeGreaterThan(100)
      await expectOpenFiles(before)
    },
    CASE_MS + 30_000,
  )

  it.each(READ_ATTACKS.slice(0, 3))(
    'does get something from a reader that looks first and opens then, by swapping %s',
    async (name) => {
      const { path, attack } = prepareReadAttack(runtime, name)
      const server = await lookThenOpen(runtime.local(path))
      try {
        const tally = await attackReads(attack, CONTROL_MS, () => send(server.url, { agent }))
        report(`control: ${name}`, tally)
        expect(tally.leaks, 'the attack itself works').toBeGreaterThan(0)
      } finally {
        server.close()
      }
    },
    CONTROL_MS + 10_000,
  )
})

describe('an agent that swaps the upload folder while files are stored', () => {
  const { headers: formHeaders, body } = multipartForm([{ filename: 'a.txt', content: OUTSIDE }])
  const decoyFolder = () => runtime.local('/configs/decoy')

  function prepare(): void {
    rmSync(runtime.local('/workspace/.molecule'), { recursive: true, force: true })
    rmSync(decoyFolder(), { recursive: true, force: true })
    mkdirSync(runtime.local(UPLOADS_DIR), { recursive: true })
    mkdirSync(join(decoyFolder(), 'chat-uploads'), { recursive: true })
  }

  function strays(): string[] {
    return readdirSync(decoyFolder(), { recursive: true, encoding: 'utf8' }).filter(
      (name) => name !== 'chat-uploads',
    )
  }

  it.each([UPLOADS_DIR, dirname(UPLOADS_DIR)])(
    'gets no file elsewhere by swapping %s',
    async (path) => {
      prepare()
      const before = openFiles()
      const configs = readdirSync(runtime.local('/configs'))
      const tally = { stored: 0, refused: 0 }
      const attack: Attack = {
        kind: 'folder-link',
        name: runtime.local(path),
        decoy: decoyFolder(),
      }
      const running = await startAttack(attack)
      async function attempt(): Promise<boolean> {
        const headers = { authorization: `Bearer ${runtime.secret}`, ...formHeaders }
        const answer = await send(runtime.ingestUrl(), { method: 'POST', headers, body, agent })
        if (answer.status === 200) tally.stored += 1
        else tally.refused += 1
        return !running.isRunning()
      }
      try {
        await hammer(CASE_MS, attempt, () => tally.stored > 0 && tally.refused > 0)
      } finally {
        const { count } = await running.stop()
        report(`uploads: ${path}`, { ...tally, swaps: count })
        expect(count).toBeGreaterThan(100)
      }
      expect(strays()).toEqual([])
      expect(readdirSync(runtime.local('/configs'))).toEqual(configs)
      expect(tally.stored).toBeGreaterThan(0)
      expect(tally.refused).toBeGreaterThan(0)
      await expectOpenFiles(before)
      expect(temporariesBelow(runtime.local('/workspace'))).toEqual([])
    },
    CASE_MS + 30_000,
  )

  it(
    'does get one from a writer that looks first and creates then',
    async () => {
      prepare()
      const folder = runtime.local(UPLOADS_DIR)
      const attack: Attack = { kind: 'folder-link', name: folder, decoy: decoyFolder() }
      const running = await startAttack(attack)
      let number = 0
      try {
        await hammer(CONTROL_MS, async () => {
          number += 1
          const name = `file-${number}`
          try {
            if (!(await lstat(folder)).isDirectory()) return false
            await writeFile(join(folder, name), OUTSIDE, { flag: 'wx' })
          } catch {
            // The folder was between two places.
          }
          return strays().length > 0 || !running.isRunning()
        })
      } finally {
        report('control: uploads', { ...(await running.stop()), tries: number })
      }
      expect(strays().length, 'the attack itself works').toBeGreaterThan(0)
    },
    CONTROL_MS + 10_000,
  )
})

/** The reader that everybody writes first: it judges a name and then opens the name. */
async function lookThenOpen(path: string): Promise<{ url: URL; close(): void }> {
  const server: Server = createServer(async (_, response) => {
    try {
      if (!(await lstat(path)).isFile()) throw new Error('not a file')
      const file = await openFile(path)
      try {
        response.end(await file.readFile())
      } finally {
        await file.close()
      }
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: new URL(`http://127.0.0.1:${address.port}`),
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

function temporariesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.up-[0-9a-f]{24}\.part$/.test(name),
  )
}

function report(name: string, tally: Record<string, number>): void {
  process.stdout.write(`attack: ${name}: ${JSON.stringify(tally)}\n`)
}
