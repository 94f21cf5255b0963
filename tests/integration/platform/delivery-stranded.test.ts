import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { rescueStranded } from '../../../apps/platform/src/services/gateway/rescue-stranded.ts'
import { message, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { feed } from '../../support/external-workspace.ts'
import { platform } from '../../support/shared-platform.ts'

provideBoxedWorkspace({})

/** Sends a message that its agent is too busy for; its id in the queue. */
async function queued(): Promise<string> {
  box.answer = (_, response) => {
    response.writeHead(503, { 'content-type': 'application/json', 'retry-after': '300' })
    response.end('{"error":"busy","code":"agent_busy"}')
  }
  const body = request({ params: { message: { ...message, messageId: randomUUID() } } })
  const answer = await send(body)
  expect(answer.status).toBe(202)
  return ((await answer.json()) as { queue_id: string }).queue_id
}

const rowOf = async (id: string) => {
  const [row] = await platform.client.sql`
    SELECT state, reason, delivery_mode, idempotency_key FROM a2a_deliveries WHERE id = ${id}`
  return row
}

describe('a message to a workspace that has failed', () => {
  it('is refused for good, so that its sender does not repeat it for ever', async () => {
    await platform.client.sql`
      UPDATE workspaces SET status = 'failed', endpoint_url = NULL, box_address = NULL
       WHERE id = ${workspace.id}`
    const answer = await send(request())
    expect(answer.status).toBe(503)
    expect(await answer.json()).toMatchObject({
      error: {
        message: 'workspace has no URL',
        data: { code: 'workspace_failed', retryable: false, status: 'failed' },
      },
    })
  })
})

describe('messages that wait for an agent', () => {
  it('are there for it to fetch when it fetches them by now, in their order, once', async () => {
    const ids = [await queued(), await queued()]
    await platform.client.sql`
      UPDATE workspaces SET delivery_mode = 'poll' WHERE id = ${workspace.id}`
    const passes = await Promise.all([rescueStranded(platform.deps), rescueStranded(platform.deps)])
    expect(passes.reduce((sum, { handed_over = 0 }) => sum + handed_over, 0)).toBeLessThanOrEqual(2)
    await rescueStranded(platform.deps)
    const rows = (await feed(workspace, 'from=start')).filter((row) => row['queue_id'])
    expect(rows.map((row) => row['queue_id']).toSorted()).toEqual(ids.toSorted())
    expect(rows[0]?.request_body?.params?.message).toMatchObject({ parts: message.parts })
    const reply = await platform.json(
      `/workspaces/${workspace.id}/a2a/queue/${ids[0]}/reply`,
      { text: 'fetched' },
      workspace.authToken,
    )
    expect(reply.status).toBe(200)
  })

  it.each([
    ['removed', 'workspace_not_found'],
    ['failed', 'workspace_failed'],
  ])('end with it when it is %s', async (status, reason) => {
    const id = await queued()
    await platform.client.sql`
      UPDATE workspaces SET status = ${status} WHERE id = ${workspace.id}`
    await rescueStranded(platform.deps)
    expect(await rowOf(id)).toMatchObject({ state: 'failed', reason, idempotency_key: null })
  })

  it('go on waiting while it may come back by itself', async () => {
    const id = await queued()
    await platform.client.sql`
      UPDATE workspaces SET status = 'offline' WHERE id = ${workspace.id}`
    await rescueStranded(platform.deps)
    expect(await rowOf(id)).toMatchObject({ state: 'queued' })
  })
})
