/** @module The `/configs/config.yaml` of a provisioned workspace (contract/runtime 6.2). */
import { stringify } from 'yaml'
import type { WorkspaceRow } from '../db/schema.ts'

export const CONFIG_FILE_NAME = 'config.yaml'

/** The file's bytes: what its template says, and above that what the workspace was created with. */
export function workspaceConfigFile(
  row: Pick<
    WorkspaceRow,
    'name' | 'role' | 'tier' | 'model' | 'runtimeKind' | 'runtimeConfig' | 'maxConcurrentTasks'
  >,
  template: Readonly<Record<string, unknown>> = {},
): Uint8Array {
  const { sub_workspaces: team, ...runtimeConfig } = objectOf(row.runtimeConfig)
  const config = {
    ...template,
    // The platform's business, which a creation may say only there.
    ...(team === undefined ? {} : { sub_workspaces: team }),
    name: row.name,
    role: row.role ?? template['role'] ?? '',
    tier: row.tier,
    runtime: row.runtimeKind,
    ...(row.model === null ? {} : { model: row.model }),
    runtime_config: {
      ...objectOf(template['runtime_config']),
      ...runtimeConfig,
      // The capacity that the platform assumes is the one that the agent has.
      concurrency: row.maxConcurrentTasks,
    },
  }
  return Buffer.from(stringify(config), 'utf8')
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {}
}
