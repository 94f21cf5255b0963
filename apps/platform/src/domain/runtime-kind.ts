/** @module The kind of runtime a workspace was created with (H5: never a bare "runtime"). */

/** The agent runs elsewhere and is never started by the platform (contract/platform 7.2). */
export const EXTERNAL_RUNTIME_KIND = 'external'

/** What a workspace gets when nothing says otherwise (contract/platform 7.1). */
export const DEFAULT_RUNTIME_KIND = 'langgraph'

export function isExternal(runtimeKind: string): boolean {
  return runtimeKind === EXTERNAL_RUNTIME_KIND
}
