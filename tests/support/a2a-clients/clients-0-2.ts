/** @module The official clients 0.2.1 and 0.2.5: no credentials, one class, answers as JSON-RPC. */
import { A2AClient as Client021 } from 'a2a-sdk-0-2-1'
import { A2AClient as Client025 } from 'a2a-sdk-0-2-5/client'
import { type Facts, factsOf } from './facts.ts'
import type { PushHook, RealClient, RealClientKind } from './real-client.ts'

type SendParams = Parameters<Client021['sendMessage']>[0] & Parameters<Client025['sendMessage']>[0]
type HookParams = Parameters<Client021['setTaskPushNotificationConfig']>[0]

/** What both have: the types of one do not fit the other's. */
type OldClient = {
  sendMessage(params: SendParams): Promise<unknown>
  sendMessageStream(params: SendParams): AsyncIterable<unknown>
  getTask(params: { id: string }): Promise<unknown>
  cancelTask(params: { id: string }): Promise<unknown>
  resubscribeTask(params: { id: string }): AsyncIterable<unknown>
  setTaskPushNotificationConfig(params: HookParams): Promise<unknown>
  getTaskPushNotificationConfig(params: { id: string }): Promise<unknown>
  getAgentCard(): Promise<unknown>
}

export const client021: RealClientKind = {
  name: '@a2a-js/sdk 0.2.1',
  connect: (baseUrl) => connect(new Client021(baseUrl)),
}
export const client025: RealClientKind = {
  name: '@a2a-js/sdk 0.2.5',
  connect: (baseUrl) => connect(new Client025(baseUrl)),
}

async function connect(client: OldClient): Promise<RealClient> {
  await client.getAgentCard()
  return {
    send: async (text, isLater = false) =>
      succeeded(await client.sendMessage(params(text, isLater))),
    stream: (text) => mapped(client.sendMessageStream(params(text, false))),
    get: async (id) => succeeded(await client.getTask({ id })),
    cancel: async (id) => succeeded(await client.cancelTask({ id })),
    subscribe: (id) => mapped(client.resubscribeTask({ id })),
    pushSet: (taskId, hook) => pushSet(client, taskId, hook),
  }
}

function params(text: string, isLater: boolean): SendParams {
  return {
    message: {
      kind: 'message',
      messageId: crypto.randomUUID(),
      role: 'user',
      parts: [{ kind: 'text', text }],
    },
    configuration: { acceptedOutputModes: ['text'], blocking: !isLater },
  }
}

async function pushSet(client: OldClient, taskId: string, hook: PushHook): Promise<string> {
  const config = { taskId, pushNotificationConfig: { url: hook.url, token: hook.token } }
  succeeded(await client.setTaskPushNotificationConfig(config))
  const read = await client.getTaskPushNotificationConfig({ id: taskId })
  return hookUrlOf(read)
}

/** These clients resolve with an error where later ones throw it. */
function succeeded(answer: unknown): Facts {
  if (typeof answer === 'object' && answer !== null && 'error' in answer) {
    throw new Error(JSON.stringify(answer.error))
  }
  return factsOf(answer)
}

async function* mapped(events: AsyncIterable<unknown>): AsyncGenerator<Facts> {
  for await (const event of events) yield factsOf(event)
}

function hookUrlOf(answer: unknown): string {
  return /"url":"([^"]+)"/.exec(JSON.stringify(answer))?.[1] ?? JSON.stringify(answer)
}
