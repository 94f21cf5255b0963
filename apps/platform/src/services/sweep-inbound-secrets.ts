/**
 * @module What time does to inbound secrets: old ones are rotated, and rotations that nobody proves
 * come to an end. Passes in bounded batches that several replicas may make at once.
 */
import { lockAgedSecrets, retireOverdue } from '../db/inbound-secret-store.ts'
import type { WorkspaceId } from '../domain/ids.ts'
import { overdueBefore } from '../domain/inbound-secret-rotation.ts'
import { recordAudit } from './audit-trail.ts'
import { type RotationDeps, rotateInboundSecret } from './inbound-secret-rotation.ts'

const DAY_MS = 24 * 60 * 60 * 1000

export type AgeDeps = RotationDeps & {
  /** 0: they may grow as old as they like. */
  readonly inboundSecretMaxAgeDays: number
  readonly lifecycle: { deliverInboundSecret(id: WorkspaceId): void }
}

/**
 * Rotates the inbound secrets that are older than the policy allows, at most `limit`: of workspaces
 * that are there and have proved theirs, because the others would only have one more to learn.
 */
export async function rotateAgedSecrets(
  deps: AgeDeps,
  limit: number,
): Promise<{ readonly rotated: number }> {
  if (deps.inboundSecretMaxAgeDays === 0) return { rotated: 0 }
  const maxAgeMs = deps.inboundSecretMaxAgeDays * DAY_MS
  const mintedBefore = new Date(deps.clock.now().getTime() - maxAgeMs)
  const rotated = await deps.db.transaction(async (tx) => {
    const ids = await lockAgedSecrets(tx, { mintedBefore, limit })
    for (const workspaceId of ids) {
      await rotateInboundSecret({ ...deps, db: tx }, { workspaceId, reason: 'age' })
    }
    return ids
  })
  for (const id of rotated) deps.lifecycle.deliverInboundSecret(id)
  return { rotated: rotated.length }
}

/** Ends the rotations, at most `limit`, whose delivery nobody has proved within the grace. */
export async function retireOverdueSecrets(
  deps: RotationDeps,
  limit: number,
): Promise<{ readonly retired: number }> {
  const before = overdueBefore(deps.clock.now(), deps.rotationGraceMs)
  return deps.db.transaction(async (tx) => {
    const ids = await retireOverdue(tx, { overdueBefore: before, limit })
    for (const workspaceId of ids) {
      await recordAudit(
        { ...deps, db: tx },
        { action: 'inbound_secret.retire', workspaceId, detail: { reason: 'grace' } },
      )
    }
    return { retired: ids.length }
  })
}
