/** @module The official client 1.3.0, over JSON-RPC and over REST. */
import { Role, TaskState } from '@a2a-js/sdk'
import {
  type Client,
  ClientFactory,
  JsonRpcTransportFactory,
  RestTransportFactory,
} from '@a2a-js/sdk/client'
import { type Facts, factsOf } from './facts.ts'
import type { RealClient, RealClientKind } from './real-client.ts'

type SendRequest = Parameters<Client['sendMessage']>[0]

export const client130: RealClientKind = {
  name: '@a2a-js/sdk 1.3.0',
  connect: async (baseUrl) => {
    const factory = new ClientFactory({ transports: [new JsonRpcTransportFactory()] })
    return realClientOf(await factory.createFromUrl(`${baseUrl}/`))
  },
}

export const client130Rest: RealClientKind = {
  name: '@a2a-js/sdk 1.3.0 over REST',
  connect: async (baseUrl) => {
    const factory = new ClientFactory({ transports: [new RestTransportFactory()] })
    return realClientOf(await factory.createFromUrl(`${baseUrl}/`))
  },
}

const BARE = { tenant: '', metadata: undefined } as const

function realClientOf(client: Client): RealClient {
  return {
    send: async (text, isLater = false) =>
      factsOf(await client.sendMessage(request(text, isLater))),
    stream: (text) => mapped(client.sendMessageStream(request(text, false))),
    get: async (id) => factsOf(await client.getTask({ tenant: '', id, historyLength: undefined })),
    cancel: async (id) => factsOf(await client.cancelTask({ ...BARE, id })),
    subscribe: (id) => mapped(client.resubscribeTask({ tenant: '', id })),
    async list() {
      const { tasks } = await client.listTasks({
        ...{ tenant: '', contextId: '', status: TaskState.TASK_STATE_UNSPECIFIED, pageSize: 50 },
        ...{ pageToken: '', historyLength: undefined, statusTimestampAfter: undefined },
        includeArtifacts: undefined,
      })
      return tasks.map(({ id }) => id)
    },
    async pushSet(taskId, { url, token }) {
      const config = { tenant: '', id: 'hook', taskId, url, token, authentication: undefined }
      await client.createTaskPushNotificationConfig(config)
      const listed = await client.listTaskPushNotificationConfig({
        ...{ tenant: '', taskId, pageSize: 10, pageToken: '' },
      })
      return listed.configs[0]?.url ?? ''
    },
  }
}

function request(text: string, isLater: boolean): SendRequest {
  const part = { metadata: undefined, filename: '', mediaType: '' }
  return {
    ...BARE,
    message: {
      messageId: crypto.randomUUID(),
      role: Role.ROLE_USER,
      parts: [{ ...part, content: { $case: 'text', value: text } }],
      ...{ contextId: '', taskId: '', metadata: undefined, extensions: [], referenceTaskIds: [] },
    },
    configuration: {
      ...{ acceptedOutputModes: [], taskPushNotificationConfig: undefined },
      ...{ historyLength: undefined, returnImmediately: isLater },
    },
  }
}

async function* mapped(events: AsyncIterable<unknown>): AsyncGenerator<Facts> {
  for await (const event of events) yield factsOf(event)
}
