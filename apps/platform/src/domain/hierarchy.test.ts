import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Lineage, MAX_ANCESTOR_HOPS, mayCommunicate } from './hierarchy.ts'

type Parents = ReadonlyMap<string, string | undefined>

/** Any parents whatever: trees, forests, cycles, parents that are not there. */
const anyParents: fc.Arbitrary<Parents> = fc
  .array(fc.option(fc.nat({ max: 11 }), { nil: undefined }), { minLength: 2, maxLength: 12 })
  .map((parents) => {
    const ids = parents.map((_, index) => `w${index}`)
    return new Map(ids.map((id, at) => [id, ids[parents[at] ?? -1]]))
  })

function lineageOf(parents: Parents, id: string): Lineage {
  const line: string[] = []
  let current: string | undefined = id
  while (current !== undefined && parents.has(current) && line.length <= MAX_ANCESTOR_HOPS) {
    line.push(current)
    current = parents.get(current)
  }
  return line
}

/** The rule once more, from the definition and not from lines. */
function byDefinition(parents: Parents, a: string, b: string): boolean {
  if (!parents.has(a) || !parents.has(b)) return false
  const isBelow = (low: string, high: string): boolean => {
    let current = parents.get(low)
    for (let hop = 0; hop < MAX_ANCESTOR_HOPS && current !== undefined; hop += 1) {
      if (current === high) return true
      current = parents.get(current)
    }
    return false
  }
  return a === b || parents.get(a) === parents.get(b) || isBelow(a, b) || isBelow(b, a)
}

describe('mayCommunicate', () => {
  const family = new Map([
    ['root', undefined],
    ['other root', undefined],
    ['child', 'root'],
    ['sibling', 'root'],
    ['grandchild', 'child'],
    ['nephew', 'sibling'],
    ['stranger', 'other root'],
  ])
  it.each([
    ['child', 'child', true],
    ['child', 'sibling', true],
    ['root', 'other root', true],
    ['root', 'grandchild', true],
    ['grandchild', 'root', true],
    ['grandchild', 'nephew', false],
    ['grandchild', 'sibling', false],
    ['child', 'other root', false],
    ['child', 'stranger', false],
    ['child', 'nobody', false],
    ['nobody', 'nobody', false],
  ])('%s and %s: %s', (a, b, expected) => {
    expect(mayCommunicate(lineageOf(family, a), lineageOf(family, b))).toBe(expected)
  })

  it('walks 32 hops and no further', () => {
    const line = new Map(
      Array.from({ length: 40 }, (_, n) => [`w${n}`, n === 0 ? undefined : `w${n - 1}`]),
    )
    const talk = (a: string, b: string) => mayCommunicate(lineageOf(line, a), lineageOf(line, b))
    expect(talk('w0', 'w32')).toBe(true)
    expect(talk('w0', 'w33')).toBe(false)
  })

  it('is the rule, whatever the parents are, and the same in both directions', () => {
    fc.assert(
      fc.property(anyParents, fc.nat(), fc.nat(), (parents, first, second) => {
        const ids = [...parents.keys(), 'nobody']
        const a = ids[first % ids.length] ?? ''
        const b = ids[second % ids.length] ?? ''
        const talks = mayCommunicate(lineageOf(parents, a), lineageOf(parents, b))
        expect(talks).toBe(byDefinition(parents, a, b))
        expect(mayCommunicate(lineageOf(parents, b), lineageOf(parents, a))).toBe(talks)
      }),
      { numRuns: 1_000 },
    )
  })
})
