import { describe, expect, it } from 'vitest'
import { KeyedMutex } from './keyed-mutex.ts'

describe('KeyedMutex', () => {
  it('runs one at a time per key, in order of arrival, and keys side by side', async () => {
    const mutex = new KeyedMutex()
    const events: string[] = []
    const gate = Promise.withResolvers<void>()
    const first = mutex.run('a', async () => {
      events.push('a1 starts')
      await gate.promise
      events.push('a1 ends')
    })
    const second = mutex.run('a', async () => {
      events.push('a2')
    })
    await mutex.run('b', async () => {
      events.push('b')
    })
    gate.resolve()
    await Promise.all([first, second])
    expect(events).toEqual(['a1 starts', 'b', 'a1 ends', 'a2'])
  })

  it('goes on after a failure and hands the failure to its own caller only', async () => {
    const mutex = new KeyedMutex()
    const failing = mutex.run('a', async () => {
      throw new Error('mine')
    })
    const following = mutex.run('a', async () => 'fine')
    await expect(failing).rejects.toThrow('mine')
    await expect(following).resolves.toBe('fine')
  })
})
