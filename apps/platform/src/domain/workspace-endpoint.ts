/** @module Where a workspace is reached, and on whose word (design/architecture 4). */
import type { DeliveryMode } from '@atrium/runtime-contract/registration'
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

/**
 * Whether a workspace that speaks may count as online: a provisioned one only when its provisioner
 * has said where it is. Nobody calls an agent that polls: it needs no port, only a box that is known.
 */
export function isReachable(
  row: Pick<EndpointFacts, 'runtimeKind' | 'generation' | 'endpointUrl'> & {
    readonly deliveryMode: DeliveryMode | null
    readonly boxAddress: string | null
  },
): boolean {
  if (!isManaged(row) || row.endpointUrl !== null) return true
  return row.deliveryMode === 'poll' && row.boxAddress !== null
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

/**
 * The endpoint that an agent may give its own box when the back-end told only its `address`: that
 * very host, over http, on whatever port. undefined for anything else. Trusted like the address:
 * the box at it can point at nothing but itself.
 */
export function endpointWithinBox(text: string, address: string): URL | undefined {
  const told = plainHttpUrl(text)
  // Both in the one spelling that the URL standard gives an address (`127.1`, `0:0::1`).
  const host = URL.parse(`http://${address.includes(':') ? `[${address}]` : address}`)?.hostname
  return told !== undefined && told.hostname === host ? told : undefined
}

/** A base URL over http without credentials; its query and fragment never reach a workspace. */
export function plainHttpUrl(text: string): URL | undefined {
  const url = URL.parse(text)
  if (url === null || url.protocol !== 'http:' || url.port === '0') return undefined
  if (url.username !== '' || url.password !== '') return undefined
  url.search = ''
  url.hash = ''
  return url
}
