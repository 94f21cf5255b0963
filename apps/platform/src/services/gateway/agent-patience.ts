/**
 * @module How long an agent may take until it begins to answer (contract/a2a "Decided" 4): a minute,
 * and for a message that waits for its answer as long as its workspace says, and longer while its
 * beats say that it is at work.
 */
import type { RpcRequest } from '@atrium/a2a-schema/json-rpc'
import { isJsonObject } from '@atrium/a2a-schema/lossless-json'
import type { MethodTraits } from '@atrium/a2a-schema/method'
import { AppError } from '@atrium/http-kit/app-error'
import type { Clock } from '@atrium/http-kit/clock'
import type { Db } from '../../db/client.ts'
import { findLiveWorkspace } from '../../db/workspace-store.ts'
import { type WorkspaceId, workspaceIdSchema } from '../../domain/ids.ts'
import type { Workspace } from '../find-workspace.ts'

export type PatienceDeps = {
  readonly db: Db
  readonly clock: Clock
  /** Of a message whose sender waits for the answer, unless its workspace says otherwise. */
  readonly agentTimeoutMs: number
}

/** Contract/platform 4.12: response headers. */
const HEADERS_MS = 60_000
/** Contract/platform 4.12: from one agent to another. */
const CEILING_MS = 30 * 60_000
/** Beats come every 30 s. */
const LOOK_AGAIN_MS = 30_000
const BEAT_COUNTS_MS = 90_000

/** Without one, `abort` makes an error with a stack, for every message. */
const NO_LONGER = 'nobody waits any more'

export type Patience = {
  /** Aborted with `workspace_timeout`. */
  readonly signal: AbortSignal
  /** The agent has begun to answer, or nobody waits any more. */
  end(): void
}

export function patienceWith(
  deps: PatienceDeps,
  call: { readonly row: Workspace; readonly isBlocking: boolean },
): Patience {
  const { row, isBlocking } = call
  const over = new AbortController()
  const ended = new AbortController()
  const ownMs = blockingTimeoutMs(row) ?? deps.agentTimeoutMs
  const firstMs = isBlocking ? ownMs : Math.min(HEADERS_MS, deps.agentTimeoutMs)
  const watch = async (): Promise<void> => {
    await deps.clock.sleep(firstMs, ended.signal)
    const workspaceId = workspaceIdSchema.parse(row.id)
    for (let waitedMs = firstMs; isBlocking && waitedMs < CEILING_MS; waitedMs += LOOK_AGAIN_MS) {
      if (!(await isAtWork(deps, workspaceId))) break
      await deps.clock.sleep(LOOK_AGAIN_MS, ended.signal)
    }
    over.abort(new AppError('workspace_timeout'))
  }
  watch().catch(() => {
    // The wait was ended; or nobody can say whether it is at work, and then it has had its time.
    if (!ended.signal.aborted) over.abort(new AppError('workspace_timeout'))
  })
  return { signal: over.signal, end: () => ended.abort(NO_LONGER) }
}

async function isAtWork(deps: PatienceDeps, id: WorkspaceId): Promise<boolean> {
  const row = await findLiveWorkspace(deps.db, id)
  if (row === undefined || row.activeTasks === 0) return false
  const silentMs = deps.clock.now().getTime() - (row.lastHeartbeatAt?.getTime() ?? 0)
  return silentMs < BEAT_COUNTS_MS
}

/** Of a message alone, and not when its sender is content with a task that has only just begun. */
export function waitsForWork(call: {
  readonly traits: Pick<MethodTraits, 'operation'>
  readonly request: Pick<RpcRequest, 'params'>
}): boolean {
  if (call.traits.operation !== 'send') return false
  const { params } = call.request
  const configuration = isJsonObject(params) ? params['configuration'] : undefined
  if (!isJsonObject(configuration)) return true
  // 0.3 asks for the one, 1.0 for the other; both wait unless they are told.
  return configuration['blocking'] !== false && configuration['returnImmediately'] !== true
}

/** `a2a_timeout_seconds` of the workspace's own configuration: half an hour at most. */
function blockingTimeoutMs(row: Workspace): number | undefined {
  const config: unknown = row.runtimeConfig
  if (typeof config !== 'object' || config === null) return undefined
  const seconds = 'a2a_timeout_seconds' in config ? config.a2a_timeout_seconds : undefined
  const isUsable = typeof seconds === 'number' && seconds > 0
  return isUsable ? Math.min(seconds * 1_000, CEILING_MS) : undefined
}
