import { describe, expect, it } from 'vitest'
import {
  encodeCursor,
  parseArchiveFormat,
  parseContentWindow,
  parseListPage,
  parsePreviewWindow,
} from './inspection-query.ts'

function reading(query: string): (name: string) => readonly string[] {
  const parameters = new URLSearchParams(query)
  return (name) => parameters.getAll(name)
}

describe('a page of a folder', () => {
  it('is the first thousand unless asked otherwise', () => {
    expect(parseListPage(reading(''))).toEqual({
      ok: true,
      value: { limit: 1000, after: undefined },
    })
    expect(parseListPage(reading('limit=1'))).toMatchObject({ ok: true, value: { limit: 1 } })
  })

  it.each(['0', '1001', '-1', '1.5', '', ' 1', '1e2', '0x10', '1&limit=1'])(
    'has no limit of %s',
    (limit) => {
      expect(parseListPage(reading(`limit=${limit}`))).toMatchObject({ ok: false })
    },
  )

  it.each([
    Buffer.from('a'),
    Buffer.from('naïve.txt'),
    Buffer.from([0xff, 0x80]),
    Buffer.alloc(255, 1),
  ])('goes on behind %j', (name) => {
    expect(parseListPage(reading(`cursor=${encodeCursor(name)}`))).toEqual({
      ok: true,
      value: { limit: 1000, after: name },
    })
  })

  it.each([
    ['nothing', ''],
    ['not base64url', 'a+b/'],
    ['padding', 'YQ=='],
    ['spare bits', 'YR'],
    ['a path', encodeCursor(Buffer.from('a/b'))],
    ['NUL', encodeCursor(Buffer.from('a\0'))],
    ['too long a name', encodeCursor(Buffer.alloc(256, 97))],
    ['two', 'YQ&cursor=YQ'],
  ])('has no cursor of %s', (_what, cursor) => {
    expect(parseListPage(reading(`cursor=${cursor}`))).toMatchObject({ ok: false })
  })
})

describe('a window of a file', () => {
  it('is its first 256 KiB unless asked otherwise', () => {
    expect(parsePreviewWindow(reading(''))).toEqual({
      ok: true,
      value: { offset: 0, limit: 262_144 },
    })
    expect(parsePreviewWindow(reading('offset=7&limit=1048576'))).toEqual({
      ok: true,
      value: { offset: 7, limit: 1_048_576 },
    })
    expect(parsePreviewWindow(reading('tail=9'))).toEqual({ ok: true, value: { tail: 9 } })
  })

  it.each([
    'limit=1048577',
    'limit=0',
    'tail=0',
    'tail=1&offset=0',
    'tail=1&limit=1',
    'offset=-1',
    'offset=9007199254740992',
  ])('is not %s', (query) => {
    expect(parsePreviewWindow(reading(query))).toMatchObject({ ok: false })
  })

  it('is 8 MiB of a session', () => {
    expect(parseContentWindow(reading('offset=3'))).toEqual({
      ok: true,
      value: { offset: 3, limit: 8_388_608 },
    })
    expect(parseContentWindow(reading('offset=x'))).toMatchObject({ ok: false })
  })
})

describe('an archive', () => {
  it('is a tar unless asked otherwise', () => {
    expect(parseArchiveFormat(reading(''))).toEqual({ ok: true, value: 'tar' })
    expect(parseArchiveFormat(reading('format=zip'))).toEqual({ ok: true, value: 'zip' })
    expect(parseArchiveFormat(reading('format=rar'))).toMatchObject({ ok: false })
  })
})
