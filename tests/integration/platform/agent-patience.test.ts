/** How long an agent may take until it begins to answer (contract/a2a "Decided" 4, contract/platform 4.12). */
import { beforeEach, describe, expect, it } from 'vitest'
import { findLiveWorkspace } from '../../../apps/platform/src/db/workspace-store.ts'
import { workspaceIdSchema } from '../../../apps/platform/src/domain/ids.ts'
import {
  type Patience,
  patienceWith,
} from '../../../apps/platform/src/services/gateway/agent-patience.ts'
import { message, request, send } from '../../support/a2a-exchange.ts'
import { box, provideBoxedWorkspace, workspace } from '../../support/boxed-workspace.ts'
import { eventually } from '../../support/eventually.ts'
import { HeldClock } from '../../support/held-clock.ts'
import { platform } from '../../support/shared-platform.ts'

// No sweep looks at beats of another time.
provideBoxedWorkspace({ ATRIUM_SWEEP_INTERVAL_MS: '600000', ATRIUM_AGENT_TIMEOUT_MS: '500' })

const MINUTE_MS = 60_000
const OWN_MS = 10 * MINUTE_MS
let clock: HeldClock

const configure = (config: unknown) => platform.client.sql`
  UPDATE workspaces SET runtime_config = ${JSON.stringify(config)}::text::jsonb
   WHERE id = ${workspace.id}`
const beats = (activeTasks: number, at = clock.now()) => platform.client.sql`
  UPDATE workspaces SET active_tasks = ${activeTasks}, last_heartbeat_at = ${at.toISOString()}::timestamptz
   WHERE id = ${workspace.id}`

async function patience(isBlocking: boolean): Promise<Patience> {
  const { db } = platform.client
  const row = await findLiveWorkspace(db, workspaceIdSchema.parse(workspace.id))
  if (row === undefined) throw new Error('no workspace')
  return patienceWith({ db, clock, agentTimeoutMs: OWN_MS }, { row, isBlocking })
}

/** It has asked for the beats, and waits on. */
const waitsOn = () => eventually(() => clock.sleepers === 1)
const isOver = ({ signal }: Patience) => eventually(() => signal.aborted)

/** It ends after `ms`, and not a moment before. */
async function lasts(waiting: Patience, ms: number): Promise<void> {
  clock.advance(ms - 1)
  await Promise.resolve()
  expect([waiting.signal.aborted, clock.sleepers]).toEqual([false, 1])
  clock.advance(1)
  await isOver(waiting)
  expect(waiting.signal.reason).toMatchObject({ code: 'workspace_timeout' })
}

/** Senders that want a task at once, and ask for its end later. */
const said = (messageId: string, configuration: object) => ({
  params: { message: { ...message, messageId }, configuration },
})
const UNHURRIED = [
  said('m2', { blocking: false }),
  said('m3', { return_immediately: true }),
  {
    method: 'SendMessage',
    params: {
      message: { messageId: 'm4', role: 'ROLE_USER', parts: [{ text: 'hi' }] },
      configuration: { returnImmediately: true },
    },
  },
]

beforeEach(async () => {
  clock = new HeldClock()
  await beats(0)
})

describe('patience with an agent', () => {
  it('is a minute for whoever does not wait for work to be done', async () => {
    await configure({ a2a_timeout_seconds: 5 })
    await beats(1)
    await lasts(await patience(false), MINUTE_MS)
  })

  it.each([
    ['unset', {}, OWN_MS],
    ['null', null, OWN_MS],
    ['longer', { a2a_timeout_seconds: 1_200 }, 20 * MINUTE_MS],
    ['shorter', { a2a_timeout_seconds: 5 }, 5_000],
    ['none', { a2a_timeout_seconds: 0 }, OWN_MS],
    ['below none', { a2a_timeout_seconds: -5 }, OWN_MS],
    ['a text', { a2a_timeout_seconds: '1200' }, OWN_MS],
    ['beyond what may be', { a2a_timeout_seconds: 1e300 }, 30 * MINUTE_MS],
  ])('is with a blocking message what its workspace says: %s', async (_name, config, ms) => {
    await configure(config)
    await lasts(await patience(true), ms)
  })

  it('goes on while beats say that the agent is at work, and ends with them', async () => {
    await beats(1)
    const waiting = await patience(true)
    clock.advance(OWN_MS)
    expect(clock.sleepers).toBe(0)
    // Ten minutes ago it was at work: nobody has heard of it since.
    await isOver(waiting)

    const other = await patience(true)
    for (let beat = 0; beat < 3; beat += 1) {
      await beats(1, new Date(clock.now().getTime() + (beat === 0 ? OWN_MS : 30_000)))
      clock.advance(beat === 0 ? OWN_MS : 30_000)
      await waitsOn()
      expect(other.signal.aborted).toBe(false)
    }
    await beats(0, new Date(clock.now().getTime() + 30_000))
    await lasts(other, 30_000)
  })

  it('goes on so for messages alone whose senders wait for the work', async () => {
    const gate = Promise.withResolvers<void>()
    box.answer = async (asked, response) => {
      await gate.promise
      const { id } = JSON.parse(asked.body.toString())
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { kind: 'message' } }))
    }
    await beats(1, new Date())
    const waits = send(request())
    await eventually(() => box.requests.length === 1)
    const question = await send(request({ method: 'tasks/get', params: { id: 't1' } }))
    expect([question.status, box.requests.length]).toEqual([504, 2])
    const unhurried = await Promise.all(UNHURRIED.map((fields) => send(request(fields))))
    expect(unhurried.map(({ status }) => status)).toEqual([504, 504, 504])
    gate.resolve()
    expect((await waits).status).toBe(200)
  })

  it('does not go on beyond half an hour, whatever the beats say', async () => {
    await configure({ a2a_timeout_seconds: 1_770 })
    const waiting = await patience(true)
    await beats(1, new Date(clock.now().getTime() + 31 * MINUTE_MS))
    clock.advance(1_770_000)
    await waitsOn()
    await lasts(waiting, 30_000)
  })

  it('ends with the workspace, and leaves nothing behind when it was answered', async () => {
    await beats(1, new Date(clock.now().getTime() + OWN_MS))
    const answered = await patience(true)
    answered.end()
    await eventually(() => clock.sleepers === 0)
    expect(answered.signal.aborted).toBe(false)
    const waiting = await patience(true)
    await platform.client.sql`
      UPDATE workspaces SET status = 'removed' WHERE id = ${workspace.id}`
    await lasts(waiting, OWN_MS)
  })
})
