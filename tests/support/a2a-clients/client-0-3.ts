/** @module The official client 0.3.14 through its factory, over JSON-RPC or over the REST of 0.3. */
import {
  type Client,
  ClientFactory,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from 'a2a-sdk-0-3-14/client'
import { type Facts, factsOf } from './facts.ts'
import type { RealClient, RealClientKind } from './real-client.ts'

export const client0314: RealClientKind = {
  name: '@a2a-js/sdk 0.3.14',
  connect: async (baseUrl) => {
    const factory = new ClientFactory({ transports: [new JsonRpcTransportFactory()] })
    return realClientOf(await factory.createFromUrl(`${baseUrl}/`))
  },
}

export const client0314Rest: RealClientKind = {
  name: '@a2a-js/sdk 0.3.14 over REST',
  connect: async (baseUrl) => {
    const factory = new ClientFactory({
      transports: [new RestTransportFactory()],
      preferredTransports: ['HTTP+JSON'],
    })
    return realClientOf(await factory.createFromUrl(`${baseUrl}/`))
  },
}

function realClientOf(client: Client): RealClient {
  return {
    send: async (text, isLater = false) => factsOf(await client.sendMessage(params(text, isLater))),
    stream: (text) => mapped(client.sendMessageStream(params(text, false))),
    get: async (id) => factsOf(await client.getTask({ id })),
    cancel: async (id) => factsOf(await client.cancelTask({ id })),
    subscribe: (id) => mapped(client.resubscribeTask({ id })),
    async pushSet(taskId, { url, token }) {
      const pushNotificationConfig = { id: 'hook', url, token }
      await client.setTaskPushNotificationConfig({ taskId, pushNotificationConfig })
      const [first] = await client.listTaskPushNotificationConfig({ id: taskId })
      return first?.pushNotificationConfig.url ?? ''
    },
  }
}

function params(text: string, isLater: boolean): Parameters<Client['sendMessage']>[0] {
  return {
    message: {
      kind: 'message',
      messageId: crypto.randomUUID(),
      role: 'user',
      parts: [{ kind: 'text', text }],
    },
    configuration: { blocking: !isLater },
  }
}

async function* mapped(events: AsyncIterable<unknown>): AsyncGenerator<Facts> {
  for await (const event of events) yield factsOf(event)
}
