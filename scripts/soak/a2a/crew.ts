/** @module The workspaces of the message soak, each of a kind, and what each has carried out. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Stage } from '../stage.ts'

/**
 * `push` takes everything; `idempotent` knows a repeated delivery; `busy` refuses the third at once;
 * `crashing` ends now and then in the middle; `poll` fetches what was left for it.
 */
export const KINDS = ['push', 'idempotent', 'busy', 'crashing', 'poll'] as const
export type Kind = (typeof KINDS)[number]

export type Hand = {
  readonly id: string
  readonly kind: Kind
  /** When its process was killed by us, newest last. */
  readonly killedAt: number[]
}

/** Creates the workspaces and tells each agent what it is; they come online meanwhile. */
export async function hire(stage: Stage, count: number, kinds: readonly Kind[]): Promise<Hand[]> {
  const hands: Hand[] = []
  for (let index = 0; index < count; index += 1) {
    const kind = kinds[index % kinds.length] ?? 'push'
    const id = await stage.api.createSurely(`soak-${kind}-${index}`)
    tellKind(stage.folder, id, kind)
    hands.push({ id, kind, killedAt: [] })
  }
  return hands
}

/** Renamed into place: its agent is looking for it already. */
function tellKind(folder: string, id: string, kind: Kind): void {
  const own = join(folder, id)
  mkdirSync(own, { recursive: true })
  writeFileSync(join(own, 'kind.new'), kind)
  renameSync(join(own, 'kind.new'), join(own, 'kind'))
}

/** How often each message was begun, by its id. */
export function begunBy(stage: Stage, { id }: Hand): Map<string, number> {
  const file = join(stage.folder, id, 'begun')
  const counts = new Map<string, number>()
  if (!existsSync(file)) return counts
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    if (line !== '') counts.set(line, (counts.get(line) ?? 0) + 1)
  }
  return counts
}
