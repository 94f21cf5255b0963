/** @module How the task stands that the agent has made of a delivery (contract/a2a 2.8). */
import { findLiveWorkspace } from '../../db/workspace-store.ts'
import type { Delivery } from '../../domain/delivery.ts'
import type { AskedTask } from '../streams/whole-stream.ts'
import type { AgentDialects } from './agent-dialect.ts'
import { type TaskAgentDeps, taskAgent } from './task-agent.ts'

export async function askDelivery(
  deps: TaskAgentDeps & { readonly dialects: AgentDialects },
  { workspaceId, upstreamTaskId, dialect: own }: Delivery,
  signal: AbortSignal,
): Promise<AskedTask> {
  const row = await findLiveWorkspace(deps.db, workspaceId)
  if (row === undefined || upstreamTaskId === null) return { kind: 'absent' }
  const dialect = deps.dialects.choose(row, own === '1.0' ? '1.0' : '0.3')
  return await taskAgent(deps, { workspaceId, upstreamTaskId, dialect }).askTask(signal)
}
