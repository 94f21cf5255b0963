/** @module JSON shapes of `/workspaces` (contract/platform 7.1, 7.9). snake_case lives here (H9). */
import { AppError } from '@atrium/http-kit/app-error'
import { Secret } from '@atrium/http-kit/secret'
import { z } from 'zod'
import type { Workspace } from '../../services/find-workspace.ts'
import { parseDeliveryMode } from '../../domain/delivery-mode.ts'
import { parseWorkspaceId } from '../../domain/ids.ts'
import { DEFAULT_RUNTIME_KIND, EXTERNAL_RUNTIME_KIND } from '../../domain/runtime-kind.ts'
import type { Created, CreateInput } from '../../services/create-workspace.ts'

/** Contract/platform 7.1: no line break and none of these, which config.yaml would read as syntax. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
const FORBIDDEN_IN_NAMES = /[\u0000-\u001f\u007f{}[\]|>*&!]/

const name = z.string().trim().min(1).max(255).refine(isPlain)
const role = z.string().max(1000).refine(isPlain)
const label = z
  .string()
  .max(100)
  .regex(/^[^\r\n\0]*$/)
const environmentName = /^[A-Za-z_][A-Za-z0-9_]*$/

function isPlain(text: string): boolean {
  return !FORBIDDEN_IN_NAMES.test(text)
}

/** Types only; what the texts may contain is judged afterwards, under its own error. */
const createBody = z.object({
  name: z.string(),
  role: z.string().nullish(),
  template: z.string().nullish(),
  tier: z.int().min(0).max(4).nullish(),
  model: z.string().nullish(),
  runtime: z.string().nullish(),
  runtime_config: z
    .object({
      command: z.string().max(4096).optional(),
      args: z.array(z.string().max(4096)).max(256).optional(),
      timeout: z.number().min(0).optional(),
      required_env: z.array(z.string().max(256)).max(64).optional(),
    })
    .nullish(),
  external: z.boolean().nullish(),
  url: z.string().nullish(),
  delivery_mode: z.string().nullish(),
  workspace_dir: z.string().nullish(),
  workspace_access: z.string().nullish(),
  parent_id: z.string().nullish(),
  budget_limit: z.int().nullish(),
  max_concurrent_tasks: z.int().nullish(),
  secrets: z.record(z.string(), z.string().max(64 * 1024)).nullish(),
  canvas: z.object({ x: z.number(), y: z.number() }).nullish(),
})

const DEFAULT_TIER = 3

/** Request body -> input. Throws the contract's errors of 7.1 in its order. */
export function parseCreateBody(body: unknown): CreateInput {
  const parsed = createBody.safeParse(body)
  if (!parsed.success) {
    throw new AppError('invalid_workspace_payload', { extensions: fieldsOf(parsed.error) })
  }
  const fields = parsed.data
  const deliveryMode = deliveryModeOf(fields.delivery_mode ?? '')
  requireValidFields(fields)
  refuseUnsupported(fields)
  const runtimeKind =
    fields.external === true
      ? EXTERNAL_RUNTIME_KIND
      : (fields.runtime ?? '') || DEFAULT_RUNTIME_KIND
  return {
    name: fields.name.trim(),
    role: fields.role === '' ? null : (fields.role ?? null),
    tier: (fields.tier ?? 0) === 0 ? DEFAULT_TIER : (fields.tier ?? DEFAULT_TIER),
    runtimeKind,
    runtimeConfig: fields.runtime_config ?? null,
    model: fields.model === '' ? null : (fields.model ?? null),
    url: fields.url ?? undefined,
    deliveryMode,
    parentId: parentIdOf(fields.parent_id ?? ''),
    budgetLimit: fields.budget_limit ?? null,
    // Contract/platform 7.1: zero and less mean one.
    maxConcurrentTasks: Math.max(fields.max_concurrent_tasks ?? 1, 1),
    canvas: fields.canvas ?? { x: 0, y: 0 },
    secrets: secretsOf(fields.secrets ?? {}),
  }
}

/** Which fields are wrong, by name; their values are not repeated. */
function fieldsOf(error: z.ZodError): { readonly fields: readonly string[] } {
  return { fields: error.issues.map((issue) => issue.path.join('.') || '(body)') }
}

function requireValidFields(fields: z.infer<typeof createBody>): void {
  const checked = z
    .object({
      name,
      role: role.nullish(),
      model: label.nullish(),
      runtime: label.nullish(),
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
function refuseUnsupported(fields: z.infer<typeof createBody>): void {
  if ((fields.template ?? '') !== '') {
    throw new AppError('invalid_template', {
      message: 'invalid template: this platform has no templates; use runtime and runtime_config',
    })
  }
  const access = fields.workspace_access ?? ''
  if (!['', 'none', 'read_only', 'read_write'].includes(access)) {
    throw new AppError('invalid_workspace_access')
  }
  if ((fields.workspace_dir ?? '') !== '') {
    throw new AppError('invalid_workspace_directory', {
      message: 'invalid workspace directory: the process provisioner gives every workspace its own',
    })
  }
  if (access === 'read_only' || access === 'read_write') {
    throw new AppError('invalid_workspace_access')
  }
}

function deliveryModeOf(text: string) {
  if (text === '') return null
  const mode = parseDeliveryMode(text)
  if (mode === undefined) throw new AppError('invalid_delivery_mode')
  return mode
}

function parentIdOf(text: string) {
  if (text === '') return null
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
export function renderCreated(created: Created, platformUrl: string): Record<string, unknown> {
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
        connection: connectionBlock(created.id, created.authToken, platformUrl),
      }
  }
}

function connectionBlock(id: string, authToken: Secret, platformUrl: string) {
  const register = `${platformUrl}/registry/register`
  return {
    workspace_id: id,
    platform_url: platformUrl,
    auth_token: authToken.reveal(),
    registry_endpoint: register,
    heartbeat_endpoint: `${platformUrl}/registry/heartbeat`,
    curl_register_template: [
      `curl -X POST ${register} \\`,
      '  -H "Authorization: Bearer $WORKSPACE_AUTH_TOKEN" -H "Content-Type: application/json" \\',
      `  -d '{"id":"${id}","url":"'"$AGENT_URL"'","agent_card":{"name":"my agent"}}'`,
    ].join('\n'),
  }
}

/** A row of `GET /workspaces` (contract/platform 7.9). */
export function renderWorkspace(row: Workspace): Record<string, unknown> {
  return {
    ...renderPublicWorkspace(row),
    url: row.endpointUrl ?? row.agentUrl,
    agent_card: row.agentCard,
    last_sample_error: row.lastSampleError,
    current_task: row.currentTask,
    workspace_dir: row.workspaceDir,
    budget_limit: row.budgetLimit,
    monthly_spend: row.monthlySpend,
  }
}

/** The single read for the workspace's own callers: contract/platform 7.9 strips the starred keys. */
export function renderSingleWorkspace(row: Workspace): Record<string, unknown> {
  return {
    ...renderPublicWorkspace(row),
    url: row.endpointUrl ?? row.agentUrl,
    agent_card: row.agentCard,
    last_outbound_at: row.lastOutboundAt,
  }
}

/** What anybody may read: neither where the agent is nor what it says about itself (wart W16). */
export function renderPublicWorkspace(row: Workspace): Record<string, unknown> {
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
    delivery_mode: row.deliveryMode,
    x: row.canvasX,
    y: row.canvasY,
    collapsed: row.canvasCollapsed,
    created_at: row.createdAt,
    updated_at: row.updatedAt,
  }
}
