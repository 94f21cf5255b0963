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

  it('end with it when it is removed', async () => {
    const id = await queued()
    await platform.client.sql`
      UPDATE workspaces SET status = 'removed' WHERE id = ${workspace.id}`
    await rescueStranded(platform.deps)
    expect(await rowOf(id)).toMatchObject({
      ...{ state: 'failed', reason: 'workspace_not_found', idempotency_key: null },
    })
  })
})
