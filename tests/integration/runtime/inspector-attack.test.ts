import { Agent } from 'node:http'
import { FILE_CONTENT_PATH, FILE_PREVIEW_PATH } from '@atrium/runtime-contract/file-inspection'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAttack } from '../../support/attack.ts'
import { hammer, IN_FLIGHT } from '../../support/hammer.ts'
import { type Answer, send } from '../../support/raw-client.ts'
import {
  INSIDE,
  prepareReadAttack,
  prepareSessionSwap,
  READ_ATTACKS,
  type ReadAttack,
} from '../../support/read-attacks.ts'
import {
  expectOpenFiles,
  openFiles,
  type RuntimeHarness,
  startRuntimeHarness,
} from '../../support/runtime-harness.ts'

const CASES = READ_ATTACKS.length + 1
// 60 for the acceptance run.
const TOTAL_SECONDS = Number(process.env['ATRIUM_ATTACK_SECONDS'] ?? 1.5)
const CASE_MS = (TOTAL_SECONDS * 1000) / CASES

const SESSION = 'abc1234'
const SESSION_FOLDER = `/workspace/${SESSION}`

let runtime: RuntimeHarness
let openBefore: number
const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT })

beforeAll(async () => {
  openBefore = openFiles()
  runtime = await startRuntimeHarness()
})

afterAll(async () => {
  agent.destroy()
  await runtime.stop()
  await expectOpenFiles(openBefore)
})

/** One way to look at the attacked file, and what of the answer is of the file. */
type Look = {
  readonly target: (path: string) => string
  readonly shown: (body: Readonly<Record<string, unknown>>) => string
}

const LOOKS: Readonly<Record<string, Look>> = {
  preview: {
    target: (path) => `${FILE_PREVIEW_PATH}?${new URLSearchParams({ path })}`,
    shown: ({ text }) => `${text}`,
  },
  'preview of the session': {
    target: (path) => `${FILE_PREVIEW_PATH}?${inSession(path)}`,
    shown: ({ text }) => `${text}`,
  },
  'content of the session': {
    target: (path) => `${FILE_CONTENT_PATH}?${inSession(path)}`,
    shown: ({ content_base64: content }) => Buffer.from(`${content}`, 'base64').toString(),
  },
}

function inSession(path: string): URLSearchParams {
  return new URLSearchParams({ session: SESSION, path: path.slice(`${SESSION_FOLDER}/`.length) })
}

type Tally = { served: number; refused: number; leaks: number; failures: number }

function count(tally: Tally, answer: Answer, shown: Look['shown']): void {
  if (answer.status >= 500) tally.failures += 1
  else if (answer.status !== 200) tally.refused += 1
  else if (shown(JSON.parse(answer.body.toString())) === INSIDE) tally.served += 1
  else tally.leaks += 1
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
    for (const [name, { target, shown }] of Object.entries(LOOKS)) {
      const answer = await send(new URL(target(path), runtime.url), { headers, agent })
      const tally = tallies[name]
      if (tally !== undefined) count(tally, answer, shown)
    }
    return !running.isRunning()
  }
  const hasSeenBoth = (): boolean =>
    Object.values(tallies).every(({ served, refused }) => served > 0 && refused > 0)
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
        expect(Math.min(tally.served, tally.refused), look).toBeGreaterThan(0)
      }
      expect(swaps).toBeGreaterThan(100)
      await expectOpenFiles(before)
    },
    CASE_MS + 30_000,
  )
})
