/** @module What the message soak has seen, as a table. Pure. */
import type { Findings } from './checks.ts'
import type { Letter } from './sender.ts'

export type Figures = {
  readonly letters: readonly Letter[]
  readonly deaths: ReadonlyMap<string, number>
  readonly findings: Findings
  readonly settledMs: number
}

export function renderReport({ letters, deaths, findings, settledMs }: Figures): string {
  const answered = letters.filter(({ ending }) => ending?.kind === 'answered')
  const reasons = new Map<string, number>()
  for (const { ending } of letters) {
    if (ending?.kind !== 'failed') continue
    reasons.set(ending.reason, (reasons.get(ending.reason) ?? 0) + 1)
  }
  const rows: (readonly [string, number | string])[] = [
    ['messages', letters.length],
    ['answered', answered.length],
    ...sorted(reasons).map(([reason, count]) => [`failed, told ${reason}`, count] as const),
    ['without an ending', letters.filter(({ ending }) => ending === undefined).length],
    ['waited in a queue', letters.filter(({ wasQueued }) => wasQueued).length],
    ['repeated by their senders', letters.filter(({ repetitions }) => repetitions > 0).length],
    ['repetitions', letters.reduce((sum, { repetitions }) => sum + repetitions, 0)],
    ['begun by agents', findings.begun],
    ...sorted(findings.rows).map(([state, count]) => [`rows ${state}`, count] as const),
    ...sorted(deaths).map(([what, count]) => [`deaths: ${what}`, count] as const),
    ['settled after', `${(settledMs / 1_000).toFixed(1)} s`],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n')
}

function sorted(counts: ReadonlyMap<string, number>): (readonly [string, number])[] {
  return [...counts].toSorted(([a], [b]) => a.localeCompare(b))
}
