import { describe, expect, it } from 'vitest'
import {
  AppError,
  describeFailure,
  ERROR_TABLE,
  type ErrorCode,
  findAppError,
} from './app-error.ts'

const CONTEXT = { hop: 'platform', requestId: 'request-1' } as const

describe('ERROR_TABLE', () => {
  it.each(Object.entries(ERROR_TABLE))('%s can be shown to anybody', (code, entry) => {
    expect(code).toMatch(/^[a-z][a-z0-9_]*$/)
    expect(entry.text).toMatch(/\S/)
    expect(entry.text).not.toMatch(/[\n{}<>]|\bat \/|Error:/)
  })

  it('gives a time to wait only where waiting helps', () => {
    for (const [code, entry] of Object.entries(ERROR_TABLE)) {
      if ('retryAfterSeconds' in entry) expect(entry.retryable, code).toBe(true)
    }
  })

  it.each<[ErrorCode, number, string]>([
    ['path_required', 400, 'path query required'],
    ['path_not_absolute', 400, 'path must be absolute'],
    ['path_outside_roots', 400, 'path must be under /configs, /workspace, /home, or /plugins'],
    ['invalid_path', 400, 'invalid path'],
    ['not_a_regular_file', 400, 'path is not a regular file'],
    ['file_not_found', 404, 'file not found'],
    ['unauthorized', 401, 'unauthorized'],
    ['declared_length_exceeds_total', 413, 'request body exceeds total limit (50 MB)'],
    ['total_limit_exceeded', 413, 'total request body exceeds limit (50 MB)'],
    ['multipart_malformed', 400, 'failed to parse multipart form'],
    ['files_field_missing', 400, "expected at least one 'files' field"],
    ['uploads_dir_failed', 500, 'failed to prepare uploads dir'],
    ['upload_collision', 500, 'internal collision; retry'],
    ['upload_write_failed', 500, 'failed to write file'],
    ['invalid_workspace_id', 400, 'invalid workspace ID'],
  ])('keeps the contract’s words for %s', (code, status, text) => {
    expect(ERROR_TABLE[code]).toMatchObject({ status, text })
  })

  it('names in the 503 of a missing secret what clients look for (contract/platform 6.1)', () => {
    expect(ERROR_TABLE.inbound_secret_minted.text).toMatch(/retry.*30/)
    expect(ERROR_TABLE.inbound_secret_minted.retryAfterSeconds).toBe(30)
    expect(ERROR_TABLE.inbound_secret_unavailable.text).toMatch(/RFC #2312.*Reprovision/)
  })
})

describe('describeFailure', () => {
  it('shows the table’s text, code, hop and request id', () => {
    expect(describeFailure(new AppError('file_not_found'), CONTEXT)).toEqual({
      status: 404,
      headers: {},
      body: {
        error: 'file not found',
        code: 'file_not_found',
        hop: 'platform',
        retryable: false,
        request_id: 'request-1',
      },
    })
  })

  it('says how long to wait in the header and under both names', () => {
    const failure = describeFailure(new AppError('inbound_secret_minted'), CONTEXT)
    expect(failure.headers).toEqual({ 'Retry-After': '30' })
    expect(failure.body).toMatchObject({
      retry_after: 30,
      retry_after_seconds: 30,
      retryable: true,
    })
  })

  it('prefers the fixed hop of a code to the process that renders it', () => {
    expect(describeFailure(new AppError('workspace_timeout'), CONTEXT).body.hop).toBe('workspace')
  })

  it('uses the words that were given instead of the table’s', () => {
    const error = new AppError('file_limit_exceeded', { message: 'a.bin exceeds per-file limit' })
    expect(describeFailure(error, CONTEXT).body.error).toBe('a.bin exceeds per-file limit')
  })

  it('adds extensions and headers, but lets nobody replace the request id', () => {
    const error = new AppError('range_not_satisfiable', {
      extensions: { limit: 5, request_id: 'forged' },
      headers: { 'Content-Range': 'bytes */5' },
    })
    const failure = describeFailure(error, CONTEXT)
    expect(failure.headers).toEqual({ 'Content-Range': 'bytes */5' })
    expect(failure.body).toMatchObject({ limit: 5, request_id: 'request-1' })
  })

  it('never shows what is internal, nor a cause', () => {
    const error = new AppError('upload_write_failed', {
      internal: 'EIO at /srv/secret-place',
      cause: new Error('EIO /srv/secret-place'),
    })
    expect(error.message).toContain('secret-place')
    expect(JSON.stringify(describeFailure(error, CONTEXT))).not.toContain('secret-place')
  })

  it.each([new Error('SELECT secret'), 'text', null, undefined, { status: 200, error: 'secret' }])(
    'turns %o, which is no failure of ours, into an internal error',
    (thrown) => {
      const failure = describeFailure(thrown, CONTEXT)
      expect(failure).toMatchObject({ status: 500, body: { code: 'internal' } })
      expect(JSON.stringify(failure)).not.toContain('secret')
    },
  )
})

describe('findAppError', () => {
  const error = new AppError('total_limit_exceeded')

  it('finds it behind what a stream or client library wrapped around it', () => {
    expect(findAppError(error)).toBe(error)
    expect(findAppError(new TypeError('terminated', { cause: error }))).toBe(error)
    const twice = new Error('outer', { cause: new Error('inner', { cause: error }) })
    expect(findAppError(twice)).toBe(error)
  })

  it('takes the outermost of two', () => {
    const outer = new AppError('invalid_request_body', { cause: error })
    expect(findAppError(outer)).toBe(outer)
  })

  it('ends on a chain that runs in a circle', () => {
    const circle = new Error('circle')
    circle.cause = circle
    expect(findAppError(circle)).toBeUndefined()
  })
})
