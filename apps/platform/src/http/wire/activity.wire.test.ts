import { describe, expect, it } from 'vitest'
import { parseActivityQuery, renderActivityFrame } from './activity.wire.ts'

const parsed = (query: Readonly<Record<string, string>>) =>
  parseActivityQuery((name) => query[name])

describe('parseActivityQuery', () => {
  it('gives what is asked for up to what the platform does for anybody', () => {
    const { limit, waitMs, sinceSeconds } = parsed({
      limit: '9'.repeat(20),
      wait: '61',
      since_secs: '2592001',
    })
    expect({ limit, waitMs, sinceSeconds }).toEqual({
      limit: 500,
      waitMs: 60_000,
      sinceSeconds: 2_592_000,
    })
  })
})

describe('a sign of life', () => {
  it('carries the id of what was passed over in a block that is no event', () => {
    expect(renderActivityFrame({ kind: 'silence', id: 'x' })).toBe(': keep-alive\nid: x\n\n')
    expect(renderActivityFrame({ kind: 'silence' })).toBe(': keep-alive\n\n')
  })
})
