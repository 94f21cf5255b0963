import { describe, expect, it } from 'vitest'
import { sendJson } from '../../support/stand-in-platform.ts'
import { entry, files, here, inTurn, serveRoute } from './files-scene.ts'
import { endServedPlatforms, platform } from './served-platform.ts'

endServedPlatforms()

const page = (names: readonly string[], cursor: string | null = null) => ({
  path: '/workspace',
  entries: names.map((name) => entry(name)),
  truncated: cursor !== null,
  next_cursor: cursor,
})

describe('atrium files ls', () => {
  it('prints nothing but names into a pipe, page after page', async () => {
    const queries = await serveRoute(
      'files',
      inTurn(page(['a', 'b'], 'Yg'), page(['c', 'd/'.slice(0, 1)])),
    )
    const run = await files(['ls', here()])
    expect([run.exitCode, run.stdout, run.stderr]).toEqual([0, 'a\nb\nc\nd\n', ''])
    expect(queries).toEqual([
      { path: '/workspace', limit: '1000' },
      { path: '/workspace', limit: '1000', cursor: 'Yg' },
    ])
  })

  it('marks folders and links for a person, and for a pipe that asks', async () => {
    const entries = [entry('a'), entry('d', { type: 'dir' }), entry('l', { type: 'symlink' })]
    await serveRoute('files', inTurn({ ...page([]), entries }))
    expect((await files(['ls', here()], { isTTY: true })).stdout).toBe('a\nd/\nl@\n')
    expect((await files(['ls', here()])).stdout).toBe('a\nd\nl\n')
    expect((await files(['ls', '-p', here()])).stdout).toBe('a\nd/\nl\n')
    expect((await files(['ls', '-1F', here()])).stdout).toBe('a\nd/\nl@\n')
    expect((await files(['ls', '-0', here()])).stdout).toBe('a\0d\0l\0')
    expect((await files(['ls', '-l', here()])).stdout).toMatch(
      /^-rw-r--r-- {2}3 B {2}2023-11-1\d \d\d:\d\d {2}a\nd/,
    )
  })

  it('asks for no more than it is to print', async () => {
    const queries = await serveRoute('files', inTurn(page(['a', 'b', 'c'], 'Yw')))
    const run = await files(['ls', here(), '--limit', '2'])
    expect(run.stdout).toBe('a\nb\n')
    expect(queries).toEqual([{ path: '/workspace', limit: '2' }])
  })

  it('writes a line of JSON for each entry', async () => {
    const odd = entry('a\ufffd\n', {
      name_base64: Buffer.from([0x61, 0xff, 0x0a]).toString('base64'),
    })
    await serveRoute('files', inTurn({ ...page([]), entries: [odd, entry('b')] }))
    const run = await files(['ls', here(), '--json'])
    const lines = run.stdout.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual([odd, entry('b')])
  })

  it('looks into the folder of a session', async () => {
    const queries = await serveRoute('sessions/0a1b2c3/files', inTurn(page(['a'])))
    const run = await files(['ls', here('sub/'), '--session', '0a1b2c3'])
    expect(run.stdout).toBe('a\n')
    expect(queries).toEqual([{ path: 'sub', limit: '1000' }])
  })

  it.each([
    ['no session id', ['--session', '../../x'], ''],
    ['an absolute path in a session', ['--session', '0a1b2c3'], '/workspace'],
    ['no limit', ['--limit', '0'], ''],
  ])('asks nothing when the command line has %s', async (_what, args, path) => {
    await serveRoute('files', inTurn(page([])))
    expect((await files(['ls', here(path), ...args])).exitCode).toBe(2)
    expect(platform?.seen).toEqual([])
  })

  it.each([
    ['a path for a name', { ...page([]), entries: [entry('../../etc')] }],
    [
      'a path for the bytes of one',
      { ...page([]), entries: [entry('x', { name_base64: 'Ly8=' })] },
    ],
    ['no bytes of a name', { ...page([]), entries: [entry('x', { name_base64: '' })] }],
    [
      'more bytes than a name has',
      { ...page([]), entries: [entry('x', { name_base64: 'eHh4'.repeat(86) })] },
    ],
    ['more than a mode', { ...page([]), entries: [entry('a', { mode: 0o10000 })] }],
    ['the folder above', { ...page([]), entries: [entry('..')] }],
    ['a type that there is not', { ...page([]), entries: [entry('a', { type: 'door' })] }],
    ['a time that no calendar has', { ...page([]), entries: [entry('a', { mtime: 1e15 })] }],
    ['more entries than a page has', page(Array.from({ length: 1001 }, (_, n) => `${1000 + n}`))],
    ['no object', []],
  ])('believes no workspace that answers %s', async (_what, answer) => {
    await serveRoute('files', inTurn(answer))
    const run = await files(['ls', here()])
    expect([run.exitCode, run.stdout]).toEqual([1, ''])
    expect(run.stderr).toBe('atrium: the workspace answered with something unexpected\n')
  })

  it.each([
    ['repeats its entries', [page(['a', 'b'], 'Yg'), page(['b', 'c'], 'Yw'), page(['d'])]],
    ['repeats its cursor', [page([], 'Yg'), page([], 'Yg')]],
  ])('ends when a workspace %s', async (_what, answers) => {
    await serveRoute('files', inTurn(...answers))
    const run = await files(['ls', here()])
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain('the same entries again')
  })

  it('waits for a workspace that is busy or asleep, and ends with 3 where there is no folder', async () => {
    let asked = 0
    await serveRoute('files', ({ response }) => {
      asked += 1
      if (asked === 1) {
        const body = {
          error: 'waking up',
          code: 'workspace_restarting',
          retryable: true,
          retry_after: 7,
        }
        return sendJson(response, body, 503)
      }
      sendJson(response, { error: 'file not found', code: 'file_not_found', retryable: false }, 404)
    })
    const run = await files(['ls', here('absent')])
    expect(run.sleptMs).toEqual([7000])
    expect(run.exitCode).toBe(3)
  })

  it('shows it none in JSON either, which says the same all the same', async () => {
    const odd = entry('\u009b2Jx\u202e')
    await serveRoute('files', inTurn({ ...page([]), entries: [odd] }))
    const run = await files(['ls', '--json', here()], { isTTY: true })
    expect(JSON.parse(run.stdout)).toEqual(odd)
    expect(run.stdout).toMatch(/^[\x20-\x7e]+\n$/)
  })

  it('shows a terminal nothing that it would obey', async () => {
    const hostile = '\u001b]0;owned\u0007\u001b[2Jx\u202e\r\n'
    await serveRoute('files', inTurn({ ...page([]), entries: [entry(hostile, { type: 'dir' })] }))
    const run = await files(['ls', '-l', here()], { isTTY: true })
    expect(run.stdout).toMatch(/ {2}\?]0;owned\?\?\[2Jx\?\?\?\/\n$/)
  })
})
