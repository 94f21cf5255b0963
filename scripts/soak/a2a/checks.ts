/** @module Whether what the senders were told is what the agents have done and the ledger says. */
import type postgres from 'postgres'
import type { Stage } from '../stage.ts'
import { begunBy, type Hand } from './crew.ts'
import { NO_ENDING, problemsOf } from './judge-letter.ts'
import type { Letter } from './sender.ts'

export type Findings = {
  readonly problems: readonly string[]
  readonly begun: number
  readonly rows: ReadonlyMap<string, number>
}

export async function findProblems(
  { stage, sql }: { readonly stage: Stage; readonly sql: postgres.Sql },
  hands: readonly Hand[],
  letters: readonly Letter[],
): Promise<Findings> {
  const byWorkspace = new Map(hands.map((hand) => [hand.id, begunBy(stage, hand)]))
  const kinds = new Map(hands.map(({ id, kind }) => [id, kind]))
  const problems = letters.flatMap((letter) => {
    const begun = byWorkspace.get(letter.workspaceId)?.get(letter.messageId) ?? 0
    return problemsOf(letter, begun).map(
      (text) => `${letter.messageId} to ${kinds.get(letter.workspaceId)}: ${text}`,
    )
  })
  const known = new Set(letters.map(({ messageId }) => messageId))
  const strangers = [...byWorkspace.values()]
    .flatMap((counts) => [...counts.keys()])
    .filter((messageId) => !known.has(messageId))
  const rows = await sql<{ state: string; count: number }[]>`
    SELECT state::text, count(*)::int AS count FROM a2a_deliveries GROUP BY state ORDER BY state`
  const open = rows.filter(({ state }) => ['queued', 'leased', 'dispatched'].includes(state))
  return {
    // Of few kinds there are many, and only the first are shown.
    problems: [
      ...open.map(({ state, count }) => `${count} rows are still ${state}`),
      ...strangers.map((messageId) => `${messageId} was begun, and nobody has sent it`),
      ...problems.toSorted((a, b) => Number(a.includes(NO_ENDING)) - Number(b.includes(NO_ENDING))),
    ],
    begun: [...byWorkspace.values()].flatMap((counts) => [...counts.values()]).reduce(sum, 0),
    rows: new Map(rows.map(({ state, count }) => [state, count])),
  }
}

const sum = (a: number, b: number): number => a + b
