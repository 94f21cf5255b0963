/** @module Liveness, load and delivery of the inbound secret (contract/platform 2.2, 2.3). */
import { AppError } from '@atrium/http-kit/app-error'
import { credentialId } from '@atrium/http-kit/bearer'
import type { Secret } from '@atrium/http-kit/secret'
import type { heartbeatRequest } from '@atrium/runtime-contract/registration'
import type { z } from 'zod'
import { loggableDatabaseError } from '../db/db-error.ts'
import type { WorkspaceRow } from '../db/schema.ts'
import { findWorkspace, recordBeat, transitionWorkspace } from '../db/workspace-store.ts'
import type { Caller } from '../domain/caller.ts'
import { parseWorkspaceId, type WorkspaceId } from '../domain/ids.ts'
import { isManaged } from '../domain/workspace-endpoint.ts'
import { degradedBy, recoveredByBeat } from '../domain/workspace-events.ts'
import type { WorkspaceStatus } from '../domain/workspace-status.ts'
import { admitRegistryCall, type RegisterDeps } from './register-agent.ts'
import { ensureInboundSecret } from './workspace-credentials.ts'

export type Beat = z.output<typeof heartbeatRequest>

const MAX_MONTHLY_SPEND_CENTS = 1e12
const DEGRADE_AT_ERROR_RATE = 0.5
const RECOVER_BELOW_ERROR_RATE = 0.1
const INT4_MAX = 2_147_483_647

/**
 * Stores a beat and moves the status as contract 2.3 says. Resolves with the inbound secret unless
 * the beat proves that the workspace holds the current one. Unknown ids are accepted silently where
 * the contract's open bootstrap is on. Throws `missing_workspace_token`, `invalid_workspace_token`,
 * `heartbeat_failed`.
 */
export async function recordHeartbeat(
  deps: RegisterDeps,
  input: { readonly beat: Beat; readonly caller: Caller; readonly hasBearer: boolean },
): Promise<Secret | undefined> {
  const id = parseWorkspaceId(input.beat.workspace_id)
  if (id === undefined) throw new AppError('invalid_request_body')
  try {
    const known = await findWorkspace(deps.db, id)
    await admitRegistryCall(deps, { ...input, id, row: known })
    const row = await recordBeat(deps.db, {
      id,
      facts: factsOf(input.beat),
      now: deps.clock.now(),
    })
    if (row === undefined) return undefined
    await moveStatus(deps, { id, row, beat: input.beat })
    return await secretToDeliver(deps, row, input.beat.inbound_secret_id)
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('heartbeat_failed', { cause: loggableDatabaseError(error) })
  }
}

function factsOf(beat: Beat) {
  const spend = Math.min(Math.max(Math.trunc(beat.monthly_spend), 0), MAX_MONTHLY_SPEND_CENTS)
  return {
    lastErrorRate: beat.error_rate,
    lastSampleError: beat.sample_error,
    activeTasks: clampInt4(beat.active_tasks),
    uptimeSeconds: clampInt4(beat.uptime_seconds),
    currentTask: beat.current_task,
    // Contract/platform 2.2: written only when positive.
    monthlySpend: spend > 0 ? spend : undefined,
  }
}

function clampInt4(value: number): number {
  return Math.min(Math.max(value, 0), INT4_MAX)
}

/** Contract/platform 2.3 as a pure decision; undefined leaves the status as it is. */
export function statusAfterBeat(
  current: WorkspaceStatus,
  beat: Pick<Beat, 'error_rate' | 'runtime_state' | 'runtime_metadata'>,
): WorkspaceStatus | undefined {
  const isWedged = beat.runtime_state === 'wedged'
  const reportsStatusItself = hasCapability(beat.runtime_metadata, 'status_mgmt')
  switch (current) {
    case 'online':
      if (isWedged) return 'degraded'
      return beat.error_rate >= DEGRADE_AT_ERROR_RATE && !reportsStatusItself
        ? 'degraded'
        : undefined
    case 'degraded':
      return beat.error_rate < RECOVER_BELOW_ERROR_RATE && !isWedged && !reportsStatusItself
        ? 'online'
        : undefined
    case 'offline':
    case 'provisioning':
    case 'awaiting_agent':
      return 'online'
    default:
      return undefined
  }
}

function hasCapability(metadata: Beat['runtime_metadata'], name: string): boolean {
  const capabilities = metadata?.['capabilities']
  return (
    typeof capabilities === 'object' &&
    capabilities !== null &&
    Reflect.get(capabilities, name) === true
  )
}

async function moveStatus(
  deps: RegisterDeps,
  input: { readonly id: WorkspaceId; readonly row: WorkspaceRow; readonly beat: Beat },
): Promise<void> {
  const { id, row, beat } = input
  const to = statusAfterBeat(row.status, beat)
  if (to === undefined) return
  // While its provisioner has not said where it is, a workspace cannot be reached: not online.
  if (to === 'online' && isManaged(row) && row.endpointUrl === null) return
  await transitionWorkspace(deps.db, {
    id,
    to,
    from: [row.status],
    now: deps.clock.now(),
    set: to === 'degraded' ? { statusReason: degradedReason(beat) } : {},
    event: to === 'degraded' ? degradedBy(factsOfEvent(beat)) : recoveredByBeat(row.status),
  })
}

function factsOfEvent(beat: Beat) {
  return {
    runtimeState: beat.runtime_state,
    errorRate: beat.error_rate,
    sampleError: beat.sample_error,
  }
}

function degradedReason(beat: Beat): string {
  return beat.runtime_state === 'wedged'
    ? 'the runtime reports that it is wedged'
    : `error rate ${beat.error_rate}`
}

async function secretToDeliver(
  deps: RegisterDeps,
  row: WorkspaceRow,
  heldId: string | undefined,
): Promise<Secret | undefined> {
  try {
    const { secret } = await ensureInboundSecret(deps, row)
    return heldId === credentialId(secret.reveal()) ? undefined : secret
  } catch (error) {
    // The beat itself is stored; the secret is offered again with the next one.
    deps.log.warn({ err: error, workspace_id: row.id }, 'registry.inbound_secret_omitted')
    return undefined
  }
}
