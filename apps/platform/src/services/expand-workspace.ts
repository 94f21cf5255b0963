/**
 * @module A workspace becomes a team and a single one again (contract/platform 7.8). Children go the
 * way of every other workspace, from their rows to their removal.
 */
import { AppError } from '@atrium/http-kit/app-error'
import { z } from 'zod'
import type { Db } from '../db/client.ts'
import { appendEvent } from '../db/event-store.ts'
import type { WorkspaceRow } from '../db/schema.ts'
import { insertWorkspace, listLiveChildren, lockLiveWorkspace } from '../db/workspace-store.ts'
import { type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import { DEFAULT_RUNTIME_KIND, isExternal } from '../domain/runtime-kind.ts'
import { type SubWorkspace, subWorkspaces } from '../domain/template-config.ts'
import { getWorkspace } from './find-workspace.ts'
import type { CredentialDeps } from './workspace-credentials.ts'
import type { WorkspaceLifecycle } from './workspace-lifecycle.ts'
import type { WorkspaceTemplate, WorkspaceTemplates } from './workspace-templates.ts'

export type ExpandDeps = Pick<CredentialDeps, 'db' | 'clock' | 'ids'> & {
  readonly lifecycle: WorkspaceLifecycle
  readonly templates: WorkspaceTemplates
}

export type TeamMember = {
  readonly id: WorkspaceId
  readonly name: string
  readonly role: string | null
}

type Plan = {
  readonly name: string
  readonly role: string | null
  readonly template: WorkspaceTemplate | undefined
}

/**
 * Makes the members that the workspace's configuration names, all of them or none; those that are
 * there already stay. Throws `workspace_not_found`, `config_not_found`, `no_sub_workspaces`,
 * `invalid_sub_workspace`.
 */
export async function expandWorkspace(
  deps: ExpandDeps,
  id: WorkspaceId,
): Promise<readonly TeamMember[]> {
  const plans = await plansOf(deps, await teamOf(deps.templates, await getWorkspace(deps.db, id)))
  const { members, added } = await deps.db.transaction(async (tx) => {
    const parent = await lockLiveWorkspace(tx, id)
    if (parent === undefined) throw new AppError('workspace_not_found')
    const present = new Map((await listLiveChildren(tx, id)).map((child) => [child.name, child]))
    const made: TeamMember[] = []
    const all: TeamMember[] = []
    for (const plan of plans) {
      const there = present.get(plan.name)
      const member = there ?? (await insertMember(deps, tx, { parent, plan }))
      if (there === undefined) made.push(member)
      all.push(member)
    }
    const event = { type: 'WORKSPACE_EXPANDED', payload: { children: all } } as const
    await appendEvent(tx, { event, workspaceId: id, now: deps.clock.now() })
    return { members: all, added: made }
  })
  for (const member of added) deps.lifecycle.kick(member.id)
  return members
}

/**
 * Removes the direct children with everything below them (wart W37); resolves with their names.
 * Throws `workspace_not_found`, and `stop_failed` after having tried all of them.
 */
export async function collapseWorkspace(
  deps: ExpandDeps,
  id: WorkspaceId,
): Promise<readonly string[]> {
  const children = await deps.db.transaction(async (tx) => {
    if ((await lockLiveWorkspace(tx, id)) === undefined) throw new AppError('workspace_not_found')
    return listLiveChildren(tx, id)
  })
  const options = { isConfirmed: true, isPurge: false }
  const removals = await Promise.allSettled(
    children.map((child) => deps.lifecycle.remove(child.id, options)),
  )
  const failed = removals.find((removal) => removal.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  const removed = children.map(({ name }) => name)
  const event = { type: 'WORKSPACE_COLLAPSED', payload: { removed } } as const
  await appendEvent(deps.db, { event, workspaceId: id, now: deps.clock.now() })
  return removed
}

/** The first that says anything: the row itself, its template, the template of its name. */
async function teamOf(
  templates: WorkspaceTemplates,
  parent: WorkspaceRow,
): Promise<readonly SubWorkspace[]> {
  const own = z.object({ sub_workspaces: subWorkspaces }).safeParse(parent.runtimeConfig)
  if (own.success && own.data.sub_workspaces.length > 0) return own.data.sub_workspaces
  const config =
    parent.template === null
      ? (await templates.findByWorkspaceName(parent.name))?.config
      : await templates.findConfig(parent.template)
  if (config === undefined) throw new AppError('config_not_found')
  if (config.subWorkspaces.length === 0) throw new AppError('no_sub_workspaces')
  return config.subWorkspaces
}

/** What is to be made, judged before anything is stored. */
async function plansOf(
  { templates }: ExpandDeps,
  team: readonly SubWorkspace[],
): Promise<readonly Plan[]> {
  const plans = await Promise.all(
    team.map(async ({ config, name, role }) => {
      const template = config === null ? undefined : await templateOf(templates, config)
      const called = name ?? template?.config.name ?? config
      if (called === null) throw new AppError('invalid_sub_workspace', { internal: 'no name' })
      return { name: called, role: role ?? template?.config.role ?? null, template }
    }),
  )
  if (new Set(plans.map(({ name }) => name)).size !== plans.length) {
    throw new AppError('invalid_sub_workspace', { internal: 'two members of one name' })
  }
  return plans
}

async function templateOf(templates: WorkspaceTemplates, name: string): Promise<WorkspaceTemplate> {
  try {
    return await templates.get(name)
  } catch (cause) {
    // Whoever asks to expand did not choose it: the configuration is wrong, not the request.
    throw cause instanceof AppError ? new AppError('invalid_sub_workspace', { cause }) : cause
  }
}

async function insertMember(
  deps: ExpandDeps,
  tx: Db,
  { parent, plan }: { readonly parent: WorkspaceRow; readonly plan: Plan },
): Promise<TeamMember> {
  const id = workspaceIdSchema.parse(deps.ids.uuid())
  const now = deps.clock.now()
  const { name, role, template } = plan
  const inherited = isExternal(parent.runtimeKind) ? DEFAULT_RUNTIME_KIND : parent.runtimeKind
  const row = {
    id,
    name,
    role,
    // The team's rights are its parent's (contract/platform 7.8).
    tier: parent.tier,
    status: 'provisioning',
    runtimeKind: template?.config.runtimeKind ?? inherited,
    model: template?.config.model ?? null,
    template: template?.name ?? null,
    parentId: parent.id,
    workspaceAccess: 'none',
    canvasX: parent.canvasX,
    canvasY: parent.canvasY,
    createdAt: now,
    updatedAt: now,
    statusSince: now,
  } as const
  await insertWorkspace(tx, row, { name, tier: parent.tier, parent_id: parent.id })
  await deps.lifecycle.request(tx, { id, reason: 'expanded' })
  return { id, name, role }
}
