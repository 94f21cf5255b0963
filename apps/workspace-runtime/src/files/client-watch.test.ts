import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { ClientWatch } from './client-watch.ts'

const FOREVER = Promise.withResolvers<void>().promise
const LONG_MS = 60_000

describe('ClientWatch', () => {
  it('ends all waiting when the client goes, and when it had gone before', async () => {
    const client = new AbortController()
    const early = new ClientWatch(client.signal, LONG_MS)
    const waiting = early.breaking.wait(FOREVER)
    client.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    const late = new ClientWatch(client.signal, LONG_MS)
    expect(() => late.breaking.throwIfBroken()).toThrow('gone')
    early.stop()
    late.stop()
  })

  it('ends all waiting when the client is silent for too long', async () => {
    const watch = new ClientWatch(new AbortController().signal, 10)
    await expect(watch.breaking.wait(FOREVER)).rejects.toThrow('the client stopped reading')
    watch.stop()
  })

  it('leaves nothing behind once it is stopped', () => {
    const { signal } = new AbortController()
    const watch = new ClientWatch(signal, LONG_MS)
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    watch.stop()
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
  })
})
