/**
 * The translator inside `@a2a-js/sdk` 1.3.0, through what the package exports: its server handler for
 * 0.3 clients in front of an agent of 1.0, and its client transport for 0.3 agents. Nothing is sent.
 */
import { isJsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import { methodName, type Operation } from '@atrium/a2a-schema/method'
import {
  AgentCard,
  CancelTaskRequest,
  DeleteTaskPushNotificationConfigRequest,
  GetTaskPushNotificationConfigRequest,
  GetTaskRequest,
  ListTaskPushNotificationConfigsRequest,
  ListTaskPushNotificationConfigsResponse,
  Message,
  SendMessageRequest,
  StreamResponse,
  SubscribeToTaskRequest,
  Task,
  TaskPushNotificationConfig,
} from 'a2a-sdk-1-3-0'
import { LegacyJsonRpcTransport } from 'a2a-sdk-1-3-0/compat/v0_3/client'
import { LegacyJsonRpcTransportHandler } from 'a2a-sdk-1-3-0/compat/v0_3/server'
import { type A2ARequestHandler, ServerCallContext } from 'a2a-sdk-1-3-0/server'

/** What one side asked and what the other was answered, both after translation. */
export type Exchange = { readonly asked: JsonValue; readonly answered: JsonValue }

export function plain(value: unknown): JsonValue {
  return JSON.parse(JSON.stringify(value ?? null))
}

function member(value: JsonValue, name: string): JsonValue {
  return isJsonObject(value) ? (value[name] ?? null) : null
}

function taskOrMessage(answer: JsonValue): Task | Message {
  const task = member(answer, 'task')
  return task === null ? Message.fromJSON(member(answer, 'message')) : Task.fromJSON(task)
}

/** An agent of 1.0 that keeps what it is asked and gives one answer. */
class ScriptedAgent implements A2ARequestHandler {
  asked: JsonValue = null
  readonly #answer: JsonValue

  constructor(answer: JsonValue) {
    this.#answer = answer
  }

  #keep<T>(codec: { toJSON(value: T): unknown }, value: T): JsonValue {
    this.asked = plain(codec.toJSON(value))
    return this.#answer
  }

  getAgentCard = async () => AgentCard.fromJSON({ capabilities: { streaming: true } })
  getAuthenticatedExtendedAgentCard = async () => AgentCard.fromJSON(this.#answer)
  sendMessage = async (asked: SendMessageRequest) =>
    taskOrMessage(this.#keep(SendMessageRequest, asked))
  async *sendMessageStream(asked: SendMessageRequest) {
    yield StreamResponse.fromJSON(this.#keep(SendMessageRequest, asked))
  }
  getTask = async (asked: GetTaskRequest) => Task.fromJSON(this.#keep(GetTaskRequest, asked))
  cancelTask = async (asked: CancelTaskRequest) =>
    Task.fromJSON(this.#keep(CancelTaskRequest, asked))
  createTaskPushNotificationConfig = async (asked: TaskPushNotificationConfig) =>
    TaskPushNotificationConfig.fromJSON(this.#keep(TaskPushNotificationConfig, asked))
  getTaskPushNotificationConfig = async (asked: GetTaskPushNotificationConfigRequest) =>
    TaskPushNotificationConfig.fromJSON(this.#keep(GetTaskPushNotificationConfigRequest, asked))
  listTaskPushNotificationConfigs = async (asked: ListTaskPushNotificationConfigsRequest) =>
    ListTaskPushNotificationConfigsResponse.fromJSON(
      this.#keep(ListTaskPushNotificationConfigsRequest, asked),
    )
  deleteTaskPushNotificationConfig = async (asked: DeleteTaskPushNotificationConfigRequest) => {
    this.#keep(DeleteTaskPushNotificationConfigRequest, asked)
  }
  async *resubscribe(asked: SubscribeToTaskRequest) {
    yield StreamResponse.fromJSON(this.#keep(SubscribeToTaskRequest, asked))
  }
  listTasks = () => Promise.reject(new Error('0.3 has no such method'))
}

/** A 0.3 client asks `params`, a 1.0 agent answers `answer`. */
export async function legacyClientAsks(
  operation: Operation,
  params: JsonValue,
  answer: JsonValue,
): Promise<Exchange> {
  const agent = new ScriptedAgent(answer)
  const body = { jsonrpc: '2.0', id: 1, method: methodName(operation, '0.3'), params }
  const handler = new LegacyJsonRpcTransportHandler(agent)
  const reply = await handler.handle(body, new ServerCallContext())
  if (!(Symbol.asyncIterator in reply)) return { asked: agent.asked, answered: replied(reply) }
  let answered: JsonValue = null
  for await (const event of reply) answered = replied(event)
  return { asked: agent.asked, answered }
}

function replied(reply: object): JsonValue {
  const error = member(plain(reply), 'error')
  if (error !== null) throw new Error(JSON.stringify(error))
  return member(plain(reply), 'result')
}

type ClientCall = (transport: LegacyJsonRpcTransport, asked: JsonValue) => Promise<JsonValue>

async function firstEvent(events: AsyncIterable<StreamResponse>): Promise<JsonValue> {
  for await (const event of events) return plain(StreamResponse.toJSON(event))
  return null
}

const CLIENT_CALLS: Readonly<Partial<Record<Operation, ClientCall>>> = {
  send: async (transport, asked) => {
    const answer = await transport.sendMessage(SendMessageRequest.fromJSON(asked))
    return 'messageId' in answer
      ? { message: plain(Message.toJSON(answer)) }
      : { task: plain(Task.toJSON(answer)) }
  },
  stream: (transport, asked) =>
    firstEvent(transport.sendMessageStream(SendMessageRequest.fromJSON(asked))),
  subscribe: (transport, asked) =>
    firstEvent(transport.resubscribeTask(SubscribeToTaskRequest.fromJSON(asked))),
  get: async (transport, asked) =>
    plain(Task.toJSON(await transport.getTask(GetTaskRequest.fromJSON(asked)))),
  cancel: async (transport, asked) =>
    plain(Task.toJSON(await transport.cancelTask(CancelTaskRequest.fromJSON(asked)))),
  push_set: async (transport, asked) => {
    const config = TaskPushNotificationConfig.fromJSON(asked)
    const answer = await transport.createTaskPushNotificationConfig(config)
    return plain(TaskPushNotificationConfig.toJSON(answer))
  },
  push_get: async (transport, asked) => {
    const request = GetTaskPushNotificationConfigRequest.fromJSON(asked)
    const answer = await transport.getTaskPushNotificationConfig(request)
    return plain(TaskPushNotificationConfig.toJSON(answer))
  },
  push_list: async (transport, asked) => {
    const request = ListTaskPushNotificationConfigsRequest.fromJSON(asked)
    const answer = await transport.listTaskPushNotificationConfig(request)
    return plain(ListTaskPushNotificationConfigsResponse.toJSON(answer))
  },
  push_delete: async (transport, asked) => {
    const request = DeleteTaskPushNotificationConfigRequest.fromJSON(asked)
    await transport.deleteTaskPushNotificationConfig(request)
    return {}
  },
  extended_card: async (transport) =>
    plain(AgentCard.toJSON(await transport.getExtendedAgentCard({ tenant: '' }))),
}

/** A 1.0 client asks `params`, a 0.3 agent answers `answer`. */
export async function legacyAgentIsAsked(
  operation: Operation,
  params: JsonValue,
  answer: JsonValue,
): Promise<Exchange> {
  let asked: JsonValue = null
  const transport = new LegacyJsonRpcTransport({
    endpoint: 'http://agent.invalid/',
    fetchImpl: async (_url, init) => {
      const body: JsonValue = JSON.parse(String(init?.body))
      asked = member(body, 'params')
      const reply = JSON.stringify({ jsonrpc: '2.0', id: member(body, 'id'), result: answer })
      return operation === 'stream' || operation === 'subscribe'
        ? new Response(`data: ${reply}\n\n`, { headers: { 'content-type': 'text/event-stream' } })
        : new Response(reply, { headers: { 'content-type': 'application/json' } })
    },
  })
  const answered = await CLIENT_CALLS[operation]?.(transport, params)
  return { asked, answered: answered ?? null }
}
