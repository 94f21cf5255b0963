import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseRuntimeMetadata, storedRuntimeMetadata } from './runtime-metadata.ts'

const anything = fc.anything({ withNullPrototype: true })
const figure = fc.oneof(fc.nat(), fc.double(), anything)
const sweep = fc.record({ seconds_ago: figure, removed: figure, failed: figure })
const metadata = fc.oneof(anything, fc.record({ upload_sweep: sweep, capabilities: anything }))

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
    expect(parseRuntimeMetadata({})).toEqual({
      capabilities: [],
      idleTimeoutSeconds: undefined,
      uploadSweep: undefined,
    })
  })

  it.each([0, -1, 1.5, Number.NaN, '900', null])('ignores an idle timeout of %j', (idle) => {
    expect(parseRuntimeMetadata({ idle_timeout_seconds: idle })?.idleTimeoutSeconds).toBeUndefined()
  })

  it('keeps the last sweep of the upload folder, bounded and without anything else', () => {
    const said = { seconds_ago: 1e300, removed: 2, failed: 0, path: '/etc' }
    expect(parseRuntimeMetadata({ upload_sweep: said })?.uploadSweep).toEqual({
      seconds_ago: 2_147_483_647,
      removed: 2,
      failed: 0,
    })
  })

  it.each([
    [{ seconds_ago: 1, removed: 2 }],
    [{ seconds_ago: -1, removed: 2, failed: 0 }],
    [{ seconds_ago: 1, removed: 1.5, failed: 0 }],
    [{ seconds_ago: 1, removed: 2, failed: true }],
    [{ seconds_ago: '1', removed: 2, failed: 0 }],
    [[1, 2, 3]],
    ['swept'],
    [null],
  ])('ignores %j as a sweep', (sweep) => {
    expect(parseRuntimeMetadata({ upload_sweep: sweep })?.uploadSweep).toBeUndefined()
  })

  it('takes a minus zero, which JSON can say, for the zero it is', () => {
    const said: unknown = JSON.parse('{"upload_sweep":{"seconds_ago":-0,"removed":-0,"failed":-0}}')
    const zeros = { seconds_ago: 0, removed: 0, failed: 0 }
    expect(parseRuntimeMetadata(said)?.uploadSweep).toStrictEqual(zeros)
  })

  it('is small, plain text whatever it is given, and reads itself back', () => {
    fc.assert(
      fc.property(metadata, (received) => {
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
