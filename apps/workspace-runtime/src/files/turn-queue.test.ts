import { describe, expect, it } from 'vitest'
import { TurnQueue } from './turn-queue.ts'

describe('a queue with so many places', () => {
  it('lets no more in, in the order they came, whoever fails', async () => {
    const queue = new TurnQueue(2)
    const log: string[] = []
    const leave = [0, 1, 2, 3].map(() => Promise.withResolvers<void>())
    const all = leave.map(({ promise }, index) =>
      queue.run(async () => {
        log.push(`in ${index}`)
        await promise
        log.push(`out ${index}`)
        return index
      }),
    )
    leave[3]?.resolve()
    leave[1]?.reject(new Error('failed'))
    await expect(all[1]).rejects.toThrow('failed')
    await Promise.resolve()
    expect(log).toEqual(['in 0', 'in 1', 'in 2'])
    leave[2]?.resolve()
    expect(await all[2]).toBe(2)
    expect(await all[3]).toBe(3)
    leave[0]?.resolve()
    await all[0]
    expect(await queue.run(async () => 'again')).toBe('again')
    expect(log.slice(3)).toEqual(['out 2', 'in 3', 'out 3', 'out 0'])
  })
})
