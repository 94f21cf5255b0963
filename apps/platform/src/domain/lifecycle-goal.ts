/** @module What a workspace's row asks of its box (level-triggered: not what happened, but what is). */
import { isExternal } from './runtime-kind.ts'
import type { WorkspaceStatus } from './workspace-status.ts'

export type LifecycleGoal =
  /** A box of a new generation has to come up. */
  | 'start'
  /** No box may run; what it stored stays. */
  | 'stop'
  /** Neither box nor volume may be left. */
  | 'remove'
  /** Nothing is to be done. */
  | 'keep'

/** A workspace that is `offline` has died, or its platform ended: it is meant to run. */
const GOALS: Readonly<Record<WorkspaceStatus, LifecycleGoal>> = Object.freeze({
  provisioning: 'start',
  offline: 'start',
  online: 'keep',
  degraded: 'keep',
  awaiting_agent: 'keep',
  failed: 'stop',
  paused: 'stop',
  hibernating: 'stop',
  hibernated: 'stop',
  removed: 'remove',
})

export type GoalFacts = {
  readonly status: WorkspaceStatus
  readonly runtimeKind: string
  readonly generation: number
  readonly boxGeneration: number | null
  readonly boxStartedAt: Date | null
}

export function lifecycleGoal(row: GoalFacts): LifecycleGoal {
  const goal = GOALS[row.status]
  if (isExternal(row.runtimeKind)) return goal === 'remove' ? 'remove' : 'keep'
  // An agent that registered by itself and went: nobody here ever started it.
  if (row.status === 'offline' && row.generation === 0) return 'keep'
  if (row.status === 'provisioning' && isBoxUp(row)) return 'keep'
  if (isAwakeWithoutBox(row)) return 'start'
  const isAsleep = row.boxGeneration === null && row.status !== 'hibernating'
  if (goal === 'stop' && isAsleep) return 'keep'
  return goal
}

/** Its agent spoke while its box was being ended: whoever ended it owes it the next one. */
function isAwakeWithoutBox({ status, generation, boxGeneration }: GoalFacts): boolean {
  const isAwake = status === 'online' || status === 'degraded'
  return isAwake && generation > 0 && boxGeneration === null
}

/** Whether the box of the current generation has come up; its agent may still have to register. */
export function isBoxUp(
  row: Pick<GoalFacts, 'generation' | 'boxGeneration' | 'boxStartedAt'>,
): boolean {
  return row.boxStartedAt !== null && row.boxGeneration === row.generation
}
