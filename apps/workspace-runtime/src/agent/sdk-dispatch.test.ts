import type { A2ARequestHandler } from '@a2a-js/sdk/server'
import { methodTraits } from '@atrium/a2a-schema/method'
import pino from 'pino'
import { describe, expect, it } from 'vitest'
import { SdkDispatch } from './sdk-dispatch.ts'

describe('SdkDispatch', () => {
  it.each(['GetTask', 'tasks/get'])('tells nobody what went wrong inside of %s', async (method) => {
    const lines: string[] = []
    const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) })
    const handler = {
      getAgentCard: async () => ({ capabilities: {} }),
      getTask: () => Promise.reject(new TypeError('cannot read /configs/.auth_token')),
    } as unknown as A2ARequestHandler
    const params = { id: 't' }
    const envelope = { jsonrpc: '2.0', id: 7, method, params }
    const request = { id: 7, method, params, envelope, wasWrapped: false }
    const answer = await new SdkDispatch(handler, log).answer({
      request,
      traits: methodTraits(method),
      requestId: 'r-1',
      state: undefined,
    })
    const body = answer.kind === 'json' ? answer.body : ''
    expect(JSON.parse(body)).toMatchObject({
      id: 7,
      error: { code: -32603, message: 'internal error' },
    })
    expect(body).not.toContain('.auth_token')
    expect(lines.join()).toContain('a2a.sdk_failed')
  })
})
