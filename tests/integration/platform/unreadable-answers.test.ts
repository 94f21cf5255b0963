/** Answers that are JSON, and that nobody can read: they are nested deeper than the stack. */
import { beforeEach, describe, expect, it } from 'vitest'
import { answerWith, message, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { platform } from '../../support/shared-platform.ts'

provideBoxedWorkspace({ ATRIUM_AGENT_TIMEOUT_MS: '3000' })

const DEEP = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
const TASK = `{"kind":"task","id":"t1","contextId":"c","status":{"state":"completed"},"metadata":{"x":${DEEP}}}`
const ANSWER = `{"jsonrpc":"2.0","id":7,"result":${TASK}}`
const below = (path: string) => `/a2a/${workspace.id}${path}`
const INVALID = { code: -32006 }

beforeEach(() => answerWith(200, 'application/json', ANSWER))

describe('an answer that is nested beyond reason', () => {
  it('goes to who speaks as the agent does, again and again, and is told as one that is not kept', async () => {
    expect(await (await send(request())).text()).toBe(ANSWER)
    await platform.deps.tracker.drain()
    expect(await (await send(request())).text()).toBe(ANSWER)
    const stream = await send(request({ method: 'message/stream' }), {
      accept: 'text/event-stream',
    })
    expect([stream.headers.get('content-type'), await stream.text()]).toEqual([
      'application/json',
      ANSWER,
    ])
    expect(box.requests).toHaveLength(1)
    const [row] = await platform.client.sql`
      SELECT id FROM a2a_deliveries WHERE workspace_id = ${workspace.id}`
    const entry = await platform.request(`/workspaces/${workspace.id}/a2a/queue/${row?.['id']}`)
    expect([entry.status, await entry.json()]).toMatchObject([
      200,
      { status: 'completed', response_body: { omitted: 'cannot be read' } },
    ])
    await box.close()
    const task = await send(request({ method: 'tasks/get', params: { id: row?.['id'] } }))
    expect([task.status, await task.json()]).toMatchObject([
      200,
      { result: { id: row?.['id'], status: { state: 'completed' } } },
    ])
  })

  it('is none to a reader of REST, and no card', async () => {
    const sent = { message: { ...message, parts: [{ text: 'hi' }], role: 'ROLE_USER' } }
    const init = { as: workspace.authToken, headers: { 'content-type': 'application/json' } }
    const rest = await platform.request(below('/v1/message:send'), {
      ...{ ...init, method: 'POST', body: JSON.stringify(sent) },
    })
    expect([rest.status, await rest.json()]).toMatchObject([502, INVALID])
    const card = await platform.request(below(''), {
      ...init,
      method: 'POST',
      body: request({ method: 'agent/getAuthenticatedExtendedCard', params: undefined }),
    })
    expect([card.status, await card.json()]).toMatchObject([200, { error: INVALID }])
  })
})
