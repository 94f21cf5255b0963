/** @module Where a workspace is reached, and on whose word (design/architecture 4). */
import { isExternal } from './runtime-kind.ts'

export type EndpointFacts = {
  readonly runtimeKind: string
  readonly generation: number
  readonly endpointUrl: string | null
  readonly agentUrl: string | null
}

/** Whether the platform itself started this workspace: then only its provisioner says where it is. */
export function isManaged(row: Pick<EndpointFacts, 'runtimeKind' | 'generation'>): boolean {
  return row.generation > 0 && !isExternal(row.runtimeKind)
}

export type WorkspaceEndpoint = {
  readonly url: URL
  /** Given by the provisioner: trusted by provenance. Otherwise judged at connect time. */
  readonly isTrusted: boolean
}

/** The endpoint of a workspace, or undefined while it has none. */
export function endpointOf(row: EndpointFacts): WorkspaceEndpoint | undefined {
  if (isManaged(row)) {
    return row.endpointUrl === null ? undefined : { url: new URL(row.endpointUrl), isTrusted: true }
  }
  return row.agentUrl === null || row.agentUrl === ''
    ? undefined
    : { url: new URL(row.agentUrl), isTrusted: false }
}
