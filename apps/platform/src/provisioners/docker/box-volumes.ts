/** @module The volumes of a workspace: made, looked into without a box, removed. */
import type { Container } from 'dockerode'
import { LABELS, VOLUME_PLACES, type VolumeKind, volumeName, workspaceLabels } from './box-names.ts'
import { BOX_USER } from './container-spec.ts'
import { type Engine, engineStatusOf, unlessMissing } from './engine.ts'
import { volumesWith } from './engine-lists.ts'

export type VolumeDeps = { readonly engine: Engine; readonly scope: string }

/** Marks a container that is created, never started, and removed: a way into volumes. */
export const HELPER_LABEL = 'molecule.platform.helper'

/** Makes what is missing. Throws when a name belongs to another workspace. */
export async function ensureVolumes(
  deps: VolumeDeps,
  workspaceId: string,
  kinds: readonly VolumeKind[],
): Promise<void> {
  await Promise.all(kinds.map((kind) => ensureVolume(deps, workspaceId, kind)))
}

async function ensureVolume(
  deps: VolumeDeps,
  workspaceId: string,
  kind: VolumeKind,
): Promise<void> {
  const name = volumeName(workspaceId, kind)
  const created: Promise<unknown> = deps.engine.calls.createVolume({
    Name: name,
    Driver: 'local',
    Labels: workspaceLabels(deps.scope, workspaceId),
  })
  await created
  // The engine is content with one that was there before, whosever it is.
  if (!(await hasVolume(deps, workspaceId, kind))) {
    throw new Error(`volume ${name} is not this workspace's`)
  }
}

/** Whether this workspace, and no other one, has such a volume. */
export async function hasVolume(
  { engine, scope }: VolumeDeps,
  workspaceId: string,
  kind: VolumeKind,
): Promise<boolean> {
  const volume = engine.calls.getVolume(volumeName(workspaceId, kind))
  const labels = (await unlessMissing(volume.inspect()))?.Labels
  return labels?.[LABELS.workspaceId] === workspaceId && labels[LABELS.scope] === scope
}

/** Removes all of them; none there is success. Throws when one is in use. */
export async function removeVolumes(
  { engine, scope }: VolumeDeps,
  workspaceId: string,
): Promise<void> {
  for (const { Name } of await volumesWith(engine, workspaceLabels(scope, workspaceId))) {
    try {
      await unlessMissing(engine.calls.getVolume(Name).remove())
    } catch (error) {
      if (engineStatusOf(error) !== 409) throw error
      throw new Error(`volume ${Name} is in use: the workspace is not stopped`, { cause: error })
    }
  }
}

export type HelperTarget = {
  readonly workspaceId: string
  readonly kind: VolumeKind
  readonly image: string
}

/**
 * Uses one volume of a workspace that has no container, through one that is never started. The volume
 * is there already: an engine would make it, and then it would carry the right labels at least.
 */
export async function withHelper<T>(
  { engine, scope }: VolumeDeps,
  { workspaceId, kind, image }: HelperTarget,
  use: (container: Container) => Promise<T>,
): Promise<T> {
  const labels = workspaceLabels(scope, workspaceId)
  const helper = await engine.calls.createContainer({
    Image: image,
    User: `${BOX_USER.uid}:${BOX_USER.gid}`,
    Labels: { ...labels, [HELPER_LABEL]: 'true' },
    NetworkDisabled: true,
    HostConfig: {
      NetworkMode: 'none',
      Mounts: [
        {
          Type: 'volume',
          Source: volumeName(workspaceId, kind),
          Target: VOLUME_PLACES[kind],
          VolumeOptions: {
            NoCopy: false,
            Labels: labels,
            DriverConfig: { Name: 'local', Options: {} },
          },
        },
      ],
    },
  })
  try {
    return await use(helper)
  } finally {
    await unlessMissing(helper.remove({ force: true, v: true }))
  }
}
