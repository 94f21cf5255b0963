/** @module Which template a restart gives again (contract/platform 7.6); undefined: none, the volume stays. */
import type { WorkspaceRow } from '../../db/schema.ts'
import type { WorkspaceTemplates } from '../workspace-templates.ts'

export type RestartOptions = {
  /** By its name. */
  readonly template: string | undefined
  /** The one of the workspace's name, else the one of its runtime kind. */
  readonly isTemplateWanted: boolean
  /** The one that the workspace was made from. */
  readonly isRebuildWanted: boolean
}

/** In the contract's order; throws `invalid_template` for one that was named and is not there. */
export async function restartTemplate(
  templates: WorkspaceTemplates,
  row: Pick<WorkspaceRow, 'name' | 'template' | 'runtimeKind'>,
  options: RestartOptions,
): Promise<string | undefined> {
  if (options.template !== undefined) return (await templates.get(options.template)).name
  if (options.isTemplateWanted) {
    const named = await templates.findByWorkspaceName(row.name)
    if (named !== undefined) return named.name
  }
  if (options.isRebuildWanted && row.template !== null) return row.template
  if (!options.isTemplateWanted) return undefined
  const ofRuntime = `${row.runtimeKind}-default`
  return (await templates.findConfig(ofRuntime)) === undefined ? undefined : ofRuntime
}
