/** @module Which agent has the task that a caller speaks of, what it calls it, and how it is asked. */
import type { JsonObject } from '@atrium/a2a-schema/lossless-json'
import type { AgentDialect } from '../../domain/task-stream.ts'
import type { AskedTask, TaskAgent } from '../streams/whole-stream.ts'
import { type AgentDialects, otherDialect } from './agent-dialect.ts'
import { aliasOf, deliveryOfTask, taskIdOf } from './known-task.ts'
import type { ReadableMessage } from './readable-message.ts'
import { RpcRefusal, taskNotFound } from './rpc-problem.ts'
import { type TaskAgentDeps, taskAgent } from './task-agent.ts'

export type AgentOfTaskDeps = TaskAgentDeps & { readonly dialects: AgentDialects }

/** An answer that takes longer is none for who waits for it. */
const ASK_MS = 10_000

/** How the caller speaks, and how its agent does. */
export function dialectsOf(
  deps: Pick<AgentOfTaskDeps, 'dialects'>,
  message: ReadableMessage,
): { readonly own: AgentDialect; readonly to: AgentDialect } {
  const own = message.dialect === '1.0' ? '1.0' : '0.3'
  return { own, to: deps.dialects.choose(message.target, own) }
}

/** Whether agent and caller do not understand each other without the gateway (contract/a2a 2.6). */
export function isTranslated(
  deps: Pick<AgentOfTaskDeps, 'dialects'>,
  message: ReadableMessage,
): boolean {
  const { own, to } = dialectsOf(deps, message)
  return to === otherDialect(own)
}

export type TaskOfAgent = {
  /** As the caller knows it. */
  readonly taskId: string
  readonly upstreamTaskId: string
  readonly dialect: AgentDialect
  readonly agent: TaskAgent
}

export async function agentOfTask(
  deps: AgentOfTaskDeps,
  message: ReadableMessage,
): Promise<TaskOfAgent> {
  const { call } = message
  const taskId = taskIdOf(message.request.params) ?? ''
  const delivery = await deliveryOfTask(deps.db, { ...call, taskId })
  const upstreamTaskId = (delivery && aliasOf(delivery)?.upstream) ?? taskId
  const { to: dialect } = dialectsOf(deps, message)
  const { workspaceId } = call
  const agent = taskAgent(deps, { workspaceId, upstreamTaskId, dialect })
  return { taskId, upstreamTaskId, dialect, agent }
}

/** How the task stands; undefined when its agent cannot be asked now. Throws for one it does not know. */
export async function askedTask({ agent, taskId }: TaskOfAgent): Promise<JsonObject | undefined> {
  const asked: AskedTask = await agent.askTask(AbortSignal.timeout(ASK_MS))
  if (asked.kind === 'absent') throw new RpcRefusal(taskNotFound(taskId))
  return asked.kind === 'task' ? asked.task : undefined
}
