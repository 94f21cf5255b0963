/**
 * @module Webhooks of callers that the platform keeps and calls itself: `push-ownership.ts` says when
 * (contract/a2a 1.9, 2.6). Of the others the agent is asked, as it is.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import type { Operation } from '@atrium/a2a-schema/method'
import { isTerminal, readState } from '@atrium/a2a-schema/task-state'
import { translateRequest } from '@atrium/a2a-schema/translate/request'
import { translateResult } from '@atrium/a2a-schema/translate/result'
import { findAppError } from '@atrium/http-kit/app-error'
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import type { Delivery } from '../../domain/delivery.ts'
import type { PushConfig } from '../../domain/push-config.ts'
import {
  dropPushConfig,
  keepPushConfig,
  type PushConfigDeps,
  readPushConfig,
  readPushConfigs,
} from '../push/push-configs.ts'
import type { TaskStreams } from '../streams/task-streams.ts'
import { type AgentOfTaskDeps, agentOfTask, askedTask, dialectsOf } from './agent-of-task.ts'
import type { GatewayAnswer } from './gateway-call.ts'
import { aliasOf, deliveryOfTask, taskIdOf } from './known-task.ts'
import { resultAnswer } from './own-task.ts'
import type { ReadableMessage } from './readable-message.ts'
import { invalidParams, RpcRefusal, taskNotFound } from './rpc-problem.ts'
import { senderText } from './sender-text.ts'
import { taskAgent } from './task-agent.ts'

export type PushOperationDeps = PushConfigDeps & AgentOfTaskDeps & { readonly streams: TaskStreams }

export type PushOperation = Extract<Operation, `push_${string}`>

export function isPushOperation(operation: Operation | undefined): operation is PushOperation {
  return operation?.startsWith('push_') === true
}

export async function pushOperation(
  deps: PushOperationDeps,
  message: ReadableMessage,
  { operation, mode }: { readonly operation: PushOperation; readonly mode: DeliveryMode },
): Promise<GatewayAnswer> {
  const { own } = dialectsOf(deps, message)
  const given = translateRequest({ operation, params: message.request.params }, own, '1.0')
  const params = isJsonObject(given) ? given : {}
  const result =
    operation === 'push_set'
      ? await setConfig(deps, message, { params, mode })
      : await RESULTS[operation](deps, message, params)
  return resultAnswer(
    message,
    translateResult({ operation, result }, '1.0', message.dialect) ?? null,
  )
}

type Handler = (
  deps: PushOperationDeps,
  message: ReadableMessage,
  params: JsonObject,
) => Promise<JsonValue>

const RESULTS: Readonly<Record<Exclude<PushOperation, 'push_set'>, Handler>> = {
  push_get: async (deps, message, params) => {
    const key = { key: keyOf(message, params), configId: textOf(params['id']) }
    // In 0.3 a task has one that needs no name.
    const [only] =
      key.configId === '' ? await readPushConfigs(deps, key.key, viewerOf(message)) : []
    const config = only ?? (await readPushConfig(deps, key, viewerOf(message)))
    if (config === undefined) throw new RpcRefusal(taskNotFound(key.key.taskId))
    return written(config)
  },
  push_list: async (deps, message, params) => {
    const configs = await readPushConfigs(deps, keyOf(message, params), viewerOf(message))
    return { configs: configs.map(written), nextPageToken: '' }
  },
  push_delete: async (deps, message, params) => {
    const key = { key: keyOf(message, params), configId: textOf(params['id']) }
    await dropPushConfig(deps, key, viewerOf(message))
    return {}
  },
}

async function setConfig(
  deps: PushOperationDeps,
  message: ReadableMessage,
  { params, mode }: { readonly params: JsonObject; readonly mode: DeliveryMode },
): Promise<JsonValue> {
  const waiting = await waitingDelivery(deps, message, mode)
  if (waiting !== undefined) {
    const config = { ...configOf(deps, message, params), deliveryId: waiting.id }
    await kept(deps, config)
    return written(config)
  }
  const found = await agentOfTask(deps, message)
  const task = await askedTask(found)
  const config = configOf(deps, message, params)
  await kept(deps, config)
  const { upstreamTaskId, dialect } = found
  if (!hasEnded(task)) {
    const { key, sender } = config
    const agentOf = (taskId: string) => taskAgent(deps, { ...key, dialect, upstreamTaskId: taskId })
    await deps.streams.watch({ key, sender, dialect, upstreamTaskId, agentOf })
  }
  return written(config)
}

/** The message that the caller means by a task which its agent cannot be asked about. */
async function waitingDelivery(
  deps: PushOperationDeps,
  message: ReadableMessage,
  mode: DeliveryMode,
): Promise<Delivery | undefined> {
  const taskId = taskIdOf(message.request.params)
  const delivery = await deliveryOfTask(deps.db, { ...message.call, taskId })
  if (delivery === undefined && mode === 'poll') throw new RpcRefusal(taskNotFound(taskId ?? ''))
  const isAskable = delivery?.mode === 'push' && aliasOf(delivery) !== undefined
  return isAskable ? undefined : delivery
}

async function kept(deps: PushConfigDeps, config: PushConfig): Promise<void> {
  try {
    if (await keepPushConfig(deps, config)) return
  } catch (error) {
    const known = findAppError(error)
    if (known?.code !== 'invalid_agent_url' && known?.code !== 'invalid_request_body') throw error
    throw new RpcRefusal(invalidParams('params.url', known.publicText))
  }
  throw new RpcRefusal(invalidParams('params.id', 'this id is taken'))
}

function hasEnded(task: JsonObject | undefined): boolean {
  const status = task?.['status']
  const state = isJsonObject(status) ? readState(status['state']) : undefined
  return state !== undefined && isTerminal(state)
}

function configOf(
  deps: PushOperationDeps,
  message: ReadableMessage,
  params: JsonObject,
): PushConfig {
  const { own } = dialectsOf(deps, message)
  const { authentication } = params
  const known = isJsonObject(authentication) ? authentication : {}
  const key = keyOf(message, params)
  const id = textOf(params['id'])
  const unnamed = own === '1.0' ? deps.ids.uuid() : key.taskId
  return {
    key,
    configId: id === '' ? unnamed : id,
    sender: senderText(message.call.caller),
    dialect: own,
    url: textOf(params['url']),
    token: optionalText(params['token']),
    scheme: optionalText(known['scheme']),
    credentials: optionalText(known['credentials']),
  }
}

function keyOf(message: ReadableMessage, params: JsonObject) {
  return { workspaceId: message.call.workspaceId, taskId: textOf(params['taskId']) }
}

/** Who runs the workspace sees the webhooks of all. */
function viewerOf({ call }: ReadableMessage): string | undefined {
  return call.caller.kind === 'operator' ? undefined : senderText(call.caller)
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : ''
}

function optionalText(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** As 1.0 writes it; its credentials are told to nobody again. */
function written({ key, configId, url, token, scheme }: PushConfig): JsonObject {
  return {
    taskId: key.taskId,
    id: configId,
    url,
    ...(token === undefined ? {} : { token }),
    ...(scheme === undefined ? {} : { authentication: { scheme } }),
  }
}
