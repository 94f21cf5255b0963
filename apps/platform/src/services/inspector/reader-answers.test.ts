import { AppError } from '@atrium/http-kit/app-error'
import { describe, expect, it } from 'vitest'
import { fileContentOf, filePreviewOf, folderPageOf, throwRefusal } from './reader-answers.ts'

const PAGE = { limit: 3, after: undefined }
const WINDOW = { offset: 0, limit: 5 }
const VERSION = 'abc123'

function blob(answer: Record<string, unknown>, payload: string | Buffer = '') {
  return { answer, payload: Buffer.from(payload) }
}

function failureOf(work: () => unknown): AppError {
  try {
    work()
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('it was believed')
}

describe('throwRefusal', () => {
  it.each([
    ['workspace_not_found', 404, 'workspace does not exist'],
    ['not_found', 404, 'path not found in workspace'],
    ['path_escape', 400, 'path escapes the workspace'],
    ['not_a_directory', 400, 'path is not a directory'],
    ['is_a_directory', 400, 'path is a directory'],
    ['bad_op', 400, 'unsupported operation'],
    ['file_forbidden', 403, 'file is not readable'],
    ['not_a_regular_file', 400, 'path is not a regular file'],
    ['stat_failed', 500, 'stat failed'],
  ])('maps %s to its status and words', (code, status, words) => {
    const failure = failureOf(() => throwRefusal(blob({ error: code })))
    expect(failure).toMatchObject({ code, status, publicText: words })
  })

  it('answers a code that it does not know with 400 and the code', () => {
    const failure = failureOf(() => throwRefusal(blob({ error: 'on_fire' })))
    expect(failure).toMatchObject({ status: 400, publicText: 'on_fire' })
    const inherited = failureOf(() => throwRefusal(blob({ error: 'constructor' })))
    expect(inherited).toMatchObject({ status: 400, publicText: 'constructor' })
  })

  it.each([[7], [null], ['<b>'], ['x'.repeat(65)], [{}]])('takes %j for no code', (error) => {
    expect(failureOf(() => throwRefusal(blob({ error }))).code).toBe('reader_failed')
  })
})

describe('folderPageOf', () => {
  const entry = ['file', 1, 2, 0o644]
  const listed = (names: string | Buffer, more: Record<string, unknown> = {}) => {
    const count = Buffer.from(names).toString('latin1').split('\0').length
    const entries = names.length === 0 ? [] : Array.from({ length: count }, () => entry)
    return blob({ entries, truncated: false, last: '', ...more }, names)
  }

  it('makes entries of names and facts, in lenient integers', () => {
    const entries = [['dir', '4096', -1, 0o40755]]
    expect(folderPageOf('x', PAGE, listed('sub', { entries }))).toEqual({
      path: 'x',
      entries: [{ name: 'sub', type: 'dir', size: 4096, mtime: -1, mode: 0o755 }],
      truncated: false,
      next_cursor: null,
    })
  })

  it('shows the bytes of a name that is not UTF-8', () => {
    const page = folderPageOf('.', PAGE, listed(Buffer.from([0x61, 0xff])))
    expect(page.entries[0]).toMatchObject({ name: 'a\ufffd', name_base64: 'Yf8=' })
  })

  it('goes on behind the last name that was looked at, also when nothing is left of a page', () => {
    const last = Buffer.from('gone').toString('base64')
    const page = folderPageOf('.', PAGE, listed('', { truncated: true, last }))
    expect(page).toMatchObject({ entries: [], truncated: true, next_cursor: 'Z29uZQ' })
  })

  it.each([
    ['a name with a slash', listed('a/b')],
    ['a dot', listed('.')],
    ['two dots', listed('a\0..')],
    ['an empty name', listed('a\0')],
    ['a long name', listed('x'.repeat(256))],
    ['the same name twice', listed('a\0a')],
    ['names out of order', listed('b\0a')],
    ['more names than asked for', listed('a\0b\0c\0d')],
    ['more names than entries', blob({ entries: [entry], truncated: false, last: '' }, 'a\0b')],
    ['a type of its own', listed('a', { entries: [['socket', 1, 2, 3]] })],
    ['a negative size', listed('a', { entries: [['file', -1, 2, 3]] })],
    ['a size that is no number', listed('a', { entries: [['file', 'big', 2, 3]] })],
    ['more to come and no place', listed('a', { truncated: true })],
    ['a place before its last name', listed('b', { truncated: true, last: 'YQ==' })],
    ['no entries', blob({ truncated: false, last: '' })],
  ])('believes nothing of an answer with %s', (_, answer) => {
    expect(failureOf(() => folderPageOf('.', PAGE, answer)).code).toBe('reader_failed')
  })

  it('believes no name before the cursor', () => {
    const page = { limit: 3, after: Buffer.from('b') }
    expect(failureOf(() => folderPageOf('.', page, listed('b\0c'))).code).toBe('reader_failed')
  })
})

describe('filePreviewOf and fileContentOf', () => {
  const file = { size: 5, offset: 0, position: 0, version: VERSION, signature: 'aGE=' }

  it('shows a window as the runtime would', () => {
    expect(filePreviewOf('p', WINDOW, blob(file, 'hallo'))).toEqual({
      path: 'p',
      ...{ size: 5, offset: 0, next_offset: 5, truncated: false, binary: false },
      ...{ encoding: 'utf-8', text: 'hallo', lines: 1, version: VERSION },
    })
    expect(fileContentOf('p', WINDOW, blob(file, 'hallo'))).toEqual({
      path: 'p',
      ...{ size: 5, offset: 0, truncated: false, content_base64: 'aGFsbG8=', version: VERSION },
    })
  })

  it.each([
    ['less than the window', file, 'hall'],
    ['more than the file', file, 'hallo!'],
    ['another offset', { ...file, offset: 1 }, 'hallo'],
    ['another place', { ...file, position: 1 }, 'allo'],
    ['a size that is no number', { ...file, size: 'all' }, 'hallo'],
    ['words for a version', { ...file, version: '<script>' }, 'hallo'],
    ['no version', { ...file, version: undefined }, 'hallo'],
    ['a number for a version', { ...file, version: 7 }, 'hallo'],
  ])('believe nothing of an answer with %s', (_, answer, payload) => {
    const read = blob(answer, payload)
    expect(failureOf(() => filePreviewOf('p', WINDOW, read)).code).toBe('reader_failed')
    expect(failureOf(() => fileContentOf('p', WINDOW, read)).code).toBe('reader_failed')
  })
})
