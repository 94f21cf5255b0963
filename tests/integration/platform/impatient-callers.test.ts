/** Callers that wait no longer than they say, and what goes on without them (`X-Timeout`). */
import { Readable } from 'node:stream'
import { expect, it } from 'vitest'
import { whileCallerWaits } from '../../../apps/platform/src/services/gateway/caller-patience.ts'
import type {
  GatewayAnswer,
  GatewayCall,
} from '../../../apps/platform/src/services/gateway/gateway-call.ts'
import { TaskTracker } from '../../../apps/platform/src/services/task-tracker.ts'
import { eventually } from '../../support/eventually.ts'
import { EvilWorkspace } from '../../support/evil-workspace.ts'
import { HeldClock } from '../../support/held-clock.ts'
import { registerOutsideAgent } from '../../support/outside-agent.ts'
import { startPlatform } from '../../support/platform-process.ts'

it('do not keep a platform from ending that their agents keep waiting', async () => {
  const evil = await EvilWorkspace.start('never-answers')
  const platform = await startPlatform()
  try {
    const { id, token } = await registerOutsideAgent(platform.url, { url: evil.url.href })
    const message = { messageId: 'm1', role: 'user', parts: [{ kind: 'text', text: 'hi' }] }
    const answer = await fetch(`${platform.url}/workspaces/${id}/a2a`, {
      method: 'POST',
      headers: {
        ...{ authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        'x-timeout': '1',
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'message/send', params: { message } }),
    })
    expect(answer.status).toBe(504)
    expect(await platform.stop()).toBe(0)
  } finally {
    await platform.stop()
    await evil.close()
  }
})

it('have left as far as others are concerned, who hold their bodies', async () => {
  const clock = new HeldClock()
  const failures: unknown[] = []
  const tracker = new TaskTracker((error) => failures.push(error))
  const open = new AbortController()
  const call: Pick<GatewayCall, 'headers' | 'signal'> = {
    headers: (name) => (name === 'x-timeout' ? '5' : undefined),
    signal: open.signal,
  }
  const answer = Promise.withResolvers<GatewayAnswer>()
  let waiting: AbortSignal | undefined
  const told = whileCallerWaits({ clock, tracker }, { call, queueId: 'q' }, (signal) => {
    waiting = signal
    return answer.promise
  })
  clock.advance(4_999)
  await Promise.resolve()
  expect(waiting?.aborted).toBe(false)
  clock.advance(1)
  await expect(told).rejects.toMatchObject({ code: 'workspace_timeout' })
  expect([waiting?.aborted, open.signal.aborted]).toEqual([true, false])
  answer.reject(new Error('the agent broke off'))
  await tracker.drain()
  expect(failures).toEqual([])
})

/** Begins to wait with the header; what the caller would be told, and what waits for it. */
function waitingWith(seconds: string | undefined) {
  const clock = new HeldClock()
  const tracker = new TaskTracker(() => undefined)
  const answer = Promise.withResolvers<GatewayAnswer>()
  const call = { headers: () => seconds, signal: new AbortController().signal }
  const told = whileCallerWaits({ clock, tracker }, { call, queueId: 'q' }, () => answer.promise)
  return { clock, tracker, answer, told }
}

it.each([undefined, '', '0', '-1', '1.5', 'soon', '9999999999'])(
  'say nothing with X-Timeout: %s',
  async (seconds) => {
    const { clock, answer, told } = waitingWith(seconds)
    expect(clock.sleepers).toBe(0)
    answer.resolve({ kind: 'json', status: 200, body: Buffer.alloc(0) })
    expect(await told).toMatchObject({ status: 200 })
  },
)

it('wait a day at most, and no longer than until they are answered', async () => {
  const { clock, told } = waitingWith('999999999')
  clock.advance(24 * 60 * 60 * 1_000)
  await expect(told).rejects.toMatchObject({ extensions: { queue_id: 'q' } })
  const other = waitingWith('5')
  other.answer.resolve({ kind: 'json', status: 200, body: Buffer.alloc(0) })
  await other.told
  await eventually(() => other.clock.sleepers === 0)
})

it('leave no stream open that comes when they have left', async () => {
  const { clock, tracker, answer, told } = waitingWith('5')
  clock.advance(5_000)
  await expect(told).rejects.toMatchObject({ code: 'workspace_timeout' })
  const body = new Readable({ read: () => undefined })
  answer.resolve({ kind: 'stream', status: 200, headers: {}, body })
  await tracker.drain()
  expect(body.destroyed).toBe(true)
})
