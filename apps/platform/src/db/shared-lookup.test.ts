import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { LookupQueue } from './shared-lookup.ts'

/** Statements that end when the test says so; what each finds is what `rows` has when it begins. */
function held(rows: ReadonlyMap<string, string>, patienceMs = 60_000) {
  const asked: { keys: readonly string[]; end: (error?: Error) => void }[] = []
  const queue = new LookupQueue<string>((keys) => {
    const seen = new Map(rows)
    return new Promise((resolve, reject) => {
      const end = (error?: Error): void => (error === undefined ? resolve(seen) : reject(error))
      asked.push({ keys, end })
    })
  }, patienceMs)
  return { queue, asked, keys: () => asked.map((each) => each.keys) }
}

describe('LookupQueue', () => {
  it('asks the first at once, and what comes meanwhile together, each key once', async () => {
    const { queue, asked, keys } = held(
      new Map([
        ['a', 'A'],
        ['b', 'B'],
      ]),
    )
    const found = ['a', 'b', 'c', 'b'].map((key) => queue.find(key))
    expect(keys()).toEqual([['a']])
    asked[0]?.end()
    await turn()
    expect(keys()).toEqual([['a'], ['b', 'c']])
    asked[1]?.end()
    expect(await Promise.all(found)).toEqual(['A', 'B', undefined, 'B'])
    await turn()
    expect(asked).toHaveLength(2)
  })

  it('never answers from a statement that began before the question', async () => {
    const rows = new Map([['a', 'live']])
    const { queue, asked } = held(rows)
    const before = queue.find('a')
    rows.set('a', 'revoked')
    const after = queue.find('a')
    asked[0]?.end()
    expect(await before).toBe('live')
    asked[1]?.end()
    expect(await after).toBe('revoked')
    rows.set('a', 'gone')
    const later = queue.find('a')
    asked[2]?.end()
    expect(await later).toBe('gone')
  })

  it('fails those of one statement, and nobody else', async () => {
    const { queue, asked } = held(new Map([['a', 'A']]))
    const found = Promise.allSettled(['a', 'a', 'b'].map((key) => queue.find(key)))
    asked[0]?.end()
    await turn()
    const next = queue.find('a')
    const failure = new Error('the database is away')
    asked[1]?.end(failure)
    await turn()
    asked[2]?.end()
    const failed = { status: 'rejected', reason: failure }
    expect(await found).toEqual([{ status: 'fulfilled', value: 'A' }, failed, failed])
    expect(await next).toBe('A')
  })

  it('asks for a bounded number of keys', async () => {
    const { queue, asked } = held(new Map([['k700', 'last']]))
    const found = Array.from({ length: 701 }, (_, index) => queue.find(`k${index}`))
    for (const at of [0, 1, 2]) {
      asked[at]?.end()
      await turn()
    }
    expect(asked.map(({ keys }) => keys.length)).toEqual([1, 500, 200])
    expect((await Promise.all(found)).at(-1)).toBe('last')
  })

  it('waits for one that hangs only for a while', async () => {
    const { queue, asked } = held(new Map([['a', 'A']]), 1)
    const hanging = queue.find('a')
    const second = queue.find('a')
    await expect.poll(() => asked.length).toBe(2)
    asked[1]?.end()
    expect(await second).toBe('A')
    const third = queue.find('a')
    expect(asked).toHaveLength(3)
    const fourth = queue.find('a')
    asked[0]?.end()
    expect(await hanging).toBe('A')
    asked[2]?.end()
    expect(await third).toBe('A')
    asked[3]?.end()
    expect(await fourth).toBe('A')
  })
})
