/** @module What `/workspaces` answers with (contract/platform 7.1, 7.7, 7.9). */
import { DELIVERY_MODES } from '@atrium/runtime-contract/registration'
import { z } from 'zod'
import { WORKSPACE_STATUSES } from '../../domain/workspace-status.ts'

const status = z.enum(WORKSPACE_STATUSES)
const moment = z.iso.datetime()

/** What anybody may read. */
export const publicWorkspaceResponse = z
  .object({
    id: z.uuid(),
    name: z.string(),
    role: z.string().nullable(),
    tier: z.int(),
    status,
    status_reason: z.string().nullable(),
    agent_card: z.unknown(),
    url: z.string().nullable(),
    parent_id: z.uuid().nullable(),
    active_tasks: z.int(),
    max_concurrent_tasks: z.int(),
    last_error_rate: z.number(),
    uptime_seconds: z.int(),
    runtime: z.string(),
    isolation: z.enum(['process', 'sandbox', 'container', 'machine']).nullable(),
    delivery_mode: z.enum(DELIVERY_MODES).nullable(),
    x: z.number(),
    y: z.number(),
    collapsed: z.boolean(),
    created_at: moment,
    updated_at: moment,
  })
  .meta({ id: 'PublicWorkspace' })

export const singleWorkspaceResponse = publicWorkspaceResponse
  .extend({ last_outbound_at: moment.nullable() })
  .meta({ id: 'SingleWorkspace' })

export const workspaceResponse = publicWorkspaceResponse
  .extend({
    last_sample_error: z.string(),
    current_task: z.string(),
    workspace_dir: z.string().nullable(),
    budget_limit: z.int().nullable(),
    monthly_spend: z.int(),
    hibernation_idle_minutes: z.int().nullable(),
  })
  .meta({ id: 'Workspace' })

/** Shown once: it has the workspace's token in it. */
export const connectionBlock = z
  .object({
    workspace_id: z.uuid(),
    platform_url: z.string(),
    auth_token: z.string(),
    registry_endpoint: z.string(),
    heartbeat_endpoint: z.string(),
    org_id: z.string().optional(),
    curl_register_template: z.string(),
    python_snippet: z.string(),
    claude_code_channel_snippet: z.string(),
    atrium_connect_snippet: z.string(),
  })
  .meta({ id: 'Connection' })

export const createdResponse = z.union([
  z.object({
    id: z.uuid(),
    status: z.literal('provisioning'),
    awareness_namespace: z.string(),
    workspace_access: z.literal('none'),
  }),
  z.object({ id: z.uuid(), external: z.literal(true), status: z.literal('online') }),
  z.object({
    id: z.uuid(),
    external: z.literal(true),
    status: z.literal('awaiting_agent'),
    connection: connectionBlock,
  }),
])

export const removalResponse = z.object({
  status: z.enum(['removed', 'purged']),
  cascade_deleted: z.int(),
})

export const consoleResponse = z.object({ output: z.string() })

export const updatedWorkspaceResponse = z.object({
  status: z.literal('updated'),
  needs_restart: z.boolean().optional(),
})

export const stateResponse = z.object({
  workspace_id: z.uuid(),
  status,
  paused: z.boolean(),
  deleted: z.boolean(),
})
