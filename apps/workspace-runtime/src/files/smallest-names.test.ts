import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SmallestNames } from './smallest-names.ts'

describe('the smallest names behind one', () => {
  it('are those of the sorted list, in whatever order they come', () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b', 'B', 'ÿ', '\u0001'), minLength: 1 })
    const names = fc.array(name, { maxLength: 60 })
    const keep = fc.integer({ min: 1, max: 20 })
    fc.assert(
      fc.property(names, keep, fc.oneof(name, fc.constant('')), (offered, most, after) => {
        const smallest = new SmallestNames(most, after)
        for (const each of offered) smallest.offer(each)
        const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
        const behind = offered
          .filter((each) => Buffer.compare(bytes(each), bytes(after)) > 0)
          .sort((one, other) => Buffer.compare(bytes(one), bytes(other)))
        expect(smallest.sorted()).toEqual([...new Set(behind.slice(0, most))])
        expect(smallest.hasMore).toBe(behind.length > most)
      }),
    )
  })
})
