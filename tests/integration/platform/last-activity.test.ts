import { describe, expect, it } from 'vitest'
import { answerWith, RESULT, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { platform } from '../../support/shared-platform.ts'

provideBoxedWorkspace({})

async function lastActivity(): Promise<string | null> {
  await platform.deps.tracker.drain()
  const rows = await platform.client.sql`
    SELECT last_activity_at AS at FROM workspaces WHERE id = ${workspace.id}`
  return rows[0]?.['at'] as string | null
}

const setTo = (interval: string) => platform.client.sql`
  UPDATE workspaces SET last_activity_at = now() - ${interval}::interval WHERE id = ${workspace.id}`

const download = () =>
  platform.request(`/workspaces/${workspace.id}/chat/download?path=/workspace/a`)

describe('the last activity of a workspace', () => {
  it('is a message', async () => {
    answerWith(200, 'application/json', RESULT)
    expect(await lastActivity()).toBeNull()
    await send(request())
    expect(await lastActivity()).not.toBeNull()
  })

  it('is a file, noted at most twice a minute', async () => {
    box.answer = (_, response) => response.writeHead(404).end('{}')
    await download()
    const first = await lastActivity()
    expect(first).not.toBeNull()
    await download()
    expect(await lastActivity()).toBe(first)
    await setTo('1 minute')
    const before = await lastActivity()
    await download()
    expect(await lastActivity()).not.toBe(before)
  })

  it('is no beat of an idle agent', async () => {
    await platform.json(
      '/registry/heartbeat',
      { workspace_id: workspace.id, active_tasks: 0 },
      workspace.authToken,
    )
    expect(await lastActivity()).toBeNull()
  })
})
