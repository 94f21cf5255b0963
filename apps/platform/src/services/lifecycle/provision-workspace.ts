/**
 * @module One start of a workspace: new generation, fresh credentials, the back-end, the endpoint.
 * Called by `reconcile-workspace.ts` only; secrets are minted inside it, never beside it (M1).
 */
import { findAppError } from '@atrium/http-kit/app-error'
import type { Secret } from '@atrium/http-kit/secret'
import { RUNTIME_ENV } from '@atrium/runtime-contract/environment'
import type { Logger } from 'pino'
import { clearBox, recordBox, recordBoxIntent } from '../../db/box-store.ts'
import type { Db } from '../../db/client.ts'
import { type Claim, lockClaim } from '../../db/lifecycle-run-store.ts'
import type { WorkspaceRow } from '../../db/schema.ts'
import { listWorkspaceSecrets } from '../../db/workspace-secret-store.ts'
import { lockLiveWorkspace, transitionWorkspace } from '../../db/workspace-store.ts'
import { type WorkspaceId, workspaceIdSchema } from '../../domain/ids.ts'
import { lifecycleGoal } from '../../domain/lifecycle-goal.ts'
import { openSecret } from '../../domain/secret-envelope.ts'
import { endpointWithinBox, isReachable } from '../../domain/workspace-endpoint.ts'
import type {
  BoxRef,
  Provisioner,
  ProvisionerName,
  StartInput,
  StartResult,
  WorkspaceCredentials,
} from '../../provisioners/provisioner.ts'
import { outlastOutage } from '../outlast-outage.ts'
import { CONFIG_FILE_NAME, workspaceConfigFile } from '../workspace-config-file.ts'
import {
  type CredentialDeps,
  issueWorkspaceToken,
  mintInboundSecret,
  revokeWorkspaceTokens,
} from '../workspace-credentials.ts'
import type { WorkspaceTemplates } from '../workspace-templates.ts'

export type ProvisionDeps = CredentialDeps & {
  readonly log: Logger
  readonly provisioner: Provisioner
  readonly templates: WorkspaceTemplates
  /** The URL under which workspaces reach the platform; known once it listens. */
  readonly platformUrl: () => string
  /** Operator settings that every runtime of this platform gets (upload limits). */
  readonly runtimeEnv: Readonly<Record<string, string>>
}

/** A run that is being done, and what ends it early: taken over, unwanted, platform ends. */
export type Run = {
  readonly claim: Claim
  readonly signal: AbortSignal
}

/** What a person may read about a failed start; internals stay in the log (contract/platform 7.5). */
type FailedStep = 'secrets' | 'start'
const FAILURE_TEXT: Readonly<Record<FailedStep, string>> = {
  secrets: 'failed to decrypt workspace secret',
  start: 'workspace start failed',
}
const START_FAILURE_TEXT: Readonly<Partial<Record<ProvisionerName, string>>> = {
  'control-plane': 'provisioning failed',
}

type Target = { readonly id: WorkspaceId; readonly generation: number }

type Begun = {
  readonly row: WorkspaceRow
  readonly credentials: WorkspaceCredentials
  /** What was asked for up to here is done by this start. */
  readonly request: string
}

/**
 * Starts a workspace and resolves when its box is written down, when the start failed (the row says
 * why), or when it was overtaken. Resolves with the request that it has fulfilled. Never throws for
 * a failed start.
 */
export async function provisionWorkspace(
  deps: ProvisionDeps,
  id: WorkspaceId,
  run: Run,
): Promise<string> {
  const stored = <T>(work: () => Promise<T>): Promise<T> => outlastOutage(deps, run.signal, work)
  const begun = await stored(() => begin(deps, id, run.claim))
  if (begun === undefined) return run.claim.request
  const { row } = begun
  const target = { id, generation: row.generation }
  let step: FailedStep = 'secrets'
  try {
    const secretEnv = await stored(() => secretEnvironment(deps, row))
    step = 'start'
    const input = await prepareStart(deps, begun, secretEnv)
    const started = await deps.provisioner.start(input, run.signal)
    await publishOrStop(deps, target, { started, run, request: begun.request })
  } catch (error) {
    // Overtaken by a removal or by the platform's own end: that is not the workspace's failure.
    if (run.signal.aborted) throw run.signal.reason
    deps.log.error({ err: error, workspace_id: id, generation: row.generation }, PROVISION_FAILED)
    const { claim } = run
    await stored(() =>
      markProvisionFailed(deps, target, { step, error, claim, request: begun.request }),
    )
  }
  return begun.request
}

const PROVISION_FAILED = 'lifecycle.provision_failed'

/** In one transaction: either the generation begins with everything that belongs to it, or not. */
async function begin(
  deps: ProvisionDeps,
  id: WorkspaceId,
  claim: Claim,
): Promise<Begun | undefined> {
  const { provisioner } = deps
  return deps.db.transaction(async (tx) => {
    const now = deps.clock.now()
    const before = await lockLiveWorkspace(tx, id)
    const held = await lockClaim(tx, claim)
    if (before === undefined || held === undefined || lifecycleGoal(before) !== 'start') {
      return undefined
    }
    const row = await transitionWorkspace(tx, {
      id,
      to: 'provisioning',
      now,
      set: {
        raiseGeneration: true,
        endpointUrl: null,
        lastHeartbeatAt: null,
        activeTasks: 0,
        currentTask: '',
      },
    })
    if (row === undefined) return undefined
    const { generation } = row
    const { hostId, name: backEnd } = provisioner
    await recordBoxIntent(tx, { id, generation, hostId, backEnd })
    const within = { ...deps, db: tx }
    // A token of an older generation ends with it (design/peers, coder#13789).
    await revokeWorkspaceTokens(within, { workspaceId: id, reason: 'new_generation' })
    const inboundSecret = await mintInboundSecret(within, { id, generation })
    if (inboundSecret === undefined) throw new Error('the row that is locked here has moved')
    const authToken = await issueWorkspaceToken(within, { workspaceId: id, purpose: 'runtime' })
    return { row, credentials: { authToken, inboundSecret }, request: held.request }
  })
}

async function prepareStart(
  deps: ProvisionDeps,
  { row, credentials }: Begun,
  secretEnv: StartInput['secretEnv'],
): Promise<StartInput> {
  return {
    workspaceId: row.id,
    generation: row.generation,
    runtimeKind: row.runtimeKind,
    tier: row.tier,
    configFiles: await configFiles(deps, row),
    env: environmentOf(deps, row),
    secretEnv,
    credentials,
  }
}

/**
 * A template's files are given once, unless a restart asks for them again: what the volume holds
 * afterwards is the workspace's own. The last one is always written anew, so where it is all the
 * others have been.
 */
async function configFiles(
  { provisioner, templates, log }: ProvisionDeps,
  row: WorkspaceRow,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>()
  if (row.template === null) return files.set(CONFIG_FILE_NAME, workspaceConfigFile(row))
  const isEmpty = !(await provisioner.volumeHasFile({ workspaceId: row.id }, CONFIG_FILE_NAME))
  if (isEmpty || row.isTemplateDue) {
    for (const [path, bytes] of await templates.readFiles(row.template)) files.set(path, bytes)
  }
  const config = await templates.findConfig(row.template)
  // It is restarted all the same, with what its row says.
  if (config === undefined) log.warn({ workspace_id: row.id }, 'lifecycle.template_gone')
  files.delete(CONFIG_FILE_NAME)
  return files.set(CONFIG_FILE_NAME, workspaceConfigFile(row, config?.document))
}

/** Contract/platform 7.5; `PARENT_ID` only where there is a parent, never empty. */
function environmentOf(deps: ProvisionDeps, row: WorkspaceRow): Record<string, string> {
  return {
    ...deps.runtimeEnv,
    [RUNTIME_ENV.workspaceId]: row.id,
    // Told with every beat: who beats for an older box than the row's is refused.
    [RUNTIME_ENV.generation]: String(row.generation),
    [RUNTIME_ENV.platformUrl]: deps.platformUrl(),
    [RUNTIME_ENV.platformUrlAlias]: deps.platformUrl(),
    [RUNTIME_ENV.tier]: String(row.tier),
    ...(row.parentId === null ? {} : { [RUNTIME_ENV.parentId]: row.parentId }),
  }
}

async function secretEnvironment(
  deps: ProvisionDeps,
  row: WorkspaceRow,
): Promise<Record<string, Secret>> {
  const id = workspaceIdSchema.parse(row.id)
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

async function publishOrStop(
  deps: ProvisionDeps,
  target: Target,
  result: Placed & { readonly run: Run },
): Promise<void> {
  const { run, started } = result
  const { id: workspaceId, generation } = target
  const box: BoxRef = { workspaceId, generation, instanceId: started.instanceId }
  let isPublished = false
  try {
    isPublished = await outlastOutage(deps, run.signal, () =>
      publish(deps, target, { ...result, claim: run.claim }),
    )
  } finally {
    // A box that no row speaks of would run for ever, and stand in the way of the next start.
    if (!isPublished) await deps.provisioner.stop(box)
  }
  if (!isPublished) await clearBox(deps.db, target)
}

type Placed = {
  readonly started: StartResult
  /** What the start has fulfilled. */
  readonly request: string
}

/** Whether somebody has asked for another start since this one began, or has taken the run over. */
async function isSuperseded(
  tx: Db,
  run: { readonly claim: Claim; readonly request: string },
): Promise<boolean> {
  return (await lockClaim(tx, run.claim))?.request !== run.request
}

/**
 * Stores where the box is and, when its agent registered before that, brings it online. The row
 * lock orders this with a registration. False when the box is wanted no more.
 */
async function publish(
  deps: ProvisionDeps,
  target: Target,
  placed: Placed & { readonly claim: Claim },
): Promise<boolean> {
  const { started } = placed
  return deps.db.transaction(async (tx) => {
    const now = deps.clock.now()
    const row = await lockLiveWorkspace(tx, target.id)
    if (row?.generation !== target.generation) return false
    // Written down already: the answer to the commit was lost with the connection.
    if (row.boxStartedAt !== null) return true
    // It died, or was removed, between being ready and being written down.
    if (row.status !== 'provisioning' || (await isSuperseded(tx, placed))) return false
    const box = { ...started, endpointUrl: started.endpointUrl ?? toldEndpoint(deps, row, started) }
    const published = await recordBox(tx, { ...target, box, now })
    if (published === undefined) return false
    await bringOnline(tx, published, { ...target, now })
    return true
  })
}

/** Its agent has registered already: it was faster than this start. */
async function bringOnline(
  tx: Db,
  row: WorkspaceRow,
  move: Target & { readonly now: Date },
): Promise<void> {
  if (row.lastHeartbeatAt === null || !isReachable(row)) return
  await transitionWorkspace(tx, { ...move, to: 'online' })
}

/** An agent may be up before its start is written down: its word then waits for the address. */
function toldEndpoint(
  deps: ProvisionDeps,
  row: WorkspaceRow,
  { address }: StartResult,
): string | null {
  if (row.agentUrl === null || address === null) return null
  const endpoint = endpointWithinBox(row.agentUrl, address)
  if (endpoint !== undefined) return endpoint.href
  deps.log.warn({ workspace_id: row.id }, 'lifecycle.agent_url_not_in_box')
  return null
}

async function markProvisionFailed(
  deps: ProvisionDeps,
  target: Target,
  failure: Failure & { readonly claim: Claim; readonly request: string },
): Promise<void> {
  const reason = failureText(deps.provisioner.name, failure)
  await deps.db.transaction(async (tx) => {
    await lockLiveWorkspace(tx, target.id)
    // Who has asked for another start since gets it, and hears of that one.
    if (!(await isSuperseded(tx, failure))) {
      await transitionWorkspace(tx, {
        ...target,
        to: 'failed',
        from: ['provisioning'],
        now: deps.clock.now(),
        set: { statusReason: reason, lastSampleError: reason, endpointUrl: null },
      })
    }
    // What a start that failed leaves behind is nothing (`Provisioner.start`).
    await clearBox(tx, target)
  })
}

type Failure = { readonly step: FailedStep; readonly error: unknown }

function failureText(backEnd: ProvisionerName, failure: Failure): string {
  const known = findAppError(failure.error)
  if (known?.code === 'provisioner_unavailable') return NO_BACK_END
  if (known?.code === 'invalid_template') return TEMPLATE_GONE
  const byBackEnd = failure.step === 'start' ? START_FAILURE_TEXT[backEnd] : undefined
  return byBackEnd ?? FAILURE_TEXT[failure.step]
}

const NO_BACK_END =
  'provisioner not available: this platform has no back-end that can start a workspace'

const TEMPLATE_GONE =
  'the template of this workspace cannot be read any more: put it back, or restart with another one'

/** A platform without a back-end starts nothing: said at once, without a generation. */
export async function refuseWithoutBackEnd(deps: ProvisionDeps, id: WorkspaceId): Promise<void> {
  await transitionWorkspace(deps.db, {
    id,
    to: 'failed',
    from: ['provisioning', 'offline'],
    now: deps.clock.now(),
    set: { statusReason: NO_BACK_END, lastSampleError: NO_BACK_END, endpointUrl: null },
  })
}
