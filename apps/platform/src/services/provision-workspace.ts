/**
 * @module One start of a workspace: new generation, fresh credentials, the back-end, the endpoint.
 * Called by `workspace-lifecycle.ts` only; secrets are minted inside it, never beside it (M1).
 */
import { AppError, findAppError } from '@atrium/http-kit/app-error'
import type { Secret } from '@atrium/http-kit/secret'
import { RUNTIME_ENV } from '@atrium/runtime-contract/environment'
import type { Logger } from 'pino'
import type { WorkspaceRow } from '../db/schema.ts'
import { listWorkspaceSecrets } from '../db/workspace-secret-store.ts'
import { lockLiveWorkspace, recordEndpoint, transitionWorkspace } from '../db/workspace-store.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import { openSecret } from '../domain/secret-envelope.ts'
import type { Provisioner, StartInput } from '../provisioners/provisioner.ts'
import { outlastOutage } from './outlast-outage.ts'
import { CONFIG_FILE_NAME, workspaceConfigFile } from './workspace-config-file.ts'
import {
  type CredentialDeps,
  issueWorkspaceToken,
  mintInboundSecret,
  revokeWorkspaceTokens,
} from './workspace-credentials.ts'

export type ProvisionDeps = CredentialDeps & {
  readonly log: Logger
  readonly provisioner: Provisioner
  /** The URL under which workspaces reach the platform; known once it listens. */
  readonly platformUrl: () => string
  /** Operator settings that every runtime of this platform gets (upload limits). */
  readonly runtimeEnv: Readonly<Record<string, string>>
}

/** What a person may read about a failed start; internals stay in the log (contract/platform 7.5). */
type FailedStep = 'secrets' | 'start'
const FAILURE_TEXT: Readonly<Record<FailedStep, string>> = {
  secrets: 'failed to decrypt workspace secret',
  start: 'workspace start failed',
}

/**
 * Starts a workspace and resolves when its endpoint is stored, when it failed (the row says why),
 * or when the start was overtaken by a removal. Never throws for a failed start.
 */
export async function provisionWorkspace(
  deps: ProvisionDeps,
  id: WorkspaceId,
  signal: AbortSignal,
): Promise<void> {
  const stored = <T>(work: () => Promise<T>): Promise<T> => outlastOutage(deps, signal, work)
  const row = await stored(() => beginGeneration(deps, id))
  if (row === undefined) return
  const target = { id, generation: row.generation }
  let step: FailedStep = 'secrets'
  try {
    const input = await stored(() => prepareStart(deps, row, id))
    if (input === undefined) return
    step = 'start'
    const { endpointUrl } = await deps.provisioner.start(input, signal)
    let isPublished = false
    try {
      isPublished = await stored(() => publishEndpoint(deps, target, endpointUrl))
    } finally {
      // A box that no row speaks of would run for ever, and stand in the way of the next start.
      if (!isPublished) await deps.provisioner.stop({ workspaceId: id })
    }
  } catch (error) {
    // Overtaken by a removal or by the platform's own end: that is not the workspace's failure.
    if (signal.aborted) return
    deps.log.error(
      { err: error, workspace_id: id, generation: row.generation },
      'lifecycle.provision_failed',
    )
    await stored(() => markProvisionFailed(deps, target, { step, error }))
  }
}

async function beginGeneration(
  deps: ProvisionDeps,
  id: WorkspaceId,
): Promise<WorkspaceRow | undefined> {
  return transitionWorkspace(deps.db, {
    id,
    to: 'provisioning',
    now: deps.clock.now(),
    set: {
      raiseGeneration: true,
      endpointUrl: null,
      lastHeartbeatAt: null,
      activeTasks: 0,
      currentTask: '',
    },
  })
}

async function prepareStart(
  deps: ProvisionDeps,
  row: WorkspaceRow,
  id: WorkspaceId,
): Promise<StartInput | undefined> {
  const credentials = await deps.db.transaction(async (tx) => {
    const within = { ...deps, db: tx }
    // A token of an older generation ends with it (design/peers, coder#13789).
    await revokeWorkspaceTokens(within, { workspaceId: id, reason: 'new_generation' })
    const inboundSecret = await mintInboundSecret(within, { id, generation: row.generation })
    if (inboundSecret === undefined) return undefined
    const authToken = await issueWorkspaceToken(within, { workspaceId: id, purpose: 'runtime' })
    return { authToken, inboundSecret }
  })
  if (credentials === undefined) return undefined
  return {
    workspaceId: id,
    generation: row.generation,
    runtimeKind: row.runtimeKind,
    tier: row.tier,
    configFiles: new Map([[CONFIG_FILE_NAME, workspaceConfigFile(row)]]),
    env: environmentOf(deps, row),
    secretEnv: await secretEnvironment(deps, id),
    credentials,
  }
}

/** Contract/platform 7.5; `PARENT_ID` only where there is a parent, never empty. */
function environmentOf(deps: ProvisionDeps, row: WorkspaceRow): Record<string, string> {
  return {
    ...deps.runtimeEnv,
    [RUNTIME_ENV.workspaceId]: row.id,
    [RUNTIME_ENV.platformUrl]: deps.platformUrl(),
    [RUNTIME_ENV.platformUrlAlias]: deps.platformUrl(),
    [RUNTIME_ENV.tier]: String(row.tier),
    ...(row.parentId === null ? {} : { [RUNTIME_ENV.parentId]: row.parentId }),
  }
}

async function secretEnvironment(
  deps: ProvisionDeps,
  id: WorkspaceId,
): Promise<Record<string, Secret>> {
  const environment: Record<string, Secret> = {}
  for (const { key, envelope } of await listWorkspaceSecrets(deps.db, id)) {
    environment[key] = openSecret(
      deps.keyring,
      { workspaceId: id, purpose: `env:${key}` },
      envelope,
    )
  }
  return environment
}

/**
 * Stores where the box is and, when its agent registered before that, brings it online. The row
 * lock orders this with a registration. False when the start is over.
 */
async function publishEndpoint(
  deps: ProvisionDeps,
  target: { readonly id: WorkspaceId; readonly generation: number },
  endpointUrl: string | null,
): Promise<boolean> {
  return deps.db.transaction(async (tx) => {
    const now = deps.clock.now()
    const row = await lockLiveWorkspace(tx, target.id)
    // Written down already: the answer to the commit was lost with the connection.
    if (row?.generation === target.generation && row.endpointUrl === endpointUrl) return true
    // It died, or was removed, between being ready and being written down.
    if (row?.status !== 'provisioning') return false
    if (!(await recordEndpoint(tx, { ...target, endpointUrl, now }))) return false
    if (row.lastHeartbeatAt !== null) {
      await transitionWorkspace(tx, { ...target, to: 'online', now })
    }
    return true
  })
}

async function markProvisionFailed(
  deps: ProvisionDeps,
  target: { readonly id: WorkspaceId; readonly generation: number },
  failure: { readonly step: FailedStep; readonly error: unknown },
): Promise<void> {
  const known = findAppError(failure.error)
  const reason =
    known instanceof AppError && known.code === 'provisioner_unavailable'
      ? 'provisioner not available: this platform has no back-end that can start a workspace'
      : FAILURE_TEXT[failure.step]
  await transitionWorkspace(deps.db, {
    ...target,
    to: 'failed',
    from: ['provisioning'],
    now: deps.clock.now(),
    set: { statusReason: reason, lastSampleError: reason, endpointUrl: null },
  })
}
