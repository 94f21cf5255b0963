/** @module The containers of this platform: found by their labels, ended by their id. */
import type { Clock, Ids } from '@atrium/http-kit/clock'
import type { ContainerInfo } from 'dockerode'
import type { Logger } from 'pino'
import type { BoxRef } from '../provisioner.ts'
import {
  endingName,
  generationOf,
  isEndingName,
  LABELS,
  scopeLabels,
  workspaceLabels,
} from './box-names.ts'
import { HELPER_LABEL } from './box-volumes.ts'
import { keepConsole } from './docker-console.ts'
import { type Engine, unlessMissing, unlessStatus } from './engine.ts'
import { containersWith } from './engine-lists.ts'

const GONE_POLL_MS = 50
const GONE_TIMEOUT_MS = 30_000
/** No helper is used for longer: it is made for one look or one file. */
const HELPER_USE_MS = 60_000

export type DockerBox = {
  readonly containerId: string
  readonly workspaceId: string
  readonly generation: number
  readonly isRunning: boolean
  /** Somebody has asked for its end. */
  readonly isEnding: boolean
}

export type BoxDeps = {
  readonly engine: Engine
  readonly scope: string
  readonly clock: Clock
  readonly ids: Ids
  readonly log: Logger
}

/** Every box of this platform, newest generation first. */
export async function listAllBoxes({ engine, scope }: BoxDeps): Promise<readonly DockerBox[]> {
  return boxesOf(await containersWith(engine, scopeLabels(scope)))
}

/** The boxes of one workspace, or the one that `instanceId` names; newest generation first. */
export async function findBoxes(
  { engine, scope }: BoxDeps,
  { workspaceId, instanceId }: BoxRef,
): Promise<readonly DockerBox[]> {
  const found = boxesOf(await containersWith(engine, workspaceLabels(scope, workspaceId)))
  return instanceId === undefined || instanceId === null
    ? found
    : found.filter(({ containerId }) => containerId === instanceId)
}

function boxesOf(containers: readonly ContainerInfo[]): readonly DockerBox[] {
  return containers
    .flatMap(({ Id, Names, Labels, State }) => {
      const workspaceId = Labels[LABELS.workspaceId]
      const generation = generationOf(Labels)
      if (workspaceId === undefined || generation === undefined) return []
      const isRunning = State === 'running' || State === 'paused' || State === 'restarting'
      const isEnding = Names.some(isEndingName)
      return [{ containerId: Id, workspaceId, generation, isRunning, isEnding }]
    })
    .sort((one, other) => other.generation - one.generation)
}

/** Removes what a platform that died in between has left of its helpers; another one's may be in use. */
export async function removeOldHelpers(deps: BoxDeps): Promise<void> {
  const newest = deps.clock.now().getTime() - HELPER_USE_MS
  await removeHelpers(deps, scopeLabels(deps.scope), newest)
}

/** Removes the helpers with these labels, whoever uses them. */
export async function removeHelpers(
  { engine }: BoxDeps,
  labels: Readonly<Record<string, string>>,
  newest = Number.POSITIVE_INFINITY,
): Promise<void> {
  const helpers = await containersWith(engine, { ...labels, [HELPER_LABEL]: 'true' })
  for (const { Id, Created } of helpers) {
    if (Created * 1_000 <= newest) await removeContainer(engine, Id)
  }
}

/**
 * Ends one box, by the id of its container and never by its name: the name may be its successor's by
 * now. Not there any more is success. Resolves when it is gone.
 */
export async function endBox(
  deps: BoxDeps,
  box: Pick<DockerBox, 'containerId' | 'workspaceId' | 'isEnding'>,
  graceMs: number,
): Promise<void> {
  const { engine, ids, log } = deps
  const container = engine.calls.getContainer(box.containerId)
  if (!box.isEnding) {
    const name = endingName(box.workspaceId, ids.hex(6))
    // 409: two ask for it at once.
    await unlessStatus(container.rename({ name }), [404, 409])
  }
  await unlessStatus(container.stop({ t: Math.ceil(graceMs / 1_000) }), [304, 404])
  try {
    await unlessStatus(keepConsole(engine, container), [404])
  } catch (error) {
    // Best effort: a console that cannot be kept is no reason to keep a box.
    log.warn({ err: error, workspace_id: box.workspaceId }, 'provisioner.console_incomplete')
  }
  await removeContainer(engine, box.containerId)
  await untilGone(deps, box.containerId)
}

async function removeContainer(engine: Engine, containerId: string): Promise<void> {
  // 409: its removal is in progress already. Anonymous volumes go with it, named ones stay.
  const removed = engine.calls.getContainer(containerId).remove({ force: true, v: true })
  await unlessStatus(removed, [404, 409])
}

async function untilGone({ engine, clock }: BoxDeps, containerId: string): Promise<void> {
  const deadline = clock.now().getTime() + GONE_TIMEOUT_MS
  const container = engine.calls.getContainer(containerId)
  while ((await unlessMissing(container.inspect())) !== undefined) {
    if (clock.now().getTime() > deadline) throw new Error('a container does not go away')
    await clock.sleep(GONE_POLL_MS)
  }
}
