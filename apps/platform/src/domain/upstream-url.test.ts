import { describe, expect, it } from 'vitest'
import { urlBelow } from './upstream-url.ts'

describe('urlBelow', () => {
  it('joins with exactly one slash and drops query and fragment of the endpoint', () => {
    for (const endpoint of ['http://h:1', 'http://h:1/', 'http://h:1//', 'http://h:1/?a=b#c']) {
      expect(urlBelow(new URL(endpoint), '/internal/x').href).toBe('http://h:1/internal/x')
    }
    expect(urlBelow(new URL('http://h/base/'), '/x').href).toBe('http://h/base/x')
  })

  it.each(['/workspace/100%.txt', '/workspace/a+b&c=d?#e', '/home/ü 報', '/workspace/%2e%2e'])(
    'brings %s back unchanged on the other side',
    (path) => {
      const url = new URL(urlBelow(new URL('http://h'), '/r', { path }).href)
      expect(url.searchParams.getAll('path')).toEqual([path])
    },
  )
})
