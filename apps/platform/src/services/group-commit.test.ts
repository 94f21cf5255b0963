import { setImmediate as turn } from 'node:timers/promises'
import { AppError } from '@atrium/http-kit/app-error'
import { describe, expect, it } from 'vitest'
import { GroupCommit, type GroupCommitOptions } from './group-commit.ts'

/** Groups that end when the test says so. */
function held(options: Partial<GroupCommitOptions<number, number>> = {}) {
  const groups: { items: readonly number[]; end: (error?: Error) => void }[] = []
  const commit = new GroupCommit<number, number>({
    run: (items) =>
      new Promise((resolve, reject) => {
        groups.push({
          items,
          end: (error) =>
            error === undefined ? resolve(items.map((item) => item * 10)) : reject(error),
        })
      }),
    sizeOf: () => 1,
    maxGroupItems: 100,
    maxGroupBytes: 100,
    maxWaitingItems: 100,
    maxWaitingBytes: 100,
    maxWaitMs: 60_000,
    ...options,
  })
  return { commit, groups }
}

describe('GroupCommit', () => {
  it('sends the first at once, and what comes meanwhile together', async () => {
    const { commit, groups } = held()
    const outcomes = [1, 2, 3].map((item) => commit.submit(item))
    expect(groups.map(({ items }) => items)).toEqual([[1]])
    groups[0]?.end()
    await turn()
    expect(groups.map(({ items }) => items)).toEqual([[1], [2, 3]])
    groups[1]?.end()
    expect(await Promise.all(outcomes)).toEqual([10, 20, 30])
    await commit.drain()
  })

  it('bounds a group by number and by size', async () => {
    const { commit, groups } = held({ maxGroupItems: 3, maxGroupBytes: 10, sizeOf: (item) => item })
    const outcomes = [1, 1, 1, 1, 1, 9, 2, 50].map((item) => commit.submit(item))
    for (let at = 0; at < 5; at += 1) {
      await turn()
      groups[at]?.end()
    }
    await Promise.all(outcomes)
    expect(groups.map(({ items }) => items)).toEqual([[1], [1, 1, 1], [1, 9], [2], [50]])
  })

  it('gathers for a while after a group where nobody waits, and not before the first', async () => {
    const { commit, groups } = held({ restMs: 40 })
    const first = commit.submit(1)
    groups[0]?.end()
    await first
    const others = [commit.submit(2)]
    await turn()
    others.push(commit.submit(3))
    expect(groups.map(({ items }) => items)).toEqual([[1]])
    await expect.poll(() => groups.length).toBe(2)
    expect(groups[1]?.items).toEqual([2, 3])
    groups[1]?.end()
    await Promise.all([...others, commit.drain()])
    const next = commit.submit(4)
    expect(groups[2]?.items).toEqual([4])
    groups[2]?.end()
    await Promise.all([next, commit.drain()])
  })

  it.each([{ maxGroupItems: 2 }, { maxGroupBytes: 2 }])(
    'gathers no longer than until a group is full: %o',
    async (limit) => {
      const { commit, groups } = held({ ...limit, restMs: 60_000 })
      const first = commit.submit(1)
      groups[0]?.end()
      await first
      const others = [2, 3].map((item) => commit.submit(item))
      await turn()
      expect(groups.map(({ items }) => items)).toEqual([[1], [2, 3]])
      const last = [4, 5].map((item) => commit.submit(item))
      groups[1]?.end()
      await turn()
      expect(groups[2]?.items).toEqual([4, 5])
      expect(await Promise.all([...others])).toEqual([20, 30])
      groups[2]?.end()
      await Promise.all(last)
    },
  )

  it('gathers no longer when somebody waits after all', async () => {
    const { commit, groups } = held({ restMs: 60_000 })
    const first = commit.submit(1)
    groups[0]?.end()
    await first
    const other = commit.submit(2)
    await turn()
    expect(groups).toHaveLength(1)
    commit.hurry()
    await turn()
    expect(groups[1]?.items).toEqual([2])
    groups[1]?.end()
    expect(await other).toBe(20)
  })

  it('refuses what does not fit into the queue, by number or by size', async () => {
    for (const limit of [{ maxWaitingItems: 2 }, { maxWaitingBytes: 2 }]) {
      const { commit, groups } = held(limit)
      const admitted = [1, 2, 3].map((item) => commit.submit(item))
      await expect(commit.submit(4)).rejects.toMatchObject({ code: 'platform_unavailable' })
      groups[0]?.end()
      await turn()
      groups[1]?.end()
      expect(await Promise.all(admitted)).toEqual([10, 20, 30])
    }
  })

  it('gives up what has waited too long, and goes on with the rest', async () => {
    const { commit, groups } = held({ maxWaitMs: 5 })
    const first = commit.submit(1)
    await expect(commit.submit(2)).rejects.toBeInstanceOf(AppError)
    groups[0]?.end()
    expect(await first).toBe(10)
    const third = commit.submit(3)
    await turn()
    groups[1]?.end()
    expect(await third).toBe(30)
    expect(groups.map(({ items }) => items)).toEqual([[1], [3]])
  })

  it('has room again for as much as it gave up', async () => {
    const { commit, groups } = held({ maxWaitMs: 5, maxWaitingBytes: 2 })
    const first = commit.submit(1)
    await expect(commit.submit(2)).rejects.toBeInstanceOf(AppError)
    const rest = [commit.submit(3), commit.submit(4)]
    groups[0]?.end()
    await first
    groups[1]?.end()
    await expect(Promise.all(rest)).resolves.toHaveLength(2)
  })

  it('fails the items of a failed group and no others', async () => {
    const { commit, groups } = held()
    const outcomes = [1, 2].map((item) => commit.submit(item))
    const failed = expect(outcomes[0]).rejects.toThrow('broken')
    groups[0]?.end(new Error('broken'))
    await failed
    groups[1]?.end()
    expect(await outcomes[1]).toBe(20)
  })

  it('does one by one what one of it is to blame for, and nothing else', async () => {
    for (const isOneToBlame of [true, false]) {
      const seen: number[][] = []
      const commit = new GroupCommit<number, number>({
        run: async (items) => {
          seen.push([...items])
          if (items.includes(3)) throw new Error('three')
          return items
        },
        isOneToBlame: () => isOneToBlame,
        sizeOf: () => 1,
        ...{ maxGroupItems: 9, maxGroupBytes: 9, maxWaitingItems: 9, maxWaitingBytes: 9 },
        maxWaitMs: 60_000,
      })
      const outcomes = await Promise.allSettled([1, 2, 3, 4].map((item) => commit.submit(item)))
      expect(outcomes.map(({ status }) => status === 'fulfilled')).toEqual(
        isOneToBlame ? [true, true, false, true] : [true, false, false, false],
      )
      expect(seen).toEqual([[1], [2, 3, 4], ...(isOneToBlame ? [[2], [3], [4]] : [])])
    }
  })

  it('does not make a group wait for an outcome that comes later', async () => {
    const late = Promise.withResolvers<number>()
    const commit = new GroupCommit<number, number>({
      run: async (items) => items.map((item) => (item === 1 ? late.promise : item)),
      sizeOf: () => 1,
      maxGroupItems: 1,
      maxGroupBytes: 1,
      maxWaitingItems: 9,
      maxWaitingBytes: 9,
      maxWaitMs: 60_000,
    })
    const first = commit.submit(1)
    expect(await commit.submit(2)).toBe(2)
    late.resolve(11)
    expect(await first).toBe(11)
  })

  it('drains what waits', async () => {
    const { commit, groups } = held()
    const outcomes = [1, 2].map((item) => commit.submit(item))
    let isDrained = false
    const drained = commit.drain().then(() => {
      isDrained = true
    })
    groups[0]?.end()
    await turn()
    expect(isDrained).toBe(false)
    groups[1]?.end()
    await drained
    expect(await Promise.all(outcomes)).toEqual([10, 20])
  })
})
