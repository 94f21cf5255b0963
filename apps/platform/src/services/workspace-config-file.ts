/** @module The `/configs/config.yaml` of a provisioned workspace (contract/runtime 6.2). */
import { stringify } from 'yaml'
import type { WorkspaceRow } from '../db/schema.ts'

export const CONFIG_FILE_NAME = 'config.yaml'

/** The file's bytes, from what the workspace was created with. */
export function workspaceConfigFile(
  row: Pick<
    WorkspaceRow,
    'name' | 'role' | 'tier' | 'model' | 'runtimeKind' | 'runtimeConfig' | 'maxConcurrentTasks'
  >,
): Uint8Array {
  const config = {
    name: row.name,
    role: row.role ?? '',
    tier: row.tier,
    runtime: row.runtimeKind,
    ...(row.model === null ? {} : { model: row.model }),
    runtime_config: {
      ...(typeof row.runtimeConfig === 'object' ? row.runtimeConfig : {}),
      // The capacity that the platform assumes is the one that the agent has.
      concurrency: row.maxConcurrentTasks,
    },
  }
  return Buffer.from(stringify(config), 'utf8')
}
