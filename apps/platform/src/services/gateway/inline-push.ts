/**
 * @module A webhook that comes with a message: an agent of the other dialect does not get it, the
 * platform calls it (contract/a2a 1.9, 2.6).
 */
import { isJsonObject, type JsonObject, type JsonValue } from '@atrium/a2a-schema/lossless-json'
import { taskPushConfigToV10 } from '@atrium/a2a-schema/translate/push-config'
import { findAppError } from '@atrium/http-kit/app-error'
import type { Ids } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import { loggableDatabaseError } from '../../db/db-error.ts'
import type { AgentDialect, TaskKey } from '../../domain/task-stream.ts'
import { validateAgentUrl } from '../../upstream/agent-address.ts'
import { keepPushConfig, type PushConfigDeps } from '../push/push-configs.ts'
import { invalidParams, RpcRefusal } from './rpc-problem.ts'

export type InlinePushDeps = PushConfigDeps & { readonly ids: Ids; readonly log: Logger }

const NAMES = ['taskPushNotificationConfig', 'pushNotificationConfig'] as const

/** The configuration as 1.0 writes it; undefined when the message brings none. */
export function inlinePush(params: JsonValue | undefined): JsonObject | undefined {
  const configuration = isJsonObject(params) ? params['configuration'] : undefined
  if (!isJsonObject(configuration)) return undefined
  const given = NAMES.map((name) => configuration[name]).find(isJsonObject)
  const config = given && taskPushConfigToV10(given)
  return isJsonObject(config) ? config : undefined
}

/** What is left for the agent. */
export function withoutInlinePush(params: JsonValue | undefined): JsonValue | undefined {
  const configuration = isJsonObject(params) ? params['configuration'] : undefined
  if (!isJsonObject(params) || !isJsonObject(configuration)) return params
  const names: readonly string[] = NAMES
  const rest = Object.entries(configuration).filter(([name]) => !names.includes(name))
  return { ...params, configuration: Object.fromEntries(rest) }
}

/** Before the message is sent: its sender is the one who can mend it. */
export async function assertInlinePush(deps: PushConfigDeps, config: JsonObject): Promise<void> {
  const { addressPolicy: policy, resolve } = deps
  const options = { policy, resolve, mayBeUnresolved: true }
  try {
    await validateAgentUrl(textOf(config['url']) ?? '', options)
  } catch (error) {
    const known = findAppError(error)
    if (known === undefined) throw error
    const field = 'params.configuration.taskPushNotificationConfig.url'
    throw new RpcRefusal(invalidParams(field, known.publicText))
  }
}

export type InlinePush = {
  readonly key: TaskKey
  readonly sender: string
  /** How its owner speaks. */
  readonly dialect: AgentDialect
  readonly config: JsonObject
  /** Of a message that has to wait. */
  readonly deliveryId?: string | undefined
}

/** Whether it is kept. The message has been sent: what goes wrong is said in the log. */
export async function keepInlinePush(deps: InlinePushDeps, push: InlinePush): Promise<boolean> {
  const { key, sender, dialect, config, deliveryId } = push
  const { authentication } = config
  const known = isJsonObject(authentication) ? authentication : {}
  try {
    return await keepPushConfig(deps, {
      ...{ key, sender, dialect, url: textOf(config['url']) ?? '' },
      configId: textOf(config['id']) ?? (dialect === '1.0' ? deps.ids.uuid() : key.taskId),
      token: textOf(config['token']),
      scheme: textOf(known['scheme']),
      credentials: textOf(known['credentials']),
      deliveryId,
    })
  } catch (error) {
    const { workspaceId } = key
    deps.log.warn(
      { workspace_id: workspaceId, err: loggableDatabaseError(error) },
      'push.config_not_kept',
    )
    return false
  }
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
