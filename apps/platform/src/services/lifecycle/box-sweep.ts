/**
 * @module Boxes without a row, and rows without a box. What the back-end lists is one kind of
 * evidence; a workspace is dead when a second one agrees: its port refuses, or its beats stopped.
 */
import type { Clock } from '@atrium/http-kit/clock'
import type { Logger } from 'pino'
import type { Db } from '../../db/client.ts'
import { requestRun } from '../../db/lifecycle-run-store.ts'
import type { WorkspaceRow } from '../../db/schema.ts'
import { findRowsOf, listExpectedBoxes } from '../../db/sweep-store.ts'
import { parseWorkspaceId, type WorkspaceId } from '../../domain/ids.ts'
import type { ListedBox, Provisioner } from '../../provisioners/provisioner.ts'
import { probeEndpoint } from '../../upstream/probe-endpoint.ts'
import type { PassResult } from '../sweeps/sweep.ts'
import type { Opinion } from './workspace-deaths.ts'

export type BoxSweepDeps = {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly provisioner: Provisioner
}

/** Runtimes beat every 30 s; after so long without one, something is wrong. */
const SUSPICIOUS_SILENCE_MS = 45_000
/** A list that was read while a box came up does not have it yet. */
const SETTLING_MS = 10_000

type Judge = (row: WorkspaceRow, evidence: string) => Promise<Opinion>

/** One pass; `signal` ends it early, because every question may take a back-end's patience. */
export async function sweepBoxes(
  deps: BoxSweepDeps,
  judge: Judge,
  signal: AbortSignal,
): Promise<PassResult> {
  const { provisioner, db } = deps
  const boxes = await provisioner.listBoxes()
  const expected = await listExpectedBoxes(db, {
    backEnd: provisioner.name,
    hostId: provisioner.hostId,
  })
  const running = new Set(boxes.filter((box) => box.isRunning).map((box) => box.workspaceId))
  let dead = 0
  for (const row of expected) {
    if (signal.aborted) break
    if (running.has(row.id) || !isSettled(deps, row)) continue
    const evidence = await secondEvidence(deps, row)
    if (evidence !== undefined && (await judge(row, evidence)) === 'dead') dead += 1
  }
  return { expected: expected.length, dead, orphans: await endOrphans(deps, boxes, signal) }
}

function isSettled(deps: BoxSweepDeps, row: WorkspaceRow): boolean {
  const startedAt = row.boxStartedAt?.getTime() ?? 0
  return deps.clock.now().getTime() - startedAt >= SETTLING_MS
}

/** What speaks for a death beside the back-end's list; undefined when nothing does. */
async function secondEvidence(deps: BoxSweepDeps, row: WorkspaceRow): Promise<string | undefined> {
  if (row.endpointUrl !== null && (await probeEndpoint(new URL(row.endpointUrl))) === 'refused') {
    return 'its port refuses connections'
  }
  // A machine that boots has nothing to say yet; one that takes as long as this and does not run by its
  // back-end's word, either, has died before its agent's first word.
  const heardOf = row.lastHeartbeatAt ?? row.boxStartedAt
  const silentMs = deps.clock.now().getTime() - (heardOf?.getTime() ?? 0)
  return silentMs >= SUSPICIOUS_SILENCE_MS ? 'no heartbeat' : undefined
}

/** Boxes and volumes that no live row speaks of. Rows that were removed have their own runs. */
async function endOrphans(
  deps: BoxSweepDeps,
  boxes: readonly ListedBox[],
  signal: AbortSignal,
): Promise<number> {
  const { db, provisioner, clock } = deps
  const rows = await findRowsOf(
    db,
    boxes.map(({ workspaceId }) => workspaceId).filter((id) => parseWorkspaceId(id) === id),
  )
  let ended = 0
  for (const box of boxes) {
    if (signal.aborted) break
    const id = parseWorkspaceId(box.workspaceId)
    if (id === undefined) continue
    const row = rows.get(id)
    if (row?.isLive === true) continue
    if (row === undefined) ended += await endOrphan(deps, id, box)
    else {
      const hostId = row.hostId ?? provisioner.hostId
      await requestRun(db, { workspaceId: id, hostId, reason: 'orphan', now: clock.now() })
      ended += 1
    }
  }
  return ended
}

async function endOrphan(deps: BoxSweepDeps, id: WorkspaceId, box: ListedBox): Promise<number> {
  const { provisioner, log } = deps
  const ref = { workspaceId: id, instanceId: box.instanceId }
  try {
    await provisioner.stop(ref)
    await provisioner.removeVolume(ref)
    log.warn({ workspace_id: id }, 'lifecycle.orphan_removed')
    return 1
  } catch (error) {
    // The next pass tries again.
    log.error({ err: error, workspace_id: id }, 'lifecycle.orphan_survives')
    return 0
  }
}
