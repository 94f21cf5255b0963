import { describe, expect, it } from 'vitest'
import { requestIdFrom } from './request-id.ts'

const ids = { uuid: () => 'fresh', hex: () => '', bearerValue: () => '' }

describe('requestIdFrom', () => {
  it.each(['abcdefgh', '0a1b-2c3d_4e.5f', 'x'.repeat(64)])('keeps the harmless %j', (id) => {
    expect(requestIdFrom(id, ids)).toBe(id)
  })

  it.each([
    undefined,
    '',
    'short',
    'x'.repeat(65),
    'with space',
    'line\nbreak',
    'é'.repeat(9),
    'a"b{c}d:e',
  ])('replaces %j', (id) => {
    expect(requestIdFrom(id, ids)).toBe('fresh')
  })
})
