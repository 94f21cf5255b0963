/** @module A new workspace (contract/platform 7.1, 7.2): the row and its secrets in one transaction. */
import { AppError } from '@atrium/http-kit/app-error'
import type { Secret } from '@atrium/http-kit/secret'
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
import { isForeignKeyViolation, loggableDatabaseError } from '../db/db-error.ts'
import { insertWorkspaceSecret } from '../db/workspace-secret-store.ts'
import { insertWorkspace, lockLiveWorkspace, type NewWorkspace } from '../db/workspace-store.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import { DEFAULT_RUNTIME_KIND, EXTERNAL_RUNTIME_KIND, isExternal } from '../domain/runtime-kind.ts'
import { sealSecret } from '../domain/secret-envelope.ts'
import { type AddressPolicy, type Resolve, validateAgentUrl } from '../upstream/agent-address.ts'
import type { AuditContext } from './audit-trail.ts'
import { type CredentialDeps, issueWorkspaceToken } from './workspace-credentials.ts'
import type { WorkspaceLifecycle } from './workspace-lifecycle.ts'
import type { WorkspaceTemplates } from './workspace-templates.ts'

export type CreateDeps = CredentialDeps & {
  readonly lifecycle: WorkspaceLifecycle
  readonly templates: WorkspaceTemplates
  readonly addressPolicy: AddressPolicy
  readonly resolve: Resolve
}

export type CreateInput = {
  readonly name: string
  readonly role: string | null
  readonly tier: number
  /** A folder of the platform's templates. */
  readonly template: string | null
  /** null: the template's, or the default one. */
  readonly runtimeKind: string | null
  readonly runtimeConfig: unknown
  readonly model: string | null
  readonly url: string | undefined
  readonly deliveryMode: DeliveryMode | null
  readonly parentId: WorkspaceId | null
  readonly budgetLimit: number | null
  readonly maxConcurrentTasks: number
  readonly canvas: { readonly x: number; readonly y: number }
  readonly secrets: Readonly<Record<string, Secret>>
}

export type Created =
  | { readonly kind: 'provisioning'; readonly id: WorkspaceId }
  | { readonly kind: 'external_online'; readonly id: WorkspaceId }
  | { readonly kind: 'external_awaiting'; readonly id: WorkspaceId; readonly authToken: Secret }

/**
 * Creates a workspace and, unless its agent runs elsewhere, starts it in the background. Throws
 * `invalid_template`, `invalid_agent_url`, `workspace_not_found` (unknown parent), `create_failed`; a refused creation
 * leaves nothing behind.
 */
export async function createWorkspace(
  deps: CreateDeps,
  asked: CreateInput,
  by: AuditContext,
): Promise<Created> {
  const input = await withTemplate(deps.templates, asked)
  const id = workspaceIdSchema.parse(deps.ids.uuid())
  const agentUrl =
    isExternal(input.runtimeKind) && input.url !== undefined && input.url !== ''
      ? await validateAgentUrl(input.url, { policy: deps.addressPolicy, resolve: deps.resolve })
      : undefined
  const created = await insertAll(deps, { id, input, agentUrl: agentUrl?.href, by })
  if (created.kind === 'provisioning') deps.lifecycle.kick(id)
  return created
}

type CompleteInput = CreateInput & { readonly runtimeKind: string }

/** Judged before anything is stored (wart W23), and asked for what the request left open. */
async function withTemplate(
  templates: WorkspaceTemplates,
  input: CreateInput,
): Promise<CompleteInput> {
  const template = input.template === null ? undefined : await templates.get(input.template)
  return {
    ...input,
    runtimeKind: input.runtimeKind ?? template?.config.runtimeKind ?? DEFAULT_RUNTIME_KIND,
    model: input.model ?? template?.config.model ?? null,
  }
}

async function insertAll(
  deps: CreateDeps,
  creation: {
    readonly id: WorkspaceId
    readonly input: CompleteInput
    readonly agentUrl: string | undefined
    readonly by: AuditContext
  },
): Promise<Created> {
  const { id, input, agentUrl, by } = creation
  try {
    return await deps.db.transaction(async (tx) => {
      await requireParent(tx, input.parentId)
      await insertWorkspace(tx, rowOf(deps, creation))
      for (const [key, secret] of Object.entries(input.secrets)) {
        const envelope = sealSecret(
          deps.keyring,
          { workspaceId: id, purpose: `env:${key}` },
          secret,
        )
        await insertWorkspaceSecret(tx, { workspaceId: id, key, envelope, now: deps.clock.now() })
      }
      if (!isExternal(input.runtimeKind)) {
        await deps.lifecycle.request(tx, { id, reason: 'created' })
        return { kind: 'provisioning', id } as const
      }
      if (agentUrl !== undefined) return { kind: 'external_online', id } as const
      const authToken = await issueWorkspaceToken(
        { ...deps, db: tx },
        { workspaceId: id, purpose: 'runtime', by },
      )
      return { kind: 'external_awaiting', id, authToken } as const
    })
  } catch (error) {
    if (error instanceof AppError) throw error
    if (isForeignKeyViolation(error, 'workspaces_parent_fk')) {
      throw new AppError('workspace_not_found', { message: 'parent workspace not found' })
    }
    throw new AppError('create_failed', { cause: loggableDatabaseError(error) })
  }
}

/**
 * A removed parent still has a row, so the foreign key alone would let it through. The lock makes a
 * removal wait, so that it finds the child.
 */
async function requireParent(tx: CreateDeps['db'], parentId: WorkspaceId | null): Promise<void> {
  if (parentId === null) return
  if ((await lockLiveWorkspace(tx, parentId)) === undefined) {
    throw new AppError('workspace_not_found', { message: 'parent workspace not found' })
  }
}

function rowOf(
  deps: CreateDeps,
  creation: {
    readonly id: WorkspaceId
    readonly input: CompleteInput
    readonly agentUrl: string | undefined
  },
): NewWorkspace {
  const { id, input, agentUrl } = creation
  const now = deps.clock.now()
  return {
    id,
    name: input.name,
    role: input.role,
    tier: input.tier,
    status: firstStatus(input.runtimeKind, agentUrl),
    runtimeKind: input.runtimeKind,
    runtimeConfig: input.runtimeConfig ?? null,
    model: input.model,
    template: input.template,
    deliveryMode: input.deliveryMode ?? defaultMode(input.runtimeKind, agentUrl),
    agentUrl: agentUrl ?? null,
    parentId: input.parentId,
    workspaceAccess: 'none',
    maxConcurrentTasks: input.maxConcurrentTasks,
    budgetLimit: input.budgetLimit,
    canvasX: input.canvas.x,
    canvasY: input.canvas.y,
    createdAt: now,
    updatedAt: now,
    statusSince: now,
  }
}

function firstStatus(runtimeKind: string, agentUrl: string | undefined) {
  if (runtimeKind !== EXTERNAL_RUNTIME_KIND) return 'provisioning'
  return agentUrl === undefined ? 'awaiting_agent' : 'online'
}

/** An external agent with a URL is pushed to; every other choice waits for the registration. */
function defaultMode(runtimeKind: string, agentUrl: string | undefined): DeliveryMode | null {
  return isExternal(runtimeKind) && agentUrl !== undefined ? 'push' : null
}
