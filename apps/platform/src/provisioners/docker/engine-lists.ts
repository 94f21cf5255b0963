/** @module What the engine has, by label. */
import type { ContainerInfo, VolumeInspectInfo } from 'dockerode'
import { labelFilter } from './box-names.ts'
import type { Engine } from './engine.ts'

type Labels = Readonly<Record<string, string>>

/** All containers with these labels, running or not. */
export function containersWith(engine: Engine, labels: Labels): Promise<ContainerInfo[]> {
  return engine.calls.listContainers({ all: true, filters: labelFilter(labels) })
}

/** All volumes with these labels. */
export async function volumesWith(
  engine: Engine,
  labels: Labels,
): Promise<readonly VolumeInspectInfo[]> {
  const listing: Promise<{ Volumes: VolumeInspectInfo[] | null }> = engine.calls.listVolumes({
    filters: labelFilter(labels),
  })
  // The engine says null for none.
  return (await listing).Volumes ?? []
}
