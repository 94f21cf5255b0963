import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRuntimeMetadata, storedRuntimeMetadata } from './runtime-metadata.ts'

describe('parseRuntimeMetadata', () => {
  it('keeps capabilities that are exactly true, and a positive idle timeout', () => {
    const received = {
      capabilities: { session: true, scheduler: false, retry: 'yes', heartbeat: 1 },
      idle_timeout_seconds: 900,
    }
    expect(parseRuntimeMetadata(received)).toEqual({
      capabilities: ['session'],
      idleTimeoutSeconds: 900,
    })
  })

  it('says that nothing was said when there is nothing', () => {
    for (const received of [undefined, null, 'x', 5]) {
      expect(parseRuntimeMetadata(received)).toBeUndefined()
    }
    expect(parseRuntimeMetadata({})).toEqual({ capabilities: [], idleTimeoutSeconds: undefined })
  })

  it.each([0, -1, 1.5, Number.NaN, '900', null])('ignores an idle timeout of %j', (idle) => {
    expect(parseRuntimeMetadata({ idle_timeout_seconds: idle })?.idleTimeoutSeconds).toBeUndefined()
  })

  it('is small, plain text whatever it is given, and reads itself back', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true }), (received) => {
        const parsed = parseRuntimeMetadata(received)
        if (parsed === undefined) return
        const stored = JSON.stringify(storedRuntimeMetadata(parsed))
        expect(stored.length).toBeLessThan(8192)
        expect(stored).toMatch(/^[\x20-\x7e]*$/)
        expect(parseRuntimeMetadata(JSON.parse(stored))).toEqual(parsed)
      }),
    )
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`c${n}`, true]))
    expect(parseRuntimeMetadata({ capabilities: many })?.capabilities).toHaveLength(64)
  })
})
