/** @module What a workspace's things are called in the engine (contract/platform 7.4, contract/runtime 14). */

export const NETWORK_NAME = 'molecule-monorepo-net'

/** Everything is found by these, never by its name: twelve characters of an id may be two ids'. */
export const LABELS = Object.freeze({
  managed: 'molecule.platform.managed',
  workspaceId: 'molecule.platform.workspace-id',
  generation: 'molecule.platform.generation',
  /** Which platform's: two of them on one engine leave each other's boxes alone. */
  scope: 'molecule.platform.scope',
})

/** Contract/runtime 14: read-write for the agent, and what its console said last, which is not. */
export const VOLUME_PLACES = Object.freeze({
  configs: '/configs',
  workspace: '/workspace',
  home: '/home',
  plugins: '/plugins',
  console: '/console',
})
export type VolumeKind = keyof typeof VOLUME_PLACES

/** `ws-<first 12 of the id>`: container, host name and network alias. */
export function boxName(workspaceId: string): string {
  return `ws-${workspaceId.slice(0, 12)}`
}

const ENDING = '-ending-'

/** What a box is renamed to before it is stopped, so that every replica sees its end was asked for. */
export function endingName(workspaceId: string, unique: string): string {
  return `${boxName(workspaceId)}${ENDING}${unique}`
}

export function isEndingName(name: string): boolean {
  return name.includes(ENDING)
}

export function volumeName(workspaceId: string, kind: VolumeKind): string {
  // The contract names this one by twelve characters; its label is compared before it is used.
  return kind === 'configs' ? `${boxName(workspaceId)}-configs` : `ws-${workspaceId}-${kind}`
}

export function scopeLabels(scope: string): Record<string, string> {
  return { [LABELS.managed]: 'true', [LABELS.scope]: scope }
}

export function workspaceLabels(scope: string, workspaceId: string): Record<string, string> {
  return { ...scopeLabels(scope), [LABELS.workspaceId]: workspaceId }
}

/** For the engine's list calls. */
export function labelFilter(labels: Readonly<Record<string, string>>): { label: string[] } {
  return { label: Object.entries(labels).map(([name, value]) => `${name}=${value}`) }
}

/** The generation of a box by its labels; undefined when there is none to read. */
export function generationOf(labels: Readonly<Record<string, string>>): number | undefined {
  const generation = Number(labels[LABELS.generation])
  return Number.isSafeInteger(generation) && generation > 0 ? generation : undefined
}
