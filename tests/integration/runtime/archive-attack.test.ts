import { Agent } from 'node:http'
import { dirname } from 'node:path'
import { extract } from 'tar-stream'
import { afterAll, describe, expect, it } from 'vitest'
import { archive } from '../../support/archive-api.ts'
import { startAttack } from '../../support/attack.ts'
import { hammer, IN_FLIGHT } from '../../support/hammer.ts'
import { INSIDE, prepareReadAttack, READ_ATTACKS } from '../../support/read-attacks.ts'
import { expectOpenFiles, openFiles } from '../../support/runtime-harness.ts'
import { runtime, shareRuntime } from '../../support/shared-runtime.ts'

// 60 for the acceptance run.
const TOTAL_SECONDS = Number(process.env['ATRIUM_ATTACK_SECONDS'] ?? 1.5)
const CASE_MS = (TOTAL_SECONDS * 1000) / READ_ATTACKS.length

shareRuntime({ archiveLimits: { maxConcurrent: IN_FLIGHT } })
const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT })

afterAll(() => {
  agent.destroy()
})

/** Every file's content. */
async function contentsOf(body: Buffer): Promise<readonly string[]> {
  const contents: string[] = []
  const archived = extract()
  archived.end(body)
  for await (const entry of archived) {
    let content = ''
    for await (const piece of entry) content += String(piece)
    if (entry.header.type !== 'directory') contents.push(content)
  }
  return contents
}

/** Whether an archive of the folder has the file, does without it, breaks, or has what it must not. */
async function verdict(folder: string): Promise<'whole' | 'without' | 'refused' | 'leaks'> {
  const answer = await archive(folder, 'tar', { of: runtime, agent })
  if (answer.status !== 200 || !answer.isComplete) return 'refused'
  const contents = await contentsOf(answer.body)
  if (contents.some((content) => content !== INSIDE)) return 'leaks'
  return contents.length > 0 ? 'whole' : 'without'
}

type Tally = { whole: number; without: number; refused: number; leaks: number; swaps: number }

describe('an agent that swaps what is in a folder while it is archived', () => {
  it.each(READ_ATTACKS)(
    'gets nothing from outside into an archive by swapping %s',
    async (name) => {
      const { path, attack } = prepareReadAttack(runtime, name)
      // The folder above what is swapped, so that the walk comes to it by itself.
      const folder = dirname(attack.name)
      const wirePath = folder.slice(runtime.local('/').length - 1)
      expect(path.startsWith(wirePath)).toBe(true)
      const before = openFiles()
      const tally: Tally = { whole: 0, without: 0, refused: 0, leaks: 0, swaps: 0 }
      const running = await startAttack(attack)
      async function attempt(): Promise<boolean> {
        tally[await verdict(wirePath)] += 1
        return tally.leaks > 0 || !running.isRunning()
      }
      try {
        await hammer(CASE_MS, attempt, () => tally.whole > 0 && tally.without + tally.refused > 0)
      } finally {
        tally.swaps = (await running.stop()).count
        process.stdout.write(`attack: archive: ${name}: ${JSON.stringify(tally)}\n`)
      }
      expect(tally.leaks).toBe(0)
      // Both states were met, so the attack did take place.
      expect(tally.whole).toBeGreaterThan(0)
      expect(tally.swaps).toBeGreaterThan(100)
      await expectOpenFiles(before)
    },
    CASE_MS + 30_000,
  )
})
