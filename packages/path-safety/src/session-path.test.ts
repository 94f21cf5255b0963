import { describe, expect, it } from 'vitest'
import { isSessionId, parseSessionPath } from './session-path.ts'

describe('session ids', () => {
  it.each(['abc1234', '0000000', 'fffffff'])('takes %s', (id) => {
    expect(isSessionId(id)).toBe(true)
  })

  it.each(['', 'abc123', 'abc12345', 'ABC1234', 'abc123g', 'abc1234\n', '../abc1', ' abc1234'])(
    'refuses %j',
    (id) => {
      expect(isSessionId(id)).toBe(false)
    },
  )
})

describe('session paths', () => {
  it.each([
    ['', '.', []],
    ['  ', '.', []],
    ['.', '.', []],
    ['./', '.', []],
    ['a', 'a', ['a']],
    [' a/b ', 'a/b', ['a', 'b']],
    ['a/', 'a/', ['a']],
    ['a//b/./c', 'a//b/./c', ['a', 'b', 'c']],
    ['a..b/..c/d..', 'a..b/..c/d..', ['a..b', '..c', 'd..']],
    ['./~x', './~x', ['~x']],
    ['./ x /', './ x /', [' x ']],
    ['a/~', 'a/~', ['a', '~']],
    ['a\u007fb', 'a\u007fb', ['a\u007fb']],
    ['%2e%2e/x', '%2e%2e/x', ['%2e%2e', 'x']],
    ['a\\\\..', 'a\\\\..', ['a\\\\..']],
  ])('takes %j', (text, echo, segments) => {
    expect(parseSessionPath([text])).toMatchObject({ ok: true, path: { echo, segments } })
  })

  it('takes no value for the folder itself', () => {
    expect(parseSessionPath([])).toMatchObject({ ok: true, path: { echo: '.', segments: [] } })
  })

  it.each([
    ['/a', 'path must be relative to the workspace'],
    [' /a', 'path must be relative to the workspace'],
    ['~', 'path must be relative to the workspace'],
    ['~root/a', 'path must be relative to the workspace'],
    ['/a\u0000', 'path must be relative to the workspace'],
    ['a\u0000b', 'path contains control characters'],
    ['a\nb', 'path contains control characters'],
    ['../\u001f', 'path contains control characters'],
    ['..', 'path must not traverse outside the workspace'],
    ['a/..', 'path must not traverse outside the workspace'],
    ['a/../b', 'path must not traverse outside the workspace'],
    ['./..', 'path must not traverse outside the workspace'],
  ])('refuses %j', (text, message) => {
    expect(parseSessionPath([text])).toEqual({ ok: false, code: 'invalid_path', message })
  })

  it('refuses a path that is given twice', () => {
    expect(parseSessionPath(['a', 'a'])).toMatchObject({ ok: false, code: 'invalid_path' })
  })

  it('knows that no file system has a name of 256 bytes, or a path of 4096', () => {
    const message = 'path not found in workspace'
    const longest = 'ä'.repeat(127)
    expect(parseSessionPath([`${longest}a`])).toMatchObject({ ok: true })
    expect(parseSessionPath([`${longest}aa`])).toEqual({ ok: false, code: 'not_found', message })
    expect(parseSessionPath(['a/'.repeat(2047)])).toMatchObject({ ok: true })
    expect(parseSessionPath(['a/'.repeat(2048)])).toEqual({ ok: false, code: 'not_found', message })
  })
})
