import type { JsonObject } from '@atrium/a2a-schema/lossless-json'
import { describe, expect, it } from 'vitest'
import { queryParams, restRoute, rpcOf } from './rest-call.ts'

const called = (
  verb: string,
  path: string,
  said: { query?: JsonObject; body?: JsonObject } = {},
) => {
  const route = restRoute(verb, path)
  if (route === undefined) return undefined
  const { query = {}, body = {} } = said
  const { method, params } = rpcOf(route, { id: 'r', query, body })
  return [route.operation, method, params]
}
// What the official clients ask for is in tests/contract/a2a-rest-call.test.ts.
describe('a path of REST', () => {
  it.each([
    ['GET', 'tasks/a:b', 'get', 'GetTask', { id: 'a:b' }],
    ['GET', 'tasks/%zz%', 'get', 'GetTask', { id: '%zz%' }],
    ['POST', 'tasks/a:b:cancel', 'cancel', 'CancelTask', { id: 'a:b' }],
    ['GET', 'tasks/t:subscribe', 'subscribe', 'SubscribeToTask', { id: 't' }],
    ['POST', 'tasks/t:subscribe', 'subscribe', 'SubscribeToTask', { id: 't' }],
    ['GET', 'a%20b/tasks/t', 'get', 'GetTask', { id: 't', tenant: 'a b' }],
    ['GET', 'v1/tasks', 'list', 'tasks/list', {}],
    ['GET', 'v1/tasks/t:subscribe', 'subscribe', 'tasks/resubscribe', { id: 't' }],
    ['GET', 'v1/card', 'extended_card', 'agent/getAuthenticatedExtendedCard', {}],
  ])('%s %s', (verb, path, operation, method, params) => {
    expect(called(verb, path)).toEqual([operation, method, params])
  })

  it.each([
    ['GET', 'message:send'],
    ['DELETE', 'tasks/t'],
    ['POST', 'tasks/t'],
    ['GET', 'tasks/t:cancel/x'],
    ['GET', 'tasks/'],
    ['POST', 'v1/acme/message:send'],
    ['GET', 'acme/corp/tasks'],
    ['DELETE', 'tasks/t/pushNotificationConfigs'],
    ['GET', ''],
  ])('is none: %s %s', (verb, path) => {
    expect(called(verb, path)).toBeUndefined()
  })
})

describe('what is said', () => {
  it('in the query is read as what it is, in either spelling', () => {
    expect(
      queryParams({
        ...{ page_size: '5', historyLength: '0', include_artifacts: 'true', status: '7' },
        ...{ pageToken: '12', 'A2A-Version': '1.0', pageSize: 'many', includeArtifacts: 'yes' },
      }),
    ).toEqual({
      ...{ pageSize: 'many', historyLength: 0, includeArtifacts: 'yes', status: '7' },
      pageToken: '12',
    })
    expect(queryParams({ page_size: '5', include_artifacts: 'true' })).toEqual({
      ...{ pageSize: 5, includeArtifacts: true },
    })
  })

  it('in the path holds against the body, and the body against the query', () => {
    const said = { query: { id: 'q', x: 'q', y: 'q' }, body: { id: 'b', x: 'b', tenant: 'b' } }
    expect(called('POST', 'acme/tasks/t:cancel', said)).toEqual([
      ...['cancel', 'CancelTask'],
      { id: 't', x: 'b', y: 'q', tenant: 'acme' },
    ])
  })

  it('that is no object is for the gateway to refuse', () => {
    const route = restRoute('POST', 'message:send')
    if (route === undefined) throw new Error('no route')
    expect(rpcOf(route, { id: 'r', query: { a: 'b' }, body: [1] })).toMatchObject({ params: [1] })
  })
})
