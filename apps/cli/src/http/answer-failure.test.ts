import { describe, expect, it } from 'vitest'
import { answerFailure } from './answer-failure.ts'

describe('answerFailure', () => {
  it.each([
    [404, { error: 'workspace not found', code: 'workspace_not_found', retryable: false }, 3],
    [401, { error: 'missing workspace auth token' }, 4],
    [403, { error: 'host not allowed' }, 4],
    [403, { error: 'file is not readable', code: 'file_forbidden', retryable: false }, 1],
    [413, { error: 'too large', retryable: false }, 1],
    [409, { error: 'confirm' }, 1],
    [502, { error: 'workspace unreachable', retryable: true }, 5],
    [502, { error: 'redirected', retryable: false }, 1],
    [503, { error: 'Reprovision', retryable: false }, 1],
    [503, 'an HTML page', 5],
    [504, undefined, 5],
    [500, { error: 'internal error' }, 1],
  ])('ends status %i with %j as exit code', (status, body, exitCode) => {
    expect(answerFailure({ status, body }).exitCode).toBe(exitCode)
  })

  it.each([
    ['not_a_directory', 400, /cat/],
    ['is_a_directory', 400, /ls/],
    ['missing_token', 401, /ATRIUM_TOKEN/],
  ])('says for %s what would help', (code, status, hint) => {
    expect(answerFailure({ status, body: { error: 'x', code } }).facts.hint).toMatch(hint)
  })

  it.each([
    ['file_forbidden', 403],
    ['constructor', 400],
  ])('has no advice for %s', (code, status) => {
    expect(answerFailure({ status, body: { error: 'x', code } }).facts.hint).toBeUndefined()
  })

  it('keeps the facts of the failure contract', () => {
    const failure = answerFailure({
      status: 503,
      body: {
        error: 'retry in 30 seconds',
        code: 'inbound_secret_minted',
        hop: 'platform',
        retryable: true,
        retry_after: 30,
        retry_after_seconds: 30,
        request_id: 'req-1',
      },
    })
    expect(failure.message).toBe('retry in 30 seconds')
    expect(failure.facts).toMatchObject({
      status: 503,
      code: 'inbound_secret_minted',
      hop: 'platform',
      retryable: true,
      retryAfterSeconds: 30,
      requestId: 'req-1',
    })
  })

  it('reads the same object out of a JSON-RPC error', () => {
    const body = {
      jsonrpc: '2.0',
      id: 1,
      error: {
        code: -32000,
        message: 'failed',
        data: { code: 'agent_unreachable', retryable: true },
      },
    }
    const failure = answerFailure({ status: 502, body })
    expect(failure.message).toBe('failed')
    expect(failure.facts.code).toBe('agent_unreachable')
    expect(failure.exitCode).toBe(5)
  })

  it('takes the header when the body says nothing about waiting', () => {
    expect(answerFailure({ status: 503, body: {}, retryAfterSeconds: 5 }).facts).toMatchObject({
      retryAfterSeconds: 5,
    })
  })

  it('disarms and bounds the text, which may come from a workspace', () => {
    const failure = answerFailure({
      status: 400,
      body: { error: `\u001b[31m${'x'.repeat(5000)}\nsecond line` },
    })
    expect(failure.message).not.toContain('\u001b')
    expect(failure.message).not.toContain('\n')
    expect(failure.message.length).toBeLessThan(600)
  })
})
