/** What a failure below HTTP says: who could not be reached has provably seen nothing. */
import { AppError } from '@atrium/http-kit/app-error'
import { errors } from 'undici'
import { expect, it } from 'vitest'
import { agentFailure } from './agent-client.ts'

const failed = (code: string) => Object.assign(new Error(code), { code })
const connecting = (code: string) => Object.assign(failed(code), { syscall: 'connect' })
/** The addresses of a name one after the other: the system names the first failure only. */
const tried = (first: string, second: string) =>
  Object.assign(new AggregateError([connecting(first), connecting(second)], first), { code: first })

it.each([
  ...['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'].map(failed),
  new errors.ConnectTimeoutError(),
  connecting('ETIMEDOUT'),
  tried('ETIMEDOUT', 'ECONNREFUSED'),
  tried('ECONNREFUSED', 'ENETUNREACH'),
])('%s is nobody who could have seen the request', (error) => {
  const { code, extensions } = agentFailure(error)
  expect([code, extensions]).toEqual(['agent_unreachable', { undelivered: true }])
})

it.each([
  ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED'].map(failed),
  new errors.SocketError('other side closed'),
  new Error('whatever'),
  undefined,
  new AggregateError([], 'none'),
  tried('ECONNREFUSED', 'ECONNRESET'),
])('%s may have come after it', (error) => {
  const { code, extensions } = agentFailure(error)
  expect([code, extensions]).toEqual(['agent_unreachable', {}])
})

it.each([
  ['workspace_timeout', new errors.HeadersTimeoutError()],
  ['workspace_timeout', new errors.BodyTimeoutError()],
  ['workspace_invalid_response', new errors.HTTPParserError()],
  ['workspace_invalid_response', new errors.HeadersOverflowError()],
  ['workspace_invalid_response', new errors.ResponseContentLengthMismatchError()],
  ['agent_url_not_routable', new AppError('agent_url_not_routable')],
  ['workspace_redirected', new Error('outer', { cause: new AppError('workspace_redirected') })],
])('is told as %s', (code, error) => {
  expect(agentFailure(error)).toMatchObject({ code, extensions: {} })
})
