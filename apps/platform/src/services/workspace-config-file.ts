/** @module The `/configs/config.yaml` of a provisioned workspace (contract/runtime 6.2). */
import { stringify } from 'yaml'
import type { WorkspaceRow } from '../db/schema.ts'

export const CONFIG_FILE_NAME = 'config.yaml'

/** The file's bytes, from what the workspace was created with. */
export function workspaceConfigFile(
  row: Pick<WorkspaceRow, 'name' | 'role' | 'tier' | 'model' | 'runtimeKind' | 'runtimeConfig'>,
): Uint8Array {
  const config = {
    name: row.name,
    role: row.role ?? '',
    tier: row.tier,
    runtime: row.runtimeKind,
    ...(row.model === null ? {} : { model: row.model }),
    ...(row.runtimeConfig === null ? {} : { runtime_config: row.runtimeConfig }),
  }
  return Buffer.from(stringify(config), 'utf8')
}
