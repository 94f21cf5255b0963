import { isJsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import { RestTransport as Rest03, JsonRpcTransport as Rpc03 } from 'a2a-sdk-0-3-14/client'
import {
  AgentCard,
  CancelTaskRequest,
  GetTaskRequest,
  ListTasksRequest,
  SendMessageRequest,
  TaskPushNotificationConfig,
  TaskState,
} from 'a2a-sdk-1-3-0'
import { JsonRpcTransportFactory, RestTransportFactory } from 'a2a-sdk-1-3-0/client'
import { describe, expect, it } from 'vitest'
import { queryParams, restRoute, rpcOf } from '../../apps/platform/src/http/rest-call.ts'

type Asked = { readonly method: JsonValue; readonly params: JsonValue }

const BASE = 'https://gate.example/a2a/w1'

/** Keeps what a transport asks, read as JSON-RPC or as REST, and answers nothing. */
function ear() {
  const asked: Asked[] = []
  const fetchImpl: typeof fetch = async (url, init) => {
    const body = init?.body ? JSON.parse(String(init.body)) : undefined
    asked.push(String(url) === BASE ? said(body) : restOf(String(url), init?.method, body))
    throw new Error('heard')
  }
  return { asked, fetchImpl }
}

function said(body: JsonValue): Asked {
  const envelope = isJsonObject(body) ? body : {}
  return { method: envelope['method'] ?? null, params: envelope['params'] ?? {} }
}

function restOf(address: string, verb = 'GET', body: JsonValue = {}): Asked {
  const url = new URL(address)
  const path = url.pathname.slice('/a2a/w1/'.length)
  const route = restRoute(verb, path)
  if (route === undefined) throw new Error(`${verb} ${path} leads nowhere`)
  const query = queryParams(Object.fromEntries(url.searchParams))
  return said(rpcOf(route, { id: '1', query, body }))
}

async function drain(call: Promise<unknown> | AsyncIterable<unknown>): Promise<void> {
  try {
    if (Symbol.asyncIterator in call) for await (const _ of call) break
    else await call
  } catch (error) {
    if (!(error instanceof Error && error.message === 'heard')) throw error
  }
}

/** Unset is what ProtoJSON leaves out, and what our translation of a 0.3 message may add. */
function bare(value: JsonValue): JsonValue {
  if (!isJsonObject(value)) return Array.isArray(value) ? value.map(bare) : value
  const kept = Object.entries(value).filter(([, one]) => one !== '' && !isEmptyList(one))
  return Object.fromEntries(kept.map(([name, one]) => [name, bare(one)]))
}

function isEmptyList(value: JsonValue): boolean {
  return Array.isArray(value) && value.length === 0
}

const message = {
  messageId: 'm',
  role: 'ROLE_USER',
  parts: [{ text: 'hi' }, { data: { a: [1] } }, { url: 'https://f.example/', mediaType: 'a/b' }],
}
const request = SendMessageRequest.fromJSON({
  tenant: 'acme',
  message,
  configuration: { returnImmediately: true, historyLength: 2, acceptedOutputModes: ['text/plain'] },
  metadata: { k: 'v' },
})
const task = { tenant: 'acme', id: 'task/1' }
const hook = TaskPushNotificationConfig.fromJSON({
  tenant: 'acme',
  taskId: 't',
  id: 'p',
  url: 'https://h.example/',
  authentication: { scheme: 'Bearer', credentials: 'c' },
})
const config = { tenant: 'acme', taskId: 't', id: 'p' }
const tasks = { ...ListTasksRequest.fromJSON({ tenant: 'acme', contextId: 'c' }), pageSize: 5 }

type Transport = Awaited<ReturnType<RestTransportFactory['create']>>

const CURRENT: Readonly<
  Record<string, (transport: Transport) => Promise<unknown> | AsyncIterable<unknown>>
> = {
  send: (transport) => transport.sendMessage(request),
  stream: (transport) => transport.sendMessageStream(request),
  get: (transport) => transport.getTask(GetTaskRequest.fromJSON({ ...task, historyLength: 0 })),
  list: (transport) =>
    transport.listTasks({ ...tasks, status: TaskState.TASK_STATE_WORKING, includeArtifacts: true }),
  cancel: (transport) => transport.cancelTask(CancelTaskRequest.fromJSON(task)),
  subscribe: (transport) => transport.resubscribeTask(task),
  push_set: (transport) => transport.createTaskPushNotificationConfig(hook),
  push_get: (transport) => transport.getTaskPushNotificationConfig(config),
  push_list: (transport) =>
    transport.listTaskPushNotificationConfig({
      tenant: 'acme',
      taskId: 't',
      pageSize: 0,
      pageToken: '',
    }),
  push_delete: (transport) => transport.deleteTaskPushNotificationConfig(config),
  extended_card: (transport) => transport.getExtendedAgentCard({ tenant: 'acme' }),
}

describe('the REST binding as the client of SDK 1.3.0 speaks it', () => {
  it.each(Object.entries(CURRENT))(
    'is read as the call that it makes of JSON-RPC: %s',
    async (_name, call) => {
      const { asked, fetchImpl } = ear()
      const card = AgentCard.fromJSON({})
      const rpc = await new JsonRpcTransportFactory({ fetchImpl }).create(BASE, card)
      const rest = await new RestTransportFactory({ fetchImpl }).create(BASE, card)
      for (const transport of [rpc, rest]) await drain(call(transport))
      const [byRpc, byRest] = asked
      expect(asked).toHaveLength(2)
      expect(byRest?.method).toBe(byRpc?.method)
      expect(bare(byRest?.params ?? null)).toEqual(bare(byRpc?.params ?? null))
    },
  )
})

const legacyParams = {
  message: {
    kind: 'message' as const,
    messageId: 'm',
    role: 'user' as const,
    parts: [
      { kind: 'text' as const, text: 'hi' },
      { kind: 'data' as const, data: { a: [1] } },
      { kind: 'file' as const, file: { uri: 'https://f.example/', mimeType: 'a/b' } },
    ],
    contextId: 'c',
  },
  configuration: { blocking: true, acceptedOutputModes: ['text/plain'] },
  metadata: { k: 'v' },
}
const legacyHook = { taskId: 't', pushNotificationConfig: { id: 'p', url: 'https://h.example/' } }

const LEGACY: Readonly<
  Record<string, (transport: Rest03 | Rpc03) => Promise<unknown> | AsyncIterable<unknown>>
> = {
  send: (transport) => transport.sendMessage(legacyParams),
  stream: (transport) => transport.sendMessageStream(legacyParams),
  get: (transport) => transport.getTask({ id: 'task/1', historyLength: 3 }),
  cancel: (transport) => transport.cancelTask({ id: 'task/1' }),
  subscribe: (transport) => transport.resubscribeTask({ id: 't' }),
  push_set: (transport) => transport.setTaskPushNotificationConfig(legacyHook),
  push_get: (transport) =>
    transport.getTaskPushNotificationConfig({ id: 't', pushNotificationConfigId: 'p' }),
  push_list: (transport) => transport.listTaskPushNotificationConfig({ id: 't' }),
  push_delete: (transport) =>
    transport.deleteTaskPushNotificationConfig({ id: 't', pushNotificationConfigId: 'p' }),
  extended_card: (transport) => transport.getExtendedAgentCard(),
}

describe('the REST binding as the client of SDK 0.3.14 speaks it', () => {
  it.each(Object.entries(LEGACY))(
    'is read as the call that it makes of JSON-RPC: %s',
    async (_name, call) => {
      const { asked, fetchImpl } = ear()
      const rpc = new Rpc03({ endpoint: BASE, fetchImpl })
      const rest = new Rest03({ endpoint: BASE, fetchImpl })
      for (const transport of [rpc, rest]) await drain(call(transport))
      const [byRpc, byRest] = asked
      expect(asked).toHaveLength(2)
      expect(byRest?.method).toBe(byRpc?.method)
      expect(bare(byRest?.params ?? null)).toEqual(bare(byRpc?.params ?? null))
    },
  )
})
