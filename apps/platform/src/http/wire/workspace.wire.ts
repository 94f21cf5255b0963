/** @module JSON shapes of `/workspaces` (contract/platform 7.1, 7.9). snake_case lives here (H9). */
import { AppError } from '@atrium/http-kit/app-error'
import { Secret } from '@atrium/http-kit/secret'
import { z } from 'zod'
import { parseDeliveryMode } from '../../domain/delivery-mode.ts'
import { parseWorkspaceId } from '../../domain/ids.ts'
import { EXTERNAL_RUNTIME_KIND } from '../../domain/runtime-kind.ts'
import { subWorkspaces } from '../../domain/template-config.ts'
import type { Created, CreateInput } from '../../services/create-workspace.ts'
import type { Workspace } from '../../services/find-workspace.ts'
import { type ConnectionFacts, renderConnection } from './connection.wire.ts'
import { INT4_MAX, workspaceLabel, workspaceName, workspaceRole } from './workspace-fields.wire.ts'
import type {
  createdResponse,
  publicWorkspaceResponse,
  singleWorkspaceResponse,
  stateResponse,
  workspaceResponse,
} from './workspace-response.wire.ts'

const environmentName = /^[A-Za-z_][A-Za-z0-9_]*$/

const DEFAULT_TIER = 3

/** Absent, null and empty are the same to the contract's clients. */
const optionalText = z
  .string()
  .nullish()
  .transform((text) => (text === undefined || text === '' ? null : text))

const runtimeConfig = z.object({
  command: z.string().max(4096).optional(),
  args: z.array(z.string().max(4096)).max(256).optional(),
  timeout: z.number().min(0).optional(),
  required_env: z.array(z.string().max(256)).max(64).optional(),
  sub_workspaces: subWorkspaces.optional(),
})

/** Types and defaults; what the texts may contain is judged afterwards, under its own error. */
export const createBody = z.object({
  name: z.string().transform((text) => text.trim()),
  role: optionalText,
  template: optionalText,
  // Contract/platform 7.1: zero means three.
  tier: z
    .int()
    .min(0)
    .max(4)
    .nullish()
    .transform((tier) => tier || DEFAULT_TIER),
  model: optionalText,
  runtime: optionalText,
  runtime_config: runtimeConfig.nullish().transform((config) => config ?? null),
  external: z.boolean().nullish(),
  url: optionalText,
  delivery_mode: optionalText,
  workspace_dir: optionalText,
  workspace_access: optionalText,
  parent_id: optionalText,
  budget_limit: z
    .int()
    .nullish()
    .transform((cents) => cents ?? null),
  // Contract/platform 7.1: zero and less mean one.
  max_concurrent_tasks: z
    .int()
    .max(INT4_MAX)
    .nullish()
    .transform((tasks) => Math.max(tasks ?? 1, 1)),
  secrets: z
    .record(z.string(), z.string().max(64 * 1024))
    .nullish()
    .transform((secrets) => secrets ?? {}),
  canvas: z
    .object({ x: z.number(), y: z.number() })
    .nullish()
    .transform((canvas) => canvas ?? { x: 0, y: 0 }),
})
type CreateBody = z.output<typeof createBody>

/** Request body -> input. Throws the contract's errors of 7.1 in its order. */
export function parseCreateBody(body: unknown): CreateInput {
  const parsed = createBody.safeParse(body)
  if (!parsed.success) {
    throw new AppError('invalid_workspace_payload', { extensions: fieldsOf(parsed.error) })
  }
  const fields = parsed.data
  const deliveryMode = deliveryModeOf(fields.delivery_mode)
  requireValidFields(fields)
  refuseUnsupported(fields)
  return {
    name: fields.name,
    role: fields.role,
    tier: fields.tier,
    template: fields.template,
    runtimeKind: fields.external === true ? EXTERNAL_RUNTIME_KIND : fields.runtime,
    runtimeConfig: fields.runtime_config,
    model: fields.model,
    url: fields.url ?? undefined,
    deliveryMode,
    parentId: parentIdOf(fields.parent_id),
    budgetLimit: fields.budget_limit,
    maxConcurrentTasks: fields.max_concurrent_tasks,
    canvas: fields.canvas,
    secrets: secretsOf(fields.secrets),
  }
}

/** Which fields are wrong, by name; their values are not repeated. */
function fieldsOf(error: z.ZodError): { readonly fields: readonly string[] } {
  return { fields: error.issues.map((issue) => issue.path.join('.') || '(body)') }
}

function requireValidFields(fields: CreateBody): void {
  const checked = z
    .object({
      name: workspaceName,
      role: workspaceRole.nullish(),
      model: workspaceLabel.nullish(),
      runtime: workspaceLabel.nullish(),
      secrets: z.record(z.string().regex(environmentName), z.string()).nullish(),
      runtime_config: z
        .unknown()
        .refine((config) => !JSON.stringify(config ?? null).includes('\\u0000')),
    })
    .safeParse(fields)
  if (!checked.success) {
    throw new AppError('invalid_workspace_fields', { extensions: fieldsOf(checked.error) })
  }
}

/** What this platform's back-ends cannot do is refused, not silently dropped. */
function refuseUnsupported(fields: CreateBody): void {
  const access = fields.workspace_access ?? 'none'
  if (!['none', 'read_only', 'read_write'].includes(access)) {
    throw new AppError('invalid_workspace_access')
  }
  if (fields.workspace_dir !== null) {
    throw new AppError('invalid_workspace_directory', {
      message: 'invalid workspace directory: the process provisioner gives every workspace its own',
    })
  }
  if (access === 'read_only' || access === 'read_write') {
    throw new AppError('invalid_workspace_access')
  }
}

function deliveryModeOf(text: string | null) {
  if (text === null) return null
  const mode = parseDeliveryMode(text)
  if (mode === undefined) throw new AppError('invalid_delivery_mode')
  return mode
}

function parentIdOf(text: string | null) {
  if (text === null) return null
  const id = parseWorkspaceId(text)
  if (id === undefined) {
    throw new AppError('invalid_workspace_fields', { extensions: { fields: ['parent_id'] } })
  }
  return id
}

function secretsOf(values: Readonly<Record<string, string>>): Record<string, Secret> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, new Secret(value)]))
}

/** Answer to a creation (contract/platform 7.1, 7.2). The token is shown this once. */
export function renderCreated(
  created: Created,
  connection: ConnectionFacts,
): z.input<typeof createdResponse> {
  switch (created.kind) {
    case 'provisioning':
      return {
        id: created.id,
        status: 'provisioning',
        awareness_namespace: `workspace:${created.id}`,
        workspace_access: 'none',
      }
    case 'external_online':
      return { id: created.id, external: true, status: 'online' }
    case 'external_awaiting':
      return {
        id: created.id,
        external: true,
        status: 'awaiting_agent',
        connection: renderConnection(created.id, created.authToken, connection),
      }
  }
}

/** A row of `GET /workspaces` (contract/platform 7.9). */
export function renderWorkspace(row: Workspace): z.input<typeof workspaceResponse> {
  return {
    ...renderPublicWorkspace(row),
    url: row.endpointUrl ?? row.agentUrl,
    agent_card: row.agentCard,
    last_sample_error: row.lastSampleError,
    current_task: row.currentTask,
    workspace_dir: row.workspaceDir,
    budget_limit: row.budgetLimit,
    monthly_spend: row.monthlySpend,
    hibernation_idle_minutes: row.hibernationIdleMinutes,
  }
}

/** The single read for the workspace's own callers: contract/platform 7.9 strips the starred keys. */
export function renderSingleWorkspace(row: Workspace): z.input<typeof singleWorkspaceResponse> {
  return {
    ...renderPublicWorkspace(row),
    url: row.endpointUrl ?? row.agentUrl,
    agent_card: row.agentCard,
    last_outbound_at: row.lastOutboundAt?.toISOString() ?? null,
  }
}

/** What anybody may read: neither where the agent is nor what it says about itself (wart W16). */
export function renderPublicWorkspace(row: Workspace): z.input<typeof publicWorkspaceResponse> {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    tier: row.tier,
    status: row.status,
    status_reason: row.statusReason,
    agent_card: null,
    url: null,
    parent_id: row.parentId,
    active_tasks: row.activeTasks,
    max_concurrent_tasks: row.maxConcurrentTasks,
    last_error_rate: row.lastErrorRate,
    uptime_seconds: row.uptimeSeconds,
    runtime: row.runtimeKind,
    isolation: row.isolation,
    delivery_mode: row.deliveryMode,
    x: row.canvasX,
    y: row.canvasY,
    collapsed: row.canvasCollapsed,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  }
}

/** What a poller needs (contract/platform 7.9). */
export function renderState(row: Workspace): z.input<typeof stateResponse> {
  return {
    workspace_id: row.id,
    status: row.status,
    paused: row.status === 'paused',
    deleted: false,
  }
}
