import { lstatSync, readdirSync, readFileSync, realpathSync, symlinkSync } from 'node:fs'
import { Agent } from 'node:http'
import {
  FILE_CONTENT_PATH,
  FILE_LIST_PATH,
  type FolderPage,
} from '@atrium/runtime-contract/file-inspection'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { startAttack } from '../../support/attack.ts'
import type { Attack } from '../../support/attacker.ts'
import { hammer, IN_FLIGHT } from '../../support/hammer.ts'
import { type Answer, send } from '../../support/raw-client.ts'
import { expectOpenFiles, openFiles } from '../../support/runtime-harness.ts'
import { runtime, shareRuntime } from '../../support/shared-runtime.ts'

// 60 for the acceptance run.
const TOTAL_SECONDS = Number(process.env['ATRIUM_ATTACK_SECONDS'] ?? 0.5)
const CONTROL_MS = 20_000
const SESSION = 'abc1234'
const INSIDE = 'inside.txt'
const OUTSIDE = 'OUTSIDE.txt'

shareRuntime()
const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT })

beforeAll(() => {
  for (const folder of ['decoy', 'decoy/inner']) {
    runtime.place(`/outside/${folder}/${OUTSIDE}`, OUTSIDE)
    runtime.place(`/outside/${folder}/file.txt`, OUTSIDE)
  }
  runtime.place(`/workspace/${SESSION}/real/${INSIDE}`, INSIDE)
  runtime.place(`/workspace/${SESSION}/real/file.txt`, INSIDE)
  for (const folder of ['/workspace/swapped', '/workspace/above/inner', sessionPath('swapped')]) {
    runtime.place(`${folder}/${INSIDE}`, INSIDE)
  }
  // A link that leads inside; the attacker puts one in its place that leads outside, and back.
  symlinkSync('real', runtime.local('/outside/link-to-inside'))
  for (const name of ['flips', 'flips-to-file']) {
    symlinkSync('real', runtime.local(sessionPath(name)))
  }
})

afterAll(() => {
  agent.destroy()
})

function sessionPath(name: string): string {
  return `/workspace/${SESSION}/${name}`
}

type Case = { readonly target: string; readonly attack: Attack }

function cases(): Record<string, Case> {
  const decoy = runtime.local('/outside/decoy')
  const folderLink = (path: string): Attack => ({
    kind: 'folder-link',
    name: runtime.local(path),
    decoy,
  })
  const flip = (name: string): Attack => ({
    kind: 'last-link',
    name: runtime.local(sessionPath(name)),
    real: runtime.local('/outside/link-to-inside'),
    decoy,
  })
  return {
    'the folder with a link': {
      target: `${FILE_LIST_PATH}?path=/workspace/swapped`,
      attack: folderLink('/workspace/swapped'),
    },
    'the folder above with a link': {
      target: `${FILE_LIST_PATH}?path=/workspace/above/inner`,
      attack: folderLink('/workspace/above'),
    },
    'a folder of a session with a link': {
      target: `${FILE_LIST_PATH}?session=${SESSION}&path=swapped`,
      attack: folderLink(sessionPath('swapped')),
    },
    'where a link in a session leads': {
      target: `${FILE_LIST_PATH}?session=${SESSION}&path=flips`,
      attack: flip('flips'),
    },
    'where a link above a file in a session leads': {
      target: `${FILE_CONTENT_PATH}?session=${SESSION}&path=flips-to-file/file.txt`,
      attack: flip('flips-to-file'),
    },
  }
}

const CASE_NAMES = [
  'the folder with a link',
  'the folder above with a link',
  'a folder of a session with a link',
  'where a link in a session leads',
  'where a link above a file in a session leads',
]
const CASE_MS = (TOTAL_SECONDS * 1_000) / CASE_NAMES.length

function caseOf(name: string): Case {
  const found = cases()[name]
  if (found === undefined) throw new Error(`no attack called ${name}`)
  return found
}

const page = z.custom<FolderPage>()
const content = z.looseObject({ content_base64: z.string() })

/** All that an answer tells of the tree, as one text. */
function told(body: Buffer): string {
  const answer: unknown = JSON.parse(body.toString())
  const file = content.safeParse(answer)
  if (file.success) return Buffer.from(file.data.content_base64, 'base64').toString()
  return page
    .parse(answer)
    .entries.map(({ name }) => name)
    .join(' ')
}

function verdictOn({ status, body }: Answer): 'served' | 'refused' | 'leaks' | 'failures' {
  if (status >= 500) return 'failures'
  if (status !== 200) return 'refused'
  return told(body).includes('OUTSIDE') ? 'leaks' : 'served'
}

describe('an agent that swaps what a path means while it is listed', () => {
  it.each(CASE_NAMES)(
    'shows nothing from outside by swapping %s',
    async (name) => {
      const { target, attack } = caseOf(name)
      const before = openFiles()
      const tally = { served: 0, refused: 0, leaks: 0, failures: 0, swaps: 0 }
      const headers = { authorization: `Bearer ${runtime.secret}` }
      const running = await startAttack(attack)
      async function attempt(): Promise<boolean> {
        const answer = await send(new URL(target, runtime.url), { headers, agent })
        tally[verdictOn(answer)] += 1
        return tally.leaks > 0 || !running.isRunning()
      }
      try {
        await hammer(CASE_MS, attempt, () => tally.served > 0 && tally.refused > 0)
      } finally {
        tally.swaps = (await running.stop()).count
      }
      report(name, tally)
      expect(tally).toMatchObject({ leaks: 0, failures: 0 })
      // Both states were met, so the attack did take place.
      expect(Math.min(tally.served, tally.refused)).toBeGreaterThan(0)
      expect(tally.swaps).toBeGreaterThan(100)
      await expectOpenFiles(before)
    },
    CASE_MS + 30_000,
  )

  it('does show something of who looks first and lists then', async () => {
    const { attack } = caseOf('the folder with a link')
    await expectLeak(attack, () => {
      if (!lstatSync(attack.name).isDirectory()) return ''
      return readdirSync(attack.name).join(' ')
    })
  })

  it('does show something of who asks where a link leads and opens the path then', async () => {
    const { attack } = caseOf('where a link above a file in a session leads')
    const root = runtime.local(`/workspace/${SESSION}`)
    await expectLeak(attack, () => {
      const path = `${attack.name}/file.txt`
      if (!realpathSync(path).startsWith(`${root}/`)) return ''
      return readFileSync(path, 'utf8')
    })
  })
})

/** The control: without it nobody would know that the attack is one. */
async function expectLeak(attack: Attack, look: () => string): Promise<void> {
  const running = await startAttack(attack)
  let hasLeaked = false
  function attempt(): boolean {
    try {
      hasLeaked ||= look().includes('OUTSIDE')
    } catch {
      // The name was between two places.
    }
    return hasLeaked || !running.isRunning()
  }
  const attemptMany = async (): Promise<boolean> => {
    const isOver = Array.from({ length: 200 }, attempt).some(Boolean)
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
    return isOver
  }
  try {
    await hammer(CONTROL_MS, attemptMany)
  } finally {
    await running.stop()
  }
  expect(hasLeaked, 'the attack itself works').toBe(true)
}

function report(name: string, tally: Record<string, number>): void {
  process.stdout.write(`attack on lists: ${name}: ${JSON.stringify(tally)}\n`)
}
