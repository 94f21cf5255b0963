/** @module What a client does in one cell of the matrix, and what it has to see. */
import { expect } from 'vitest'
import { eventually } from '../eventually.ts'
import type { Facts } from './facts.ts'
import type { HookServer } from './hook-server.ts'
import type { RealClient } from './real-client.ts'

/** How the agent behind a cell answers a message: at once, or later and somewhere else. */
export type Manner = 'at once' | 'later'

const TEXT = 'hello there'
const ECHO = `echo: ${TEXT}`

/** Throws where an operation does not do what its name says. */
export const OPERATIONS = {
  async send(client: RealClient, manner: Manner): Promise<void> {
    const facts = await client.send(TEXT)
    if (manner === 'at once') {
      // A message is all there is to say, and has no state.
      expect(['completed', undefined]).toContain(facts.state)
      expect(facts.text).toContain(ECHO)
      return
    }
    expect(facts).toMatchObject({ state: 'submitted', taskId: expect.any(String) })
    await expectCompleted(client, facts)
  },

  async stream(client: RealClient): Promise<void> {
    const told: Facts[] = []
    for await (const facts of client.stream(TEXT)) told.push(facts)
    expect(told.map(({ text }) => text).join('')).toContain(ECHO)
    // The last word is an end, or a message that is all there is to say.
    expect(['completed', undefined]).toContain(told.at(-1)?.state)
    expect(told.length).toBeGreaterThan(0)
  },

  async get(client: RealClient): Promise<void> {
    const facts = await client.send('wait', true)
    const read = await client.get(facts.taskId ?? '')
    expect(read.taskId).toBe(facts.taskId)
    expect(['submitted', 'working']).toContain(read.state)
    await client.cancel(facts.taskId ?? '').catch(() => undefined)
  },

  async cancel(client: RealClient): Promise<void> {
    const { taskId = '' } = await client.send('wait', true)
    expect((await client.cancel(taskId)).state).toBe('canceled')
    expect((await client.get(taskId)).state).toBe('canceled')
  },

  async subscribe(client: RealClient): Promise<void> {
    const { taskId = '' } = await client.send('wait', true)
    const states: (string | undefined)[] = []
    for await (const { state } of client.subscribe(taskId)) {
      states.push(state)
      if (states.length === 1) await client.cancel(taskId)
    }
    expect(states.at(-1)).toBe('canceled')
  },

  async list(client: RealClient): Promise<void> {
    const { taskId = '' } = await client.send('wait', true)
    if (client.list === undefined) throw new Error('this client lists no tasks')
    expect(await client.list()).toContain(taskId)
    await client.cancel(taskId).catch(() => undefined)
  },

  async push(client: RealClient, _manner: Manner, hook: HookServer): Promise<void> {
    const { taskId = '' } = await client.send('wait', true)
    expect(await client.pushSet(taskId, hook)).toBe(hook.url)
    await client.cancel(taskId)
    await eventually(() => hook.calls.some(({ body }) => body.includes(taskId)))
    const call = hook.calls.findLast(({ body }) => body.includes(taskId))
    expect(call?.token).toBe(hook.token)
  },
} as const

export type OperationName = keyof typeof OPERATIONS
export const OPERATION_NAMES: readonly OperationName[] = [
  ...(['send', 'stream', 'get', 'cancel', 'subscribe', 'list', 'push'] as const),
]

async function expectCompleted(client: RealClient, { taskId = '' }: Facts): Promise<void> {
  const ended = await eventually(async () => {
    const read = await client.get(taskId)
    return read.state === 'submitted' || read.state === 'working' ? undefined : read
  })
  expect(ended).toMatchObject({ state: 'completed', text: expect.stringContaining(ECHO) })
}
