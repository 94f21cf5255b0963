/** @module The request id: taken from the caller when it is harmless, minted otherwise. */
import type { Ids } from './clock.ts'

export const REQUEST_ID_HEADER = 'x-request-id'

// Visible in logs and forwarded to the workspace: no spaces, no controls, bounded.
const ACCEPTABLE = /^[A-Za-z0-9._-]{8,64}$/

/** The id under which one request is known on every hop. */
export function requestIdFrom(header: string | undefined, ids: Ids): string {
  return header !== undefined && ACCEPTABLE.test(header) ? header : ids.uuid()
}
