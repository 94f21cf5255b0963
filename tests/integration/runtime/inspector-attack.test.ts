import { Agent } from 'node:http'
import { dirname } from 'node:path'
import {
  FILE_CONTENT_PATH,
  FILE_LIST_PATH,
  FILE_PREVIEW_PATH,
} from '@atrium/runtime-contract/file-inspection'
import { afterAll, describe, expect, it } from 'vitest'
import { startAttack } from '../../support/attack.ts'
import type { Attack } from '../../support/attacker.ts'
import { hammer, IN_FLIGHT } from '../../support/hammer.ts'
import { type Answer, send } from '../../support/raw-client.ts'
import {
  INSIDE,
  OUTSIDE_NAME,
  prepareReadAttack,
  prepareSessionSwap,
  READ_ATTACKS,
  type ReadAttack,
} from '../../support/read-attacks.ts'
import { expectOpenFiles, openFiles } from '../../support/runtime-harness.ts'
import { runtime, shareRuntime } from '../../support/shared-runtime.ts'

const CASES = READ_ATTACKS.length + 1
// 60 for the acceptance run.
const TOTAL_SECONDS = Number(process.env['ATRIUM_ATTACK_SECONDS'] ?? 1.5)
const CASE_MS = (TOTAL_SECONDS * 1000) / CASES

const SESSION = 'abc1234'
const SESSION_FOLDER = `/workspace/${SESSION}`

shareRuntime()
const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT })

afterAll(() => {
  agent.destroy()
})

/** One way to look at the attacked file or its folder, and whether what is told is from inside. */
type Look = {
  readonly target: (path: string) => string
  readonly isInside: (body: Readonly<Record<string, unknown>>) => boolean
}

const LOOKS: Readonly<Record<string, Look>> = {
  list: {
    target: (path) => `${FILE_LIST_PATH}?${new URLSearchParams({ path: dirname(path) })}`,
    isInside: hasNoOutsideName,
  },
  'list of the session': {
    target: (path) => `${FILE_LIST_PATH}?${inSession(dirname(path))}`,
    isInside: hasNoOutsideName,
  },
  preview: {
    target: (path) => `${FILE_PREVIEW_PATH}?${new URLSearchParams({ path })}`,
    isInside: ({ text }) => text === INSIDE,
  },
  'preview of the session': {
    target: (path) => `${FILE_PREVIEW_PATH}?${inSession(path)}`,
    isInside: ({ text }) => text === INSIDE,
  },
  'content of the session': {
    target: (path) => `${FILE_CONTENT_PATH}?${inSession(path)}`,
    isInside: ({ content_base64: content }) => content === btoa(INSIDE),
  },
}

function hasNoOutsideName(body: Readonly<Record<string, unknown>>): boolean {
  return !JSON.stringify(body).includes(OUTSIDE_NAME)
}

function inSession(path: string): URLSearchParams {
  return new URLSearchParams({ session: SESSION, path: path.slice(SESSION_FOLDER.length + 1) })
}

type Tally = { served: number; refused: number; leaks: number; failures: number }

function count(tally: Tally, answer: Answer, isInside: Look['isInside']): void {
  if (answer.status >= 500) tally.failures += 1
  else if (answer.status !== 200) tally.refused += 1
  else if (isInside(JSON.parse(answer.body.toString()))) tally.served += 1
  else tally.leaks += 1
}

/** Both sides of the swap; a folder is the same one whatever its file is swapped with. */
function met({ kind }: Attack, look: string, { served, refused }: Tally): boolean {
  const isOfFile = kind === 'last-link' || kind === 'last-inode'
  return served > 0 && (refused > 0 || (isOfFile && look.startsWith('list')))
}

/** All the looks in turn, while the attack goes on. */
async function lookWhileAttacked({ path, attack }: ReadAttack) {
  const tallies: Record<string, Tally> = {}
  for (const name of Object.keys(LOOKS)) {
    tallies[name] = { served: 0, refused: 0, leaks: 0, failures: 0 }
  }
  const headers = { authorization: `Bearer ${runtime.secret}` }
  const running = await startAttack(attack)
  async function attempt(): Promise<boolean> {
    for (const [name, { target, isInside }] of Object.entries(LOOKS)) {
      const answer = await send(new URL(target(path), runtime.url), { headers, agent })
      const tally = tallies[name]
      if (tally !== undefined) count(tally, answer, isInside)
    }
    return !running.isRunning()
  }
  const hasSeenBoth = (): boolean =>
    Object.entries(tallies).every(([look, tally]) => met(attack, look, tally))
  let swaps = 0
  try {
    await hammer(CASE_MS, attempt, hasSeenBoth)
  } finally {
    swaps = (await running.stop()).count
  }
  return { tallies, swaps }
}

describe('an agent that swaps what a path means while it is looked at', () => {
  it.each([...READ_ATTACKS, 'the folder of the session with a symlink'] as const)(
    'shows nothing from outside by swapping %s',
    async (name) => {
      const before = openFiles()
      const attacked =
        name === 'the folder of the session with a symlink'
          ? prepareSessionSwap(runtime, `${SESSION_FOLDER}/file.txt`)
          : prepareReadAttack(runtime, name, SESSION_FOLDER)
      const { tallies, swaps } = await lookWhileAttacked(attacked)
      process.stdout.write(`attack: ${name}: ${JSON.stringify({ swaps, ...tallies })}\n`)
      for (const [look, tally] of Object.entries(tallies)) {
        expect([look, tally]).toEqual([look, expect.objectContaining({ leaks: 0, failures: 0 })])
        // Both states were met, so the attack did take place.
        expect(met(attacked.attack, look, tally), look).toBe(true)
      }
      expect(swaps).toBeGreaterThan(100)
      await expectOpenFiles(before)
    },
    CASE_MS + 30_000,
  )
})
