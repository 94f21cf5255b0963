import { describe, expect, it } from 'vitest'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import { OutboundNotes } from '../../../apps/platform/src/services/outbound-notes.ts'
import { TaskTracker } from '../../../apps/platform/src/services/task-tracker.ts'
import { answerWith, RESULT, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { eventually } from '../../support/eventually.ts'
import { HeldClock } from '../../support/held-clock.ts'
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

describe('that a workspace has spoken', () => {
  it('is written at once, then after a rest whatever came meanwhile, and later again', async () => {
    const clock = new HeldClock()
    const tracker = new TaskTracker(() => undefined)
    const notes = new OutboundNotes({ db: platform.client.db, clock, tracker })
    const id = workspaceIdSchema.parse(workspace.id)
    const start = clock.now().getTime()
    /** How long after the start it was the last time. */
    const noted = async (): Promise<number> => {
      const [row] = await platform.client.sql<{ at: Date }[]>`
        SELECT last_outbound_at AS at FROM workspaces WHERE id = ${id}`
      return new Date(row?.at ?? 0).getTime() - start
    }
    const isResting = () => clock.sleepers === 1
    for (let n = 0; n < 5; n += 1) notes.note(id)
    await eventually(isResting)
    expect(await noted()).toBe(0)
    clock.advance(100)
    await eventually(async () => isResting() && (await noted()) === 100)
    clock.advance(100)
    await tracker.drain()
    expect(await noted()).toBe(100)
    notes.note(id)
    await eventually(isResting)
    expect(await noted()).toBe(200)
    clock.advance(100)
    await tracker.drain()
  })
})
