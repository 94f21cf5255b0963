import { describe, expect, it } from 'vitest'
import { problemsOf } from './judge-letter.ts'
import { type Ending, newLetter } from './sender.ts'

const letter = (ending: Ending | undefined) => ({ ...newLetter('w', 'm-1'), ending })
const answered: Ending = { kind: 'answered', text: 'did m-1' }
const unknown: Ending = { kind: 'failed', reason: 'delivery_outcome_unknown' }

describe('problemsOf', () => {
  it('finds nothing wrong with what was done once and answered, or failed for a reason', () => {
    expect(problemsOf(letter(answered), 1)).toEqual([])
    expect(problemsOf(letter(unknown), 0)).toEqual([])
    expect(problemsOf(letter(unknown), 1)).toEqual([])
  })

  it('finds what was done twice, whatever its sender was told', () => {
    for (const ending of [answered, unknown, undefined]) {
      expect(problemsOf(letter(ending), 2)).toContain('carried out 2 times')
    }
  })

  it('finds what was lost, invented or mixed up', () => {
    expect(problemsOf(letter(undefined), 0)).toEqual(['no ending; heard last: nothing'])
    expect(problemsOf(letter(answered), 0)).toHaveLength(1)
    expect(problemsOf(letter({ kind: 'answered', text: 'did m-2' }), 1)).toHaveLength(1)
    expect(problemsOf(letter({ kind: 'failed', reason: 'expired' }), 1)).toHaveLength(1)
  })
})
