import { describe, expect, it } from 'vitest'
import { FixedWindows } from './fixed-windows.ts'

const windowsOf = (limit: number, maxKeys = 100) =>
  new FixedWindows({ limit, windowMs: 60_000, maxKeys })

describe('a fixed window', () => {
  it('admits so many, tells how many are left, and says until when', () => {
    const windows = windowsOf(2)
    expect(windows.take('a', 0)).toEqual({ isAllowed: true, remaining: 1, resetSeconds: 60 })
    expect(windows.take('a', 30_000)).toEqual({ isAllowed: true, remaining: 0, resetSeconds: 30 })
    expect(windows.take('a', 59_999)).toEqual({ isAllowed: false, remaining: 0, resetSeconds: 1 })
    expect(windows.take('b', 59_999).isAllowed).toBe(true)
    expect(windows.take('a', 60_000)).toEqual({ isAllowed: true, remaining: 1, resetSeconds: 60 })
  })

  it('is looked at without being used, and given back into', () => {
    const windows = windowsOf(1)
    expect(windows.peek('a', 0).isAllowed).toBe(true)
    expect(windows.size).toBe(0)
    windows.take('a', 0)
    expect(windows.peek('a', 0).isAllowed).toBe(false)
    windows.giveBack('a', 0)
    windows.giveBack('a', 0)
    expect(windows.take('a', 0).isAllowed).toBe(true)
    expect(windows.take('a', 0).isAllowed).toBe(false)
  })

  it('forgets what is over, and is bounded whatever comes', () => {
    const windows = windowsOf(1, 50)
    for (let key = 0; key < 1_000; key += 1) windows.take(`k${key}`, key)
    expect(windows.size).toBe(50)
    // The newest are those that stay.
    expect(windows.take('k999', 1_000).isAllowed).toBe(false)
    for (let key = 0; key < 20; key += 1) windows.take(`later ${key}`, 100_000)
    expect(windows.size).toBe(20)
  })
})
