/** @module Liveness, load and delivery of the inbound secret (contract/platform 2.2, 2.3). */
import { AppError } from '@atrium/http-kit/app-error'
import { bearerCredential, sha256 } from '@atrium/http-kit/bearer'
import type { Secret } from '@atrium/http-kit/secret'
import type { heartbeatRequest } from '@atrium/runtime-contract/registration'
import type { Logger } from 'pino'
import type { z } from 'zod'
import type { BeatenWorkspace, BeatRecord } from '../db/beat-store.ts'
import { loggableDatabaseError } from '../db/db-error.ts'
import { findWorkspace, transitionWorkspace } from '../db/workspace-store.ts'
import { parseWorkspaceId, type WorkspaceId, workspaceIdSchema } from '../domain/ids.ts'
import { parseRuntimeMetadata, storedRuntimeMetadata } from '../domain/runtime-metadata.ts'
import { isReachable } from '../domain/workspace-endpoint.ts'
import { degradedBy, recoveredByBeat } from '../domain/workspace-events.ts'
import type { WorkspaceStatus } from '../domain/workspace-status.ts'
import { type AuthenticationDeps, noteRefusedBearer } from './authenticate-caller.ts'
import type { BeatBatcher } from './beat-batcher.ts'
import { databaseProblem } from './database-problem.ts'
import type { DeliveryLedger } from './delivery/delivery-ledger.ts'
import type { EventBus } from './event-bus.ts'
import { inboundSecretForAnswer } from './inbound-secret-rotation.ts'
import type { CredentialDeps } from './workspace-credentials.ts'

export type HeartbeatDeps = CredentialDeps &
  AuthenticationDeps & {
    readonly log: Logger
    readonly beats: Pick<BeatBatcher, 'record'>
    readonly events: Pick<EventBus, 'broadcast'>
    readonly ledger: Pick<DeliveryLedger, 'lookAt'>
    /** Development keeps the contract's open bootstrap of zero-token workspaces (architecture 3). */
    readonly isBootstrapOpen: boolean
  }

export type Beat = z.output<typeof heartbeatRequest>

const MAX_MONTHLY_SPEND_CENTS = 1e12
const DEGRADE_AT_ERROR_RATE = 0.5
const RECOVER_BELOW_ERROR_RATE = 0.1
const INT4_MAX = 2_147_483_647
/** What a canvas card shows; a whole log is not an error message. */
const MAX_TEXT_LENGTH = 8_192

/**
 * Stores a beat and moves the status as contract 2.3 says. Only a token of this very workspace
 * passes, and it is checked in the statement that stores the beat: none is made without a bearer.
 * Resolves with the inbound secret unless the beat proves that the workspace holds the current one.
 * Unknown ids are accepted silently where the contract's open bootstrap is on. Throws
 * `missing_workspace_token`, `invalid_workspace_token`, `stale_generation`, `platform_unavailable`,
 * `heartbeat_failed`.
 */
export async function recordHeartbeat(
  deps: HeartbeatDeps,
  input: { readonly beat: Beat; readonly authorization: string | undefined },
): Promise<Secret | undefined> {
  const { beat } = input
  const id = parseWorkspaceId(beat.workspace_id)
  if (id === undefined) throw new AppError('invalid_request_body')
  const credential = bearerCredential(input.authorization)
  if (credential === undefined && !deps.isBootstrapOpen) {
    throw new AppError('missing_workspace_token')
  }
  try {
    const row = await storeBeat(deps, { ...input, id, credential })
    if (row === undefined) return undefined
    await moveStatus(deps, row, beat)
    tellOfBeat(deps, row, beat)
    // Contract/platform 2.3: what waits is sent as soon as its agent has room.
    if (row.hasRoomForWaiting) {
      deps.ledger.lookAt(workspaceIdSchema.parse(row.id), { inMs: 0, hasProvenRoom: true })
    }
    return await secretToDeliver(deps, row, beat.inbound_secret_id)
  } catch (error) {
    if (error instanceof AppError) throw error
    throw (
      databaseProblem(error) ??
      new AppError('heartbeat_failed', { cause: loggableDatabaseError(error) })
    )
  }
}

/** The row with the beat in it; undefined for an unknown one that may be silent about it. */
async function storeBeat(
  deps: HeartbeatDeps,
  input: {
    readonly beat: Beat
    readonly authorization: string | undefined
    readonly id: WorkspaceId
    readonly credential: string | undefined
  },
): Promise<BeatenWorkspace | undefined> {
  const { beat, authorization, id, credential } = input
  const tokenHash = credential === undefined ? null : sha256(credential)
  const outcome = await deps.beats.record(recordOf(beat, { workspaceId: id, tokenHash }))
  if (outcome.kind === 'stored') return outcome.row
  if (outcome.kind === 'stale') throw new AppError('stale_generation')
  const mayBeUnknown = deps.isBootstrapOpen && (await findWorkspace(deps.db, id)) === undefined
  if (mayBeUnknown) return undefined
  await noteRefusedBearer(deps, authorization, id)
  throw new AppError(
    credential === undefined ? 'missing_workspace_token' : 'invalid_workspace_token',
  )
}

function recordOf(
  beat: Beat,
  from: { readonly workspaceId: WorkspaceId; readonly tokenHash: Buffer | null },
): BeatRecord {
  const spend = Math.min(Math.max(Math.trunc(beat.monthly_spend), 0), MAX_MONTHLY_SPEND_CENTS)
  const metadata = parseRuntimeMetadata(beat.runtime_metadata)
  return {
    ...from,
    generation: beat.generation ?? null,
    errorRate: beat.error_rate,
    sampleError: bounded(beat.sample_error),
    activeTasks: clampInt4(beat.active_tasks),
    uptimeSeconds: clampInt4(beat.uptime_seconds),
    currentTask: bounded(beat.current_task),
    // Contract/platform 2.2: written only when positive.
    monthlySpend: spend > 0 ? spend : null,
    runtimeMetadata:
      metadata === undefined ? null : JSON.stringify(storedRuntimeMetadata(metadata)),
  }
}

/** Cut between characters: half of a pair cannot be stored (wart W32). */
function bounded(text: string): string {
  return text.length <= MAX_TEXT_LENGTH
    ? text
    : text.slice(0, MAX_TEXT_LENGTH).replace(/[\ud800-\udbff]$/, '')
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
  const metadata = parseRuntimeMetadata(beat.runtime_metadata)
  const reportsStatusItself = metadata?.capabilities.includes('status_mgmt') === true
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

/** Only a beat that changes the status costs a second statement. */
async function moveStatus(deps: HeartbeatDeps, row: BeatenWorkspace, beat: Beat): Promise<void> {
  const to = statusAfterBeat(row.status, beat)
  if (to === undefined) return
  // While its provisioner has not said where it is, a workspace cannot be reached: not online.
  if (to === 'online' && !isReachable(row)) return
  await transitionWorkspace(deps.db, {
    id: workspaceIdSchema.parse(row.id),
    to,
    from: [row.status],
    generation: row.generation,
    now: deps.clock.now(),
    set: to === 'degraded' ? { statusReason: degradedReason(beat) } : {},
    event: to === 'degraded' ? degradedBy(factsOfEvent(beat)) : recoveredByBeat(row.status),
  })
}

/** Contract/platform 2.2: a changed task, and every beat, to whoever follows at the moment. */
function tellOfBeat({ events }: HeartbeatDeps, row: BeatenWorkspace, beat: Beat): void {
  const workspaceId = workspaceIdSchema.parse(row.id)
  const currentTask = bounded(beat.current_task)
  const activeTasks = clampInt4(beat.active_tasks)
  if (currentTask !== row.formerTask) {
    const payload = { current_task: currentTask, active_tasks: activeTasks }
    events.broadcast({ type: 'TASK_UPDATED', workspaceId, payload })
  }
  const payload = { active_tasks: activeTasks, uptime_seconds: clampInt4(beat.uptime_seconds) }
  events.broadcast({ type: 'WORKSPACE_HEARTBEAT', workspaceId, payload })
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
  deps: HeartbeatDeps,
  row: BeatenWorkspace,
  heldId: string | undefined,
): Promise<Secret | undefined> {
  try {
    const { secret, isProven } = await inboundSecretForAnswer(deps, row, heldId)
    return isProven ? undefined : secret
  } catch (error) {
    // The beat itself is stored; the secret is offered again with the next one.
    deps.log.warn({ err: error, workspace_id: row.id }, 'registry.inbound_secret_omitted')
    return undefined
  }
}
