/** @module JSON shapes of cards, peers and access (contract/platform 2.4). */
import { registerRequest } from '@atrium/runtime-contract/registration'
import { z } from 'zod'
import { WORKSPACE_STATUSES } from '../../domain/workspace-status.ts'
import type { Workspace } from '../../services/find-workspace.ts'

export const updateCardRequest = z.object({
  workspace_id: z.string().min(1),
  agent_card: registerRequest.shape.agent_card,
})

export const checkAccessRequest = z.object({
  caller_id: z.string().min(1),
  target_id: z.string().min(1),
})

export const cardUpdatedResponse = z.object({ status: z.literal('updated') })
export const accessResponse = z.object({ allowed: z.boolean() })
export const discoveredResponse = z.object({ id: z.uuid(), url: z.string(), name: z.string() })

/** Contract/platform 2.4: exactly these keys. */
export const peerResponse = z
  .object({
    id: z.uuid(),
    name: z.string(),
    role: z.string().nullable(),
    tier: z.int(),
    status: z.enum(WORKSPACE_STATUSES),
    url: z.string(),
    parent_id: z.uuid().nullable(),
    active_tasks: z.int(),
    agent_card: z.unknown(),
  })
  .meta({ id: 'Peer' })

export function renderPeer(row: Workspace): z.input<typeof peerResponse> {
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
