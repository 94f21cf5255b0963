import { type BigIntStats, statSync } from 'node:fs'
import type { Clock } from '@atrium/http-kit/clock'
import { describe, expect, it } from 'vitest'
import { NameWindows } from './name-windows.ts'

const NOW = new Date('2026-06-01T12:00:00.000Z')
const clock: Clock = { now: () => NOW, sleep: () => Promise.resolve() }

/** A folder that was last changed so long ago. */
function folder(changedMsAgo: number, ino = 1n): BigIntStats {
  const stat = statSync('/', { bigint: true })
  const ms = BigInt(NOW.getTime() - changedMsAgo)
  const times = { ctimeMs: ms, mtimeMs: ms, ctimeNs: ms * 1_000_000n, mtimeNs: ms * 1_000_000n }
  return Object.assign(stat, { ino, ...times })
}

const scannedAt = NOW.getTime()
const names = ['b', 'd', 'f']

describe('kept names', () => {
  it('are those behind a name that they were read behind, as many as wanted', () => {
    const windows = new NameWindows(clock).begin(folder(60_000))
    windows.add({ names, hasMore: true }, { after: 'a', scannedAt })
    expect(windows.find('a', 2)).toEqual({ names: ['b', 'd'], hasMore: true })
    expect(windows.find('c', 2)).toEqual({ names: ['d', 'f'], hasMore: true })
    expect(windows.find('d', 9)).toEqual({ names: ['f'], hasMore: true })
    // What lies before, and what follows the last of them, is not known.
    expect(windows.find('', 9)).toBeUndefined()
    expect(windows.find('f', 9)).toBeUndefined()
  })

  it('serve another first page only of a folder that provably did not change', () => {
    const kept = (then: BigIntStats, now: BigIntStats): boolean => {
      const all = new NameWindows(clock)
      all.begin(then).add({ names, hasMore: true }, { after: '', scannedAt })
      return all.begin(now).find('', 1) !== undefined
    }
    expect(kept(folder(60_000), folder(60_000))).toBe(true)
    expect(kept(folder(60_000), folder(50_000))).toBe(false)
    expect(kept(folder(60_000, 1n), folder(60_000, 2n))).toBe(false)
    // Its times may be the same after one more change.
    expect(kept(folder(10), folder(10))).toBe(false)
  })

  it('are no longer there for those who read on once a first page was of another state', () => {
    const all = new NameWindows(clock)
    const before = all.begin(folder(60_000))
    before.add({ names, hasMore: true }, { after: '', scannedAt })
    all.begin(folder(5_000))
    // A scan from before that ends now must not bring its names back.
    before.add({ names, hasMore: true }, { after: 'b', scannedAt })
    expect(all.resume(folder(5_000)).find('b', 1)).toBeUndefined()
  })

  it('are few: of four folders, two stretches each, none larger than a few megabytes', () => {
    const all = new NameWindows(clock)
    for (const ino of [1n, 2n, 3n, 4n, 5n]) {
      all.begin(folder(60_000, ino)).add({ names, hasMore: true }, { after: '', scannedAt })
    }
    expect(all.resume(folder(60_000, 1n)).find('', 1)).toBeUndefined()
    expect(all.resume(folder(60_000, 5n)).find('', 1)).toBeDefined()
    const windows = all.begin(folder(60_000, 9n))
    const long = Array.from({ length: 50_000 }, (_, index) => `${index}`.padStart(255, '0'))
    for (const after of ['', '00', '000']) {
      windows.add({ names: long, hasMore: true }, { after, scannedAt })
    }
    // The first of the three is gone; the others are cut.
    expect(windows.find('', 1)).toBeUndefined()
    const cut = windows.find('00', 50_000)
    expect(cut?.names.length).toBeLessThan(20_000)
    expect(cut?.hasMore).toBe(true)
    all.clear()
  })
})
