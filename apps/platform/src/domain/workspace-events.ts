/**
 * @module What is told of workspaces: the names of contract/platform 9.3, which of them a move of
 * status makes, and what stands in it. Payloads are stored and sent as they are made here.
 */
import type { WorkspaceStatus } from './workspace-status.ts'

/** Kept in `structure_events`: nobody who resumes misses one. */
export const STRUCTURE_EVENTS = [
  'WORKSPACE_PROVISIONING',
  'WORKSPACE_ONLINE',
  'WORKSPACE_OFFLINE',
  'WORKSPACE_DEGRADED',
  'WORKSPACE_PROVISION_FAILED',
  'WORKSPACE_AWAITING_AGENT',
  'WORKSPACE_PAUSED',
  'WORKSPACE_HIBERNATED',
  'WORKSPACE_REMOVED',
  'WORKSPACE_EXPANDED',
  'WORKSPACE_COLLAPSED',
  'AGENT_CARD_UPDATED',
  'AGENT_ASSIGNED',
  'AGENT_REPLACED',
  'AGENT_REMOVED',
  'AGENT_MOVED',
  'APPROVAL_REQUESTED',
  'APPROVAL_ESCALATED',
  'DELEGATION_SENT',
  'DELEGATION_STATUS',
  'DELEGATION_COMPLETE',
  'DELEGATION_FAILED',
  'CRON_EXECUTED',
  'CRON_SKIPPED',
  'CHANNEL_MESSAGE',
] as const
export type StructureEventName = (typeof STRUCTURE_EVENTS)[number]

/** Told to whoever listens at the moment, and kept nowhere. */
export const BROADCAST_EVENTS = [
  'TASK_UPDATED',
  'WORKSPACE_HEARTBEAT',
  'ACTIVITY_LOGGED',
  'A2A_RESPONSE',
  'AGENT_MESSAGE',
] as const
export type BroadcastEventName = (typeof BROADCAST_EVENTS)[number]

/** What an event says, in the words of the wire. Never a credential, never a body. */
export type EventPayload = Readonly<Record<string, unknown>>

/**
 * The event of entering a status; `hibernating` has none, its end has. An external agent that fell
 * silent enters `awaiting_agent`, so that is what is told of it (contract/platform 13.12).
 */
const EVENT_OF_STATUS: Readonly<Record<WorkspaceStatus, StructureEventName | undefined>> = {
  provisioning: 'WORKSPACE_PROVISIONING',
  online: 'WORKSPACE_ONLINE',
  offline: 'WORKSPACE_OFFLINE',
  degraded: 'WORKSPACE_DEGRADED',
  failed: 'WORKSPACE_PROVISION_FAILED',
  removed: 'WORKSPACE_REMOVED',
  paused: 'WORKSPACE_PAUSED',
  hibernated: 'WORKSPACE_HIBERNATED',
  awaiting_agent: 'WORKSPACE_AWAITING_AGENT',
  hibernating: undefined,
}

export type StructureEvent = {
  readonly type: StructureEventName
  readonly payload: EventPayload
}

/** The event of a row that enters `status`; without a `payload` it gives the reason, if there is one. */
export function eventOfStatus(entered: {
  readonly status: WorkspaceStatus
  readonly reason: string | null
  readonly payload: EventPayload | undefined
}): StructureEvent | undefined {
  const type = EVENT_OF_STATUS[entered.status]
  if (type === undefined) return undefined
  return { type, payload: entered.payload ?? defaultPayload(entered.status, entered.reason) }
}

function defaultPayload(status: WorkspaceStatus, reason: string | null): EventPayload {
  if (status === 'failed') return provisionFailed({ error: reason ?? 'unknown error' })
  return reason === null ? {} : { reason }
}

const MAX_ERROR_CHARACTERS = 2_000
const MAX_LOG_TAIL_CHARACTERS = 16_000

/** What is known of a failed start besides its text; at most one of them (contract/platform 9.3). */
export type ProvisionFailure = {
  readonly error: string
  readonly missing?: readonly string[]
  /** What the console said last, from who watched the machine start. */
  readonly logTail?: string
  readonly timeout?: { readonly seconds: number; readonly runtimeKind: string }
}

/** The payload of `WORKSPACE_PROVISION_FAILED` in the variant that fits. */
export function provisionFailed(failure: ProvisionFailure): EventPayload {
  const error = firstCharacters(failure.error, MAX_ERROR_CHARACTERS)
  if (failure.missing !== undefined) return { error, missing: failure.missing }
  if (failure.logTail !== undefined) {
    const logTail = lastCharacters(failure.logTail, MAX_LOG_TAIL_CHARACTERS)
    return { error, log_tail: logTail, source: 'bootstrap_watcher' }
  }
  if (failure.timeout !== undefined) {
    const { seconds, runtimeKind } = failure.timeout
    return {
      error,
      timeout_secs: seconds,
      runtime: runtimeKind,
      source: 'provision_timeout_sweep',
    }
  }
  return { error }
}

/** The payload of `WORKSPACE_DEGRADED` after a beat (contract/platform 2.3). */
export function degradedBy(beat: {
  readonly runtimeState: string
  readonly errorRate: number
  readonly sampleError: string
}): EventPayload {
  const sampleError = firstCharacters(beat.sampleError, MAX_ERROR_CHARACTERS)
  return beat.runtimeState === 'wedged'
    ? { runtime_state: beat.runtimeState, sample_error: sampleError }
    : { error_rate: beat.errorRate, sample_error: sampleError }
}

/** The payload of `WORKSPACE_ONLINE` when a beat brought it there from `from`. */
export function recoveredByBeat(from: WorkspaceStatus): EventPayload {
  return from === 'provisioning' ? { recovered_from: 'provisioning' } : {}
}

/** The payload of `WORKSPACE_ONLINE` when a registration brought it there (contract/platform 2.1). */
export function onlineAt(url: string | null, agentCard: unknown): EventPayload {
  return { url, agent_card: agentCard }
}

/** Halves of a character that the cut leaves behind are mended where the event is stored. */
function firstCharacters(text: string, count: number): string {
  return text.slice(0, count)
}

function lastCharacters(text: string, count: number): string {
  return text.slice(-count)
}
