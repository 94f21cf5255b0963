import { describe, expect, it } from 'vitest'
import { DetachedExchanges } from './detached-exchanges.ts'

const MIB = 1024 * 1024

/** Begins one whose caller leaves at once; it ends when it is given up, or when `finish` is called. */
function leave(detached: DetachedExchanges, bodyBytes: number) {
  const caller = new AbortController()
  const agent = Promise.withResolvers<void>()
  let isGivenUp = false
  const ended = detached.run(caller.signal, bodyBytes, async (signal) => {
    signal.addEventListener('abort', () => {
      isGivenUp = true
      agent.resolve()
    })
    await agent.promise
  })
  caller.abort()
  return {
    isGivenUp: () => isGivenUp,
    finish: async () => {
      agent.resolve()
      await ended
    },
  }
}

describe('DetachedExchanges', () => {
  it('lets an exchange go on when its caller leaves', () => {
    expect(leave(new DetachedExchanges(), MIB).isGivenUp()).toBe(false)
  })

  it('gives up what would be too much together, and takes more when others have ended', async () => {
    const detached = new DetachedExchanges()
    const all = Array.from({ length: 100 }, () => leave(detached, MIB))
    const kept = all.filter(({ isGivenUp }) => !isGivenUp())
    expect(kept.length).toBeGreaterThan(50)
    expect(kept.length).toBeLessThan(65)
    for (const { finish } of all) await finish()
    expect(leave(detached, MIB).isGivenUp()).toBe(false)
  })

  it('counts those without a body as well', () => {
    const detached = new DetachedExchanges()
    const all = Array.from({ length: 2_000 }, () => leave(detached, 0))
    expect(all.some(({ isGivenUp }) => isGivenUp())).toBe(true)
  })

  it('gives up nothing while its caller waits', async () => {
    const detached = new DetachedExchanges()
    for (let index = 0; index < 64; index += 1) leave(detached, MIB)
    const { signal } = new AbortController()
    await expect(detached.run(signal, MIB, async (givenUp) => givenUp.aborted)).resolves.toBe(false)
  })
})
