import { describe, expect, it } from 'vitest'
import { interleave, median } from './measure.ts'
import { isMet, renderTable } from './report.ts'

describe('median', () => {
  it.each([
    [[3, 1, 2], 2],
    [[4, 1, 2, 3], 2.5],
    [[7], 7],
    [[], Number.NaN],
  ])('of %j is %d', (values, expected) => {
    expect(median(values)).toBe(expected)
  })
})

describe('interleave', () => {
  it('takes turns, and leaves the first turn out of the figures', async () => {
    const turns: string[] = []
    const contender = (name: string, values: number[]) => ({
      name,
      run: async () => {
        turns.push(name)
        return values.shift() ?? Number.NaN
      },
    })
    const result = await interleave([contender('a', [999, 1, 3]), contender('b', [999, 5, 7])], 2)
    expect(turns.join('')).toBe('ababab')
    expect([...result]).toEqual([
      ['a', 2],
      ['b', 6],
    ])
  })
})

describe('isMet', () => {
  const row = { work: 'w', unit: 'MB/s', atrium: 80 } as const
  it('compares a ratio with the peer of the same run', () => {
    expect(isMet({ ...row, peer: 100, target: { atLeastRatio: 0.8 } })).toBe(true)
    expect(isMet({ ...row, peer: 101, target: { atLeastRatio: 0.8 } })).toBe(false)
  })
  it('says nothing about a ratio without a peer', () => {
    expect(isMet({ ...row, target: { atLeastRatio: 0.8 } })).toBeUndefined()
  })
  it('compares a bound with the figure itself', () => {
    expect(isMet({ ...row, target: { atMost: 80 } })).toBe(true)
    expect(isMet({ ...row, target: { atMost: 79 } })).toBe(false)
  })
})

describe('renderTable', () => {
  it('marks what was missed, and aligns', () => {
    const table = renderTable([
      { work: 'a', unit: 'MB/s', atrium: 50, peer: 100, target: { atLeastRatio: 1 } },
      { work: 'longer', unit: 'MiB', atrium: 3 },
    ])
    expect(table.split('\n')).toEqual([
      'work          atrium  peer  ratio  target',
      'a (MB/s)        50.0   100   0.50   >= 1x  MISSED',
      'longer (MiB)     3.0     -      -       -',
    ])
  })
})
