/** @module Whether what the platform says is true, asked of the processes themselves. */
import type { ControlPlane } from '../../tests/support/control-plane/control-plane.ts'
import type { Machine } from '../../tests/support/control-plane/machine.ts'
import type { EventFollower } from './event-follower.ts'
import type { Fleet, Member } from './fleet.ts'
import { processesOf, type SoakRun } from './soak-machine.ts'
import type { RunFacts, WorkspaceFacts, WorkspaceRows } from './workspace-rows.ts'

const ANSWER_MS = 5_000
/** In these a process has to be there, or must not be; all others are on their way to one of them. */
const WITH_PROCESS: ReadonlySet<string> = new Set(['online', 'degraded'])
const WITHOUT_PROCESS: ReadonlySet<string> = new Set(['paused', 'hibernated', 'removed', 'failed'])

export type World = {
  readonly run: SoakRun
  readonly controlPlane: ControlPlane
  readonly rows: WorkspaceRows
  readonly fleet: Fleet
  readonly follower: EventFollower
}

/** Everything that is not as it should be, in words; empty when all is well. */
export async function findProblems(world: World): Promise<string[]> {
  const [rows, runs] = await Promise.all([world.rows.all(), world.rows.runs()])
  const perRow = await Promise.all(rows.map((row) => problemOfRow(world, row)))
  return [
    ...perRow.flat(),
    ...rows.flatMap((row) => problemOfIntent(world.fleet, row)),
    ...runs.map(problemOfRun),
    ...orphans(world, rows),
    ...(await problemsOfEvents(world)),
  ]
}

async function problemOfRow(world: World, row: WorkspaceFacts): Promise<string[]> {
  const { id, status, statusReason } = row
  const machines = world.controlPlane.existing(id)
  const name = `${id} (${status})`
  if (machines.length > 1) return [`${name} has ${machines.length} machines`]
  const [machine] = machines
  if (WITHOUT_PROCESS.has(status)) {
    const reason = status === 'failed' ? [`${name} without an end of ours: ${statusReason}`] : []
    return machine === undefined ? reason : [...reason, `${name} has a machine`]
  }
  if (!WITH_PROCESS.has(status)) return [`${name} is still on its way ${onItsWay(row, machine)}`]
  if (machine === undefined) return [`${name} has no machine`]
  if (machine.state !== 'running') return [`${name} has a machine that is ${machine.state}`]
  if (machine.instanceId !== row.instanceId) return [`${name} is on another machine than its row`]
  return (await answers(row)) ? [] : [`${name} does not answer at its address`]
}

function onItsWay(row: WorkspaceFacts, machine: Machine | undefined): string {
  const has = machine === undefined ? 'no machine' : `${machine.instanceId} ${machine.state}`
  return `(${row.statusReason ?? 'no reason'}; ${has}; ${row.detail})`
}

async function answers(row: WorkspaceFacts): Promise<boolean> {
  try {
    const answer = await fetch(row.endpointUrl ?? 'missing:', {
      signal: AbortSignal.timeout(ANSWER_MS),
      headers: { connection: 'close' },
    })
    const body: unknown = await answer.json()
    return (
      typeof body === 'object' &&
      body !== null &&
      'workspace_id' in body &&
      body.workspace_id === row.id
    )
  } catch {
    // Not a swallowed failure: no answer is the answer.
    return false
  }
}

/** What was promised with a 2xx has to be so. */
function problemOfIntent(fleet: Fleet, row: WorkspaceFacts): string[] {
  const member = fleet.members.find(({ id }) => id === row.id)
  if (member === undefined || isAsWanted(member, row)) return []
  return [`${row.id} is ${row.status}, and was told to be ${member.wanted}`]
}

function isAsWanted({ wanted }: Member, { status }: WorkspaceFacts): boolean {
  return wanted === 'unknown' || wanted === status || (wanted === 'online' && status === 'degraded')
}

function problemOfRun(run: RunFacts): string {
  const lease = run.isExpired ? ', its lease expired' : ''
  return `${run.workspaceId} has a run that is not done (${run.reason}, attempt ${run.attempts}${lease}): ${run.lastError ?? 'no error'}`
}

function orphans(world: World, rows: readonly WorkspaceFacts[]): string[] {
  const known = new Set(rows.map(({ id }) => id))
  const machines = world.controlPlane.existing()
  const unknown = machines.filter(({ workspaceId }) => !known.has(workspaceId))
  const own = new Set(machines.flatMap((machine) => machine.pids()))
  const stray = processesOf(world.run).filter((pid) => !own.has(pid))
  return [
    ...unknown.map((machine) => `machine ${machine.instanceId} is of no workspace`),
    ...stray.map((pid) => `process ${pid} is of no machine`),
  ]
}

/** Every kept event was told once, in order, over all streams of the follower. */
async function problemsOfEvents({ follower, rows }: World): Promise<string[]> {
  const kept = await rows.eventsAfter(follower.first)
  const { seen, resets } = follower
  const problems = resets > 0 ? [`the follower of events was reset ${resets} times`] : []
  const isSame = kept.length === seen.length && kept.every((seq, at) => seq === seen[at])
  if (isSame) return problems
  return [...problems, `of ${kept.length} events ${seen.length} were told, or not in order`]
}
