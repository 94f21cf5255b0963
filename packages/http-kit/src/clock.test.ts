import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { systemClock } from './clock.ts'

describe('systemClock.sleep', () => {
  it('rejects with the very reason of a signal that is aborted, before or meanwhile', async () => {
    const reason = { why: 'ended' }
    await expect(systemClock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason)
    const ending = new AbortController()
    const sleep = systemClock.sleep(60_000, ending.signal)
    ending.abort(reason)
    await expect(sleep).rejects.toBe(reason)
  })

  it('leaves nothing at a signal that outlives it', async () => {
    const { signal } = new AbortController()
    await systemClock.sleep(1, signal)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})
