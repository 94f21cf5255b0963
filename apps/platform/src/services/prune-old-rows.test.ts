import { systemClock } from '@atrium/http-kit/clock'
import { describe, expect, it } from 'vitest'
import { pruneOldRows } from './prune-old-rows.ts'

const NOW = new Date('2026-11-21T00:00:00Z')
const clock = { ...systemClock, now: () => NOW }

describe('pruneOldRows', () => {
  it('takes batches of what is older than the retention until one is not full', async () => {
    const given = [10, 10, 3]
    const asked: unknown[] = []
    const retention = { days: 2, batch: 10, signal: new AbortController().signal }
    const result = await pruneOldRows(clock, retention, async (old) => {
      asked.push(old)
      return given.shift() ?? 0
    })
    expect(result).toEqual({ deleted: 23 })
    expect(asked).toEqual(
      Array.from({ length: 3 }, () => ({ before: new Date('2026-11-19T00:00:00Z'), limit: 10 })),
    )
  })

  it('ends after the batch in progress when the platform does', async () => {
    const stopping = new AbortController()
    const retention = { days: 2, batch: 10, signal: stopping.signal }
    const result = await pruneOldRows(clock, retention, async ({ limit }) => {
      stopping.abort()
      return limit
    })
    expect(result).toEqual({ deleted: 10 })
  })
})
