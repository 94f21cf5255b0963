/** @module The `data` of an error: an object for 0.3, a list of typed details for 1.0 (contract/a2a 1.6). */
import type { Dialect } from '@atrium/a2a-schema/method'
import { badRequest, errorInfo, reasonOf } from '@atrium/a2a-schema/translate/error'
import type { FailureDescription } from '@atrium/http-kit/app-error'

export type A2aFault = {
  readonly code: number
  readonly message: string
  /** In upper case; undefined: the one that belongs to the code. */
  readonly reason: string | undefined
  /** The failure contract's body (docs/errors.md). */
  readonly contract: FailureDescription['body']
  /** What the sender has to mend. */
  readonly details?: unknown
  readonly retryAfterSeconds?: number | undefined
}

const VALUE = 'type.googleapis.com/google.protobuf.Value'
const RETRY_INFO = 'type.googleapis.com/google.rpc.RetryInfo'

/** JSON-RPC's own codes, which have no reason in A2A. */
const JSON_RPC_REASONS: ReadonlyMap<number, string> = new Map([
  [-32700, 'PARSE_ERROR'],
  [-32600, 'INVALID_REQUEST'],
  [-32601, 'METHOD_NOT_FOUND'],
  [-32602, 'INVALID_PARAMS'],
  [-32603, 'INTERNAL_ERROR'],
])

export function faultData(
  fault: A2aFault,
  dialect: Dialect,
  surface: 'platform' | 'standard',
): unknown {
  return dialect === '1.0' ? typedDetails(fault) : plainData(fault, surface)
}

function plainData(fault: A2aFault, surface: 'platform' | 'standard'): unknown {
  const { contract, details } = fault
  if (details === undefined) return contract
  const facts = typeof details === 'object' && details !== null ? details : {}
  return surface === 'standard' ? facts : { ...contract, ...facts }
}

/** Every error of 1.0 says what it is with an `ErrorInfo`. */
export function typedDetails(fault: A2aFault): readonly unknown[] {
  const { code, contract, details, retryAfterSeconds } = fault
  const reason = fault.reason ?? reasonOf(code) ?? JSON_RPC_REASONS.get(code) ?? 'UNKNOWN'
  const facts = textsOf(details)
  const violation = violationOf(facts)
  return [
    errorInfo(reason, violation === undefined ? facts : {}),
    ...(violation === undefined ? [] : [badRequest([violation])]),
    ...(retryAfterSeconds === undefined
      ? []
      : [{ '@type': RETRY_INFO, retryDelay: `${retryAfterSeconds}s` }]),
    ...(details === undefined ? [{ '@type': VALUE, value: contract }] : []),
  ]
}

function violationOf(facts: Record<string, string>): { field: string; detail: string } | undefined {
  const { field, detail } = facts
  return field === undefined || detail === undefined ? undefined : { field, detail }
}

/** The metadata of an `ErrorInfo` are texts. */
function textsOf(details: unknown): Record<string, string> {
  if (typeof details !== 'object' || details === null) return {}
  return Object.fromEntries(
    Object.entries(details).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value]] : [],
    ),
  )
}
