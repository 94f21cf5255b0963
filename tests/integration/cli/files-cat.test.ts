import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { sendJson } from '../../support/stand-in-platform.ts'
import { files, here, inTurn, preview, sendContent, serveRoute } from './files-scene.ts'
import { endServedPlatforms, platform } from './served-platform.ts'

endServedPlatforms()

describe('atrium files cat', () => {
  it('passes the bytes of a file into a pipe', async () => {
    const content = randomBytes(100_000)
    const queries = await serveRoute('files/download', ({ response }) => {
      response.writeHead(200, { 'content-length': content.length })
      response.end(content)
    })
    const run = await files(['cat', here('a.bin/')])
    expect([run.exitCode, run.stderr]).toEqual([0, ''])
    expect(run.stdoutBytes.equals(content)).toBe(true)
    expect(queries).toEqual([{ path: '/workspace/a.bin' }])
  })

  it('passes those of a session, window after window', async () => {
    const content = randomBytes(2500)
    const queries = await serveRoute('sessions/0a1b2c3/files/download', (exchange) =>
      sendContent(exchange, content),
    )
    const run = await files(['cat', here('./a.bin'), '--session', '0a1b2c3'])
    expect(run.stdoutBytes.equals(content)).toBe(true)
    expect(queries.map(({ offset }) => offset)).toEqual(['0', '1000', '2000'])
  })

  it('shows a terminal the text without what it would obey', async () => {
    const windows = [
      preview('one\u001b]0;ow', { size: 20, next_offset: 10, truncated: true }),
      preview('ned\u0007\u001b[2Jtwo\n', { size: 20, offset: 10, next_offset: 20 }),
    ]
    const queries = await serveRoute('files/preview', inTurn(...windows))
    const run = await files(['cat', here('a')], { isTTY: true })
    expect([run.exitCode, run.stdout]).toEqual([0, 'onenedtwo\n'])
    expect(queries.map(({ offset }) => offset)).toEqual(['0', '10'])
  })

  it.each([
    ['a terminal', [], true],
    ['--tail', ['--tail', '10'], false],
  ])('says for %s that a binary file has no text', async (_what, args, isTTY) => {
    await serveRoute('files/preview', inTurn(preview(null)))
    const run = await files(['cat', here('a'), ...args], { isTTY })
    expect([run.exitCode, run.stdout]).toEqual([1, ''])
    expect(run.stderr).toContain('the file is binary')
    expect(run.stderr).toContain('atrium files get')
  })

  it.each([
    [['--head', '10'], [{ path: '/workspace/a', offset: '0', limit: '10' }], '1\n2\n3\n4\n'],
    [['--tail', '10'], [{ path: '/workspace/a', tail: '10' }], '1\n2\n3\n4\n'],
    [['--tail', '10', '-n', '2'], [{ path: '/workspace/a', tail: '10' }], '3\n4\n'],
    [['-n', '2'], [{ path: '/workspace/a', offset: '0', limit: '1048576' }], '1\n2\n'],
  ])('prints of a file what %j asks for', async (args, expected, text) => {
    const queries = await serveRoute('files/preview', inTurn(preview('1\n2\n3\n4\n')))
    const run = await files(['cat', here('a'), ...args])
    expect([run.exitCode, run.stdout]).toEqual([0, text])
    expect(queries).toEqual(expected)
  })

  it('counts lines across windows, and asks for none that nobody reads', async () => {
    const queries = await serveRoute(
      'files/preview',
      inTurn(
        preview('1\n2', { size: 30, next_offset: 10, truncated: true }),
        preview('2\n3\n4\n', { size: 30, offset: 10, next_offset: 20, truncated: true }),
      ),
    )
    expect((await files(['cat', here('a'), '-n', '3'])).stdout).toBe('1\n22\n3\n')
    expect(queries).toHaveLength(2)
  })

  it('writes the windows as lines of JSON, for a binary file as well', async () => {
    const binary = preview(null, { size: 100, next_offset: 10, truncated: true })
    const queries = await serveRoute('files/preview', inTurn(binary))
    const run = await files(['cat', here('a'), '--json'])
    expect([run.exitCode, JSON.parse(run.stdout)]).toEqual([0, binary])
    expect(queries).toHaveLength(1)
  })

  it.each([
    [
      'changes',
      { version: 'v2', offset: 10, next_offset: 20 },
      'the file changed while it was read',
    ],
    ['stands still', { offset: 10, next_offset: 10 }, 'the same window again'],
  ])('ends when the file %s', async (_what, second, message) => {
    const first = { size: 30, next_offset: 10, truncated: true }
    await serveRoute(
      'files/preview',
      inTurn(preview('a', first), preview('b', { ...first, ...second })),
    )
    const run = await files(['cat', here('a')], { isTTY: true })
    expect(run.exitCode).toBe(1)
    expect(run.stderr).toContain(message)
  })

  it.each([
    ['both ends', [here('a'), '--head', '1', '--tail', '1']],
    ['more than a window', [here('a'), '--tail', '1048577']],
    ['no file', [here(), '--session', '0a1b2c3']],
  ])('refuses %s before anything is asked', async (_what, args) => {
    await serveRoute('files/preview', inTurn(preview('a')))
    expect((await files(['cat', ...args])).exitCode).toBe(2)
    expect(platform?.seen).toEqual([])
  })

  it('ends with 3 for what is not there, and with 1 for what nobody may read', async () => {
    let answer = { error: 'file not found', code: 'file_not_found', retryable: false }
    let status = 404
    await serveRoute('files/download', ({ response }) => sendJson(response, answer, status))
    expect((await files(['cat', here('a')])).exitCode).toBe(3)
    answer = { error: 'file is not readable', code: 'file_forbidden', retryable: false }
    status = 403
    const run = await files(['cat', here('a')])
    expect(run.exitCode).toBe(1)
    expect(run.stderr).not.toContain('ATRIUM_TOKEN')
  })
})
