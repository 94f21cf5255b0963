/** Callers that wait no longer than they say, and what goes on without them (`X-Timeout`). */
import { expect, it } from 'vitest'
import { whileCallerWaits } from '../../../apps/platform/src/services/gateway/caller-patience.ts'
import type {
  GatewayAnswer,
  GatewayCall,
} from '../../../apps/platform/src/services/gateway/gateway-call.ts'
import { TaskTracker } from '../../../apps/platform/src/services/task-tracker.ts'
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
