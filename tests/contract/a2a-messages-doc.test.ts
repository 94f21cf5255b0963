import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Outcome } from '@atrium/a2a-schema/decision'
import { DECISIONS } from '@atrium/a2a-schema/decisions'
import { NOTES } from '@atrium/a2a-schema/notes'
import { describe, expect, it } from 'vitest'

const DOCUMENT = join(import.meta.dirname, '../../docs/a2a-messages.md')

const lines = readFileSync(DOCUMENT, 'utf8').split('\n')

/** The cells of the rows whose first cell matches. */
function rowsOf(first: RegExp): string[][] {
  return lines
    .filter((line) => line.startsWith('| '))
    .map((line) =>
      line
        .slice(2, -2)
        .split(' | ')
        .map((cell) => cell.trim()),
    )
    .filter(([cell = '']) => first.test(cell))
}

function told(outcome: Outcome): string {
  switch (outcome.verdict) {
    case 'A':
      return 'taken'
    case 'N':
      return [...outcome.notes].sort().join(', ')
    case 'R':
      return `refused: \`${outcome.field}\``
  }
}

describe('docs/a2a-messages.md', () => {
  it('has the row of every decision, and says what the code does', () => {
    const expected = DECISIONS.map((decision) => [
      decision.id,
      decision.says,
      told(decision['0.3']),
      told(decision['1.0']),
    ])
    expect(rowsOf(/^[MC]\d*(?:-|$)|^M\d+$/)).toEqual(expected)
  })

  it('explains every word of X-A2A-Normalized, and no other', () => {
    const rows = rowsOf(/^`[a-z0-9.-]+`$/)
    expect(rows.map(([word = '']) => word.replaceAll('`', '')).sort()).toEqual([...NOTES].sort())
    for (const [word, meaning = ''] of rows) {
      expect([word, meaning.length]).toEqual([word, expect.toSatisfy((n: number) => n > 15)])
    }
  })
})
