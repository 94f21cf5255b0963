import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LastBytes } from './last-bytes.ts'

describe('LastBytes', () => {
  it('gives the end of everything that was added, however it was cut', () => {
    const pieces = fc.array(fc.uint8Array({ maxLength: 50 }))
    fc.assert(
      fc.property(pieces, fc.nat(200), (parts, maxBytes) => {
        const last = new LastBytes(maxBytes)
        for (const part of parts) last.add(Buffer.from(part))
        const all = Buffer.concat(parts)
        const expected = all.subarray(Math.max(0, all.length - maxBytes))
        expect(last.take().equals(expected)).toBe(true)
        expect(last.take().equals(expected)).toBe(true)
      }),
    )
  })

  it('holds a bounded part of a stream without end', () => {
    const last = new LastBytes(10)
    for (let index = 0; index < 100_000; index += 1) last.add(Buffer.from('0123456789abcdef'))
    expect(last.take().toString()).toBe('6789abcdef')
  })
})
