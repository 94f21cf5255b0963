/** @module The client class of @assistant-ui/react-a2a: REST of 1.0, by other people than the SDK. */
import { A2AClient } from '@assistant-ui/react-a2a'
import { type Facts, factsOf } from './facts.ts'
import type { RealClientKind } from './real-client.ts'

export const assistantUi: RealClientKind = {
  name: '@assistant-ui/react-a2a',
  async connect(baseUrl) {
    const client = new A2AClient({ baseUrl })
    await client.getAgentCard()
    return {
      send: async (text, isLater = false) =>
        factsOf(await client.sendMessage(message(text), { returnImmediately: isLater })),
      stream: (text) => mapped(client.streamMessage(message(text))),
      get: async (id) => factsOf(await client.getTask(id)),
      cancel: async (id) => factsOf(await client.cancelTask(id)),
      subscribe: (id) => mapped(client.subscribeToTask(id)),
      list: async () => (await client.listTasks({ pageSize: 50 })).tasks.map(({ id }) => id),
      async pushSet(taskId, hook) {
        await client.createTaskPushNotificationConfig({ id: 'hook', taskId, ...hook })
        const { configs } = await client.listTaskPushNotificationConfigs(taskId)
        return configs[0]?.url ?? ''
      },
    }
  },
}

function message(text: string): Parameters<A2AClient['sendMessage']>[0] {
  return { messageId: crypto.randomUUID(), role: 'user', parts: [{ text }] }
}

/** Its events are `{ type, event }`. */
async function* mapped(events: AsyncIterable<unknown>): AsyncGenerator<Facts> {
  for await (const event of events) {
    const inner =
      typeof event === 'object' && event !== null && 'event' in event ? event.event : event
    yield factsOf(inner)
  }
}
