import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { message, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { eventually } from '../../support/eventually.ts'
import { platform } from '../../support/shared-platform.ts'

provideBoxedWorkspace({ ATRIUM_AGENT_TIMEOUT_MS: '5000' })

/** The failure body of our runtime when it has as much to do as it takes on. */
const BUSY = JSON.stringify({ error: 'busy', code: 'agent_busy' })
const say = (messageId: string) => request({ params: { message: { ...message, messageId } } })

/** The agent refuses everything as too much until it is told otherwise. */
function agent(): { readonly seen: string[]; isBusy: boolean } {
  const state = { seen: [] as string[], isBusy: true }
  box.answer = (seen, response) => {
    const { params } = JSON.parse(seen.body.toString()) as {
      params: { message: { messageId: string } }
    }
    if (state.isBusy) {
      response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '300' })
      response.end(BUSY)
      return
    }
    state.seen.push(params.message.messageId)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end('{"jsonrpc":"2.0","id":7,"result":{"kind":"message"}}')
  }
  return state
}

const beat = (activeTasks: number) =>
  platform.json(
    '/registry/heartbeat',
    { workspace_id: workspace.id, active_tasks: activeTasks },
    workspace.authToken,
  )

describe('messages to an agent that is busy', () => {
  it('are sent as soon as it is online again', async () => {
    const state = agent()
    const id = randomUUID()
    expect((await send(say(id))).status).toBe(202)
    state.isBusy = false
    await platform.client.sql`
      UPDATE workspaces SET status = 'offline' WHERE id = ${workspace.id}`
    await platform.client.sql`
      UPDATE a2a_deliveries SET next_attempt_at = now() WHERE workspace_id = ${workspace.id}`
    await platform.json(
      '/registry/register',
      { id: workspace.id, url: box.url, agent_card: { name: 'agent' } },
      workspace.authToken,
    )
    await eventually(() => state.seen.length === 1, 6_000)
  })

  it('wait, and are sent in their order as soon as a beat says that there is room', async () => {
    const state = agent()
    const ids = Array.from({ length: 4 }, () => randomUUID())
    for (const id of ids) {
      const answer = await send(say(id))
      expect(answer.status).toBe(202)
      expect(await answer.json()).toMatchObject({ queued: true, queue_id: expect.any(String) })
    }
    state.isBusy = false
    await beat(1)
    expect(state.seen).toEqual([])
    await beat(0)
    await eventually(() => state.seen.length === ids.length, 12_000)
    expect(state.seen).toEqual(ids)
  })
})
