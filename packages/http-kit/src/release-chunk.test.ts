import { describe, expect, it } from 'vitest'
import { releaseChunk } from './release-chunk.ts'

describe('releaseChunk', () => {
  it('frees a piece that has its memory to itself', () => {
    const chunk = Buffer.allocUnsafeSlow(64 * 1024)
    releaseChunk(chunk)
    expect(chunk.length).toBe(0)
  })

  it('leaves a part of something larger alone', () => {
    const whole = Buffer.allocUnsafeSlow(128 * 1024)
    releaseChunk(whole.subarray(0, 64 * 1024))
    expect(whole.length).toBe(128 * 1024)
  })

  it('leaves small pieces and the shared pool alone', () => {
    const small = Buffer.allocUnsafeSlow(512)
    const pooled = Buffer.from('from the pool')
    releaseChunk(small)
    releaseChunk(pooled)
    expect([small.length, pooled.toString()]).toEqual([512, 'from the pool'])
  })
})
