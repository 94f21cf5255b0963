/** @module Whose business callers' webhooks are: the agent's, or the platform's in its place (contract/a2a 2.6). */
import { isJsonObject } from '@atrium/a2a-schema/lossless-json'
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import type { Workspace } from '../find-workspace.ts'
import { cardOf } from './agent-card.ts'
import { type AgentOfTaskDeps, isTranslated } from './agent-of-task.ts'
import { aliasOf, deliveryOfTask, taskIdOf } from './known-task.ts'
import type { ReadableMessage } from './readable-message.ts'

/** Whether the agent is to be asked to call webhooks: unless its card says that it calls none. */
export function callsWebhooks(row: Workspace): boolean {
  const capabilities = cardOf(row)?.['capabilities']
  return !isJsonObject(capabilities) || capabilities['pushNotifications'] !== false
}

/**
 * The platform's: of who speaks another dialect than the caller, of who calls none, and of a task
 * that its agent does not know, or knows by another name.
 */
export async function isPushOurs(
  deps: AgentOfTaskDeps,
  message: ReadableMessage,
  mode: DeliveryMode,
): Promise<boolean> {
  if (mode === 'poll' || isTranslated(deps, message) || !callsWebhooks(message.target)) return true
  const taskId = taskIdOf(message.request.params)
  const delivery = await deliveryOfTask(deps.db, { ...message.call, taskId })
  return delivery !== undefined && (delivery.finishedAt === null || aliasOf(delivery) !== undefined)
}
