/** @module JSON shapes of cards, peers and access (contract/platform 2.4). */
import { registerRequest } from '@atrium/runtime-contract/registration'
import { z } from 'zod'
import type { Workspace } from '../../services/find-workspace.ts'

export const updateCardRequest = z.object({
  workspace_id: z.string().min(1),
  agent_card: registerRequest.shape.agent_card,
})

export const checkAccessRequest = z.object({
  caller_id: z.string().min(1),
  target_id: z.string().min(1),
})

/** Contract/platform 2.4: exactly these keys. */
export function renderPeer(row: Workspace): Record<string, unknown> {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    tier: row.tier,
    status: row.status,
    url: row.endpointUrl ?? row.agentUrl ?? '',
    parent_id: row.parentId,
    active_tasks: row.activeTasks,
    agent_card: row.agentCard,
  }
}
